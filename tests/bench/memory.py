"""The memory of a receiver while a million deliveries come, and after."""

import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import NamedTuple

import psutil

from tests.bench import report
from tests.bench.load import check_wrk, seen, sending, write_requests
from tests.bench.stores import Stores
from tests.running import Receiver

MILLION = 1_000_000
CONNECTIONS, EVERY_SEC, REST_SEC = 128, 2.0, 30
ALL_DAY = 86_400
LIMIT_MB, FLAT = 150, 1.1
ACCEPTED = 'repboard_deliveries_total{outcome="accepted",vendor="mindtickle"}'


class Sample(NamedTuple):
    """Resident memory after so many deliveries."""

    events: float
    megabytes: float


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
    process = psutil.Process(receiver.process.pid)

    def watch() -> None:
        while not over.wait(EVERY_SEC):
            samples.append(Sample(receiver.metric(ACCEPTED), process.memory_info().rss / 1e6))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield samples
    finally:
        over.set()
        watcher.join()


def _report(samples: list[Sample], rate: float) -> str:
    accepted = samples[-1].events
    parts = [
        median(one.megabytes for one in samples if tenth < 10 * one.events / accepted <= tenth + 1)
        for tenth in (1, 5, 9)
    ]
    peak = max(one.megabytes for one in samples)
    names = ("second", "sixth", "last")
    rows = [
        *((f"{name} tenth", f"{one:.0f}") for name, one in zip(names, parts, strict=True)),
        ("peak", f"{peak:.0f}"),
        (f"{REST_SEC} s after the last", f"{samples[-1].megabytes:.0f}"),
    ]
    return (
        f"{accepted:,.0f} unique deliveries at {CONNECTIONS} connections on SQLite, "
        f"{rate:,.0f} a second; resident memory of the process, looked at every "
        f"{EVERY_SEC:.0f} s.\n\n{report.table(('while', 'MB'), rows)}\n\n"
        + report.holds(f"under {LIMIT_MB} MB", peak < LIMIT_MB)
        + "\n"
        + report.holds("flat: the last tenth within 10 % of the second", parts[2] < FLAT * parts[0])
    )
