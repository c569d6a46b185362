"""The memory of a wall display and of its server while events come in."""

import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from time import monotonic
from typing import NamedTuple

import psutil
from playwright.sync_api import CDPSession, sync_playwright

from tests import playing
from tests.bench import report
from tests.bench.stores import Stores
from tests.browser.conftest import CHROMIUM, QUIET, serving
from tests.demo import write_demo
from tests.running import Receiver

MINUTES = 15
A_SECOND = 10
LEARNERS, MODULES = 120, 12
WARM_SEC, EVERY_SEC = 120, 30
FLAT = 1.1
MEGA = 1e6


class Sample(NamedTuple):
    """Megabytes: what scripts of the page hold after garbage is collected, the page's process, and
    the dashboard's."""

    heap: float
    browser: float
    dashboard: float


def measure(stores: Stores, events: int) -> str:
    """The section of the report: a quarter of an hour, or until `events` have been sent."""
    seconds = min(MINUTES * 60, events / A_SECOND)
    with (
        tempfile.TemporaryDirectory(dir=stores.folder) as folder,
        stores.fresh("sqlite") as url,
        Receiver(url, Path(folder)) as receiver,
        serving(url) as dashboard,
        sync_playwright() as playwright,
    ):
        write_demo(url, LEARNERS)
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        page = browser.new_page(viewport={"width": 1920, "height": 1080})
        page.goto(f"{dashboard}/wall")
        page.locator(".wall .board").wait_for(timeout=60_000)
        session = page.context.new_cdp_session(page)
        session.send("Performance.enable")
        with playing_events(receiver) as sent:
            page.wait_for_timeout(1000 * min(WARM_SEC, seconds / 10))
            began, before, samples = monotonic(), len(sent), [sample(session)]
            while monotonic() - began < seconds:
                page.wait_for_timeout(1000 * min(EVERY_SEC, seconds / 10))
                samples.append(sample(session))
            took, accepted = monotonic() - began, len(sent) - before
        browser.close()
    return _report(samples, took, accepted)


@contextmanager
def playing_events(
    receiver: Receiver, a_second: int = A_SECOND, learner: str = "bench-{}"
) -> Iterator[list[int]]:
    """So many signed events a second, as long as it lasts; the answers' status codes."""
    over = threading.Event()
    sent: list[int] = []

    def play() -> None:
        began = monotonic()
        for number in count():
            if over.wait(max(0, began + number / a_second - monotonic())):
                return
            moved = playing.progress(
                learner.format(number % LEARNERS),
                moduleId=f"bench-{number // LEARNERS % MODULES}",
                progressPct=1 + number // (LEARNERS * MODULES) % 100,
            )
            sent.append(receiver.deliver("module.progress", moved).status_code)

    player = threading.Thread(target=play)
    player.start()
    try:
        yield sent
    finally:
        over.set()
        player.join()
        assert set(sent) <= {200}, set(sent)


def sample(session: CDPSession) -> Sample:
    """As it is now, after garbage of the page is collected."""
    session.send("HeapProfiler.collectGarbage")
    metrics = session.send("Performance.getMetrics")["metrics"]
    heap = next(one["value"] for one in metrics if one["name"] == "JSHeapUsedSize")
    ours = psutil.Process().children(recursive=True)
    return Sample(
        heap / MEGA,
        _resident(ours, "--type=renderer"),
        _resident(ours, "dashboard"),
    )


def _resident(processes: Sequence[psutil.Process], argument: str) -> float:
    of = [one.memory_info().rss for one in processes if argument in one.cmdline()]
    return sum(of) / MEGA


def _report(samples: Sequence[Sample], took: float, sent: int) -> str:
    first, middle, last = samples[0], samples[len(samples) // 2], samples[-1]
    parts = {"start": first, "middle": middle, "end": last}
    rows = [(name, *(f"{one:.0f}" for one in found)) for name, found in parts.items()]
    head = ("at the", "page's scripts MB", "page's process MB", "dashboard MB")
    flat = [after <= FLAT * before for after, before in zip(last, middle, strict=True)]
    return (
        f"A wall display of the demo's company ({LEARNERS} learners, SQLite) in Chromium for "
        f"{took / 60:.0f} min, while a receiver accepts {sent / took:.1f} events a second "
        f"({sent:,} in all). Scripts: what they hold after garbage is collected; processes: "
        f"resident memory. The start is after {WARM_SEC} s of warming up.\n\n"
        f"{report.table(head, rows)}\n\n"
        + report.holds("flat: the end within 10 % of the middle, all three", all(flat))
    )
