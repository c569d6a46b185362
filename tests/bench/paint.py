"""How long the demo's pages take in a browser, beside an empty page of Streamlit."""

import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from playwright.sync_api import Browser, sync_playwright

from tests.bench import report
from tests.bench.report import middle_and_p95
from tests.bench.stores import Stores
from tests.browser.conftest import CHROMIUM, QUIET, serving
from tests.demo import write_demo
from tests.running import environment, free_port, is_up, until

ROUNDS = 5
LEARNERS = 120
PAGES = {"leaderboard": ""} | {
    name: name for name in ("coaching", "deliveries", "learner", "certifications")
}
"""By name the address below the dashboard's own; the first page has none."""
EMPTY = "empty page of Streamlit"
HEADING_SEC, QUIET_SEC = 2, 3
SLOW_MBIT, SLOW_MS = 10, 20
"""A network as of an office far away, or of a home."""
SLOW = {
    "offline": False,
    "latency": SLOW_MS,
    "downloadThroughput": SLOW_MBIT * 125_000,
    "uploadThroughput": SLOW_MBIT * 125_000,
}
STILL_MS = 700
"""A page that has not changed for so long is quiet; live parts are drawn again every 5 s."""
WATCH = """
window.headingAt = 0; window.changedAt = 0;
new MutationObserver(() => {
  window.changedAt = performance.now();
  if (!window.headingAt && document.querySelector('[data-testid=stMain] h1')?.textContent)
    window.headingAt = window.changedAt;
}).observe(document, {childList: true, subtree: true, characterData: true});
"""
IS_QUIET = f"""() => window.headingAt && performance.now() - window.changedAt > {STILL_MS}
  && !document.querySelector('[data-testid=stSkeleton]')"""


class Seen(NamedTuple):
    """Seconds from the request until the heading stands, and until nothing changes any more."""

    heading: float
    quiet: float


def measure(stores: Stores, events: int) -> str:
    """The section of the report. The demo has its own history, whatever `events` says."""
    del events
    seen: dict[str, list[Seen]] = defaultdict(list)
    far: dict[str, list[Seen]] = defaultdict(list)
    with stores.fresh("sqlite") as url, empty_page() as empty, sync_playwright() as playwright:
        write_demo(url, LEARNERS)
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        with serving(url) as dashboard:
            addresses = {EMPTY: empty} | {
                page: f"{dashboard}/{path}" for page, path in PAGES.items()
            }
            for number in range(ROUNDS + 1):  # the first one warms caches
                for name, address in addresses.items():
                    found = open_page(browser, address)
                    if number:
                        seen[name].append(found)
                for name in (EMPTY, "leaderboard"):
                    found = open_page(browser, addresses[name], slow=True)
                    if number:
                        far[name].append(found)
        browser.close()
    return f"{INTRODUCTION}{_table(seen)}\n\n{_targets(seen)}\n\n{FAR}{_table(far)}"


INTRODUCTION = f"""\
The pages of the demo's company ({LEARNERS} learners, 90 days, SQLite) in Chromium, each opened
{ROUNDS} times with an empty cache of the browser, in turn with a page of Streamlit that has a
heading and nothing else. Until the heading stands, and until nothing has changed for {STILL_MS} ms:
median / p95 in seconds, and how many times as long as the empty page. The targets are
{HEADING_SEC} s and {QUIET_SEC} s on two cores, of which the browser needs its part.

"""


FAR = f"""\
The same over a network of {SLOW_MBIT} Mbit/s with {SLOW_MS} ms to the server, as Chromium emulates
it. The empty page is served by Streamlit alone, which compresses no script.

"""


def _table(seen: Mapping[str, Sequence[Seen]]) -> str:
    head = ("page", "heading s", "of empty", "quiet s", "of empty")
    of = {
        name: tuple(middle_and_p95(values) for values in zip(*found, strict=True))
        for name, found in seen.items()
    }
    rows = []
    for name, parts in of.items():
        cells = [name]
        for (middle, p95), (empty, _) in zip(parts, of[EMPTY], strict=True):
            cells += [f"{middle:.2f} / {p95:.2f}", f"{middle / empty:.1f} ×"]
        rows.append(cells)
    return report.table(head, rows)


def _targets(seen: Mapping[str, Sequence[Seen]]) -> str:
    ours = [zip(*found, strict=True) for name, found in seen.items() if name != EMPTY]
    middles = [[middle_and_p95(values)[0] for values in page] for page in ours]
    heading, quiet = map(max, zip(*middles, strict=True))
    return "\n".join(
        (
            report.holds(f"headings stand within {HEADING_SEC} s", heading <= HEADING_SEC),
            report.holds(f"pages are quiet within {QUIET_SEC} s", quiet <= QUIET_SEC),
        )
    )


def open_page(browser: Browser, address: str, *, slow: bool = False) -> Seen:
    """Open a page as a new visitor does, `slow` over a network of `SLOW_MBIT`."""
    page = browser.new_page(viewport={"width": 1440, "height": 1000})
    page.add_init_script(WATCH)
    if slow:
        network = page.context.new_cdp_session(page)
        network.send("Network.enable")
        network.send("Network.emulateNetworkConditions", SLOW)
    page.goto(address)
    page.wait_for_function(IS_QUIET, timeout=60_000)
    at = page.evaluate("[window.headingAt, window.changedAt]")
    page.close()
    return Seen(*(milliseconds / 1000 for milliseconds in at))


@contextmanager
def empty_page() -> Iterator[str]:
    """The address of a page of Streamlit with nothing but a heading."""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "empty.py"
        script.write_text("import streamlit as st\n\nst.title('Empty')\n", encoding="utf-8")
        options = {
            "server.port": port,
            "server.address": "127.0.0.1",
            "server.headless": "true",
            "server.fileWatcherType": "none",
            "browser.gatherUsageStats": "false",
        }
        process = subprocess.Popen(
            [sys.executable, "-m", "streamlit", "run", str(script)]
            + [f"--{name}={value}" for name, value in options.items()],
            env=environment(),
            cwd=folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            until(lambda: is_up(f"http://127.0.0.1:{port}/_stcore/health"))
            yield f"http://127.0.0.1:{port}/"
        finally:
            process.terminate()
            process.wait(timeout=30)
