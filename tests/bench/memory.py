"""The memory of a receiver's processes while a million deliveries come, and after."""

import signal
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import NamedTuple

from tests.bench import report
from tests.bench.load import check_wrk, seen, sending, write_requests
from tests.bench.stores import Stores
from tests.running import Receiver

MILLION = 1_000_000
CONNECTIONS, EVERY_SEC, REST_SEC = 128, 2.0, 30
ALL_DAY = 86_400
LIMIT_MB, FLAT = 150, 1.1
ACCEPTED = 'repboard_deliveries_total{outcome="accepted",vendor="mindtickle"}'
PARENT = "parent"


class Sample(NamedTuple):
    """Resident megabytes of each process after so many deliveries."""

    events: float
    megabytes: Mapping[str, float]


def measure(stores: Stores, events: int) -> str:
    """The section of the report: a million deliveries, or `events` if that is less."""
    check_wrk()
    events = min(events, MILLION)
    with tempfile.TemporaryDirectory(dir=stores.folder) as name, stores.fresh("sqlite") as store:
        requests = write_requests(Path(name) / "requests", events, "evt")
        report.say(f"{events:,} requests are signed")
        with Receiver(store, Path(name)) as receiver, _watched(receiver) as samples:
            with sending(receiver.url, requests, CONNECTIONS, ALL_DAY) as process:
                _wait(samples)
                process.send_signal(signal.SIGINT)
                rate = seen(process).rate
            time.sleep(REST_SEC)
    return _report(samples, rate)


def _wait(samples: list[Sample]) -> None:
    """Until no more deliveries come."""
    while len(samples) < 3 or samples[-3].events < samples[-1].events or not samples[-1].events:
        time.sleep(EVERY_SEC)


@contextmanager
def _watched(receiver: Receiver) -> Iterator[list[Sample]]:
    samples: list[Sample] = []
    over = threading.Event()

    def watch() -> None:
        while not over.wait(EVERY_SEC):
            samples.append(Sample(receiver.metric(ACCEPTED), _megabytes(receiver)))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield samples
    finally:
        over.set()
        watcher.join()


def _megabytes(receiver: Receiver) -> Mapping[str, float]:
    parent, *children = receiver.processes()
    named = [(PARENT, parent), *((one.name(), one) for one in children)]
    return {name: one.memory_info().rss / 1e6 for name, one in named}


def _report(samples: list[Sample], rate: float) -> str:
    accepted = samples[-1].events
    processes = sorted(samples[-1].megabytes, reverse=True)
    tenths = {"second tenth": 1, "sixth tenth": 5, "last tenth": 9}
    while_ = {
        name: [one for one in samples if tenth < 10 * one.events / accepted <= tenth + 1]
        for name, tenth in tenths.items()
    }
    middle = {
        (name, process): median(one.megabytes[process] for one in some)
        for name, some in while_.items()
        for process in processes
    }
    peak = {one: max(sample.megabytes[one] for sample in samples) for one in processes}
    rows = [
        *((name, *(f"{middle[name, one]:.0f}" for one in processes)) for name in tenths),
        ("peak", *(f"{peak[one]:.0f}" for one in processes)),
        (
            f"{REST_SEC} s after the last",
            *(f"{samples[-1].megabytes[one]:.0f}" for one in processes),
        ),
    ]
    flat = all(middle["last tenth", one] < FLAT * middle["second tenth", one] for one in processes)
    head = ("while", *(f"{one}, MB" for one in processes))
    return (
        f"{accepted:,.0f} unique deliveries at {CONNECTIONS} connections on SQLite, "
        f"{rate:,.0f} a second; resident memory of each process, looked at every "
        f"{EVERY_SEC:.0f} s. A part of it is shared between them.\n\n"
        f"{report.table(head, rows)}\n\n"
        + report.holds(f"each process under {LIMIT_MB} MB", max(peak.values()) < LIMIT_MB)
        + "\n"
        + report.holds("flat: the last tenth within 10 % of the second", flat)
    )
