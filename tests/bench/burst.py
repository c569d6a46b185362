"""A burst of deliveries, and how long until the read models have all of it."""

import signal
import tempfile
import time
from pathlib import Path

from tests.bench import report
from tests.bench.load import check_wrk, seen, sending, write_requests
from tests.bench.stores import KINDS, Stores
from tests.running import Receiver
from tests.stores import is_followed

BURST, CONNECTIONS, TARGET_SEC = 100_000, 128, 60
ALL_DAY = 86_400
ACCEPTED = 'repboard_deliveries_total{outcome="accepted",vendor="mindtickle"}'


def measure(stores: Stores, events: int) -> str:
    """The section of the report: 100,000 deliveries, or `events` if that is less."""
    check_wrk()
    events = min(events, BURST)
    rows, targets = [], []
    for kind, name in KINDS.items():
        taken, followed, behind = _burst(stores, kind, events)
        rate = f"{events / taken:,.0f}"
        rows.append((name, f"{taken:.1f}", rate, f"{behind:,.0f}", f"{followed:.1f}"))
        words = f"followed within {TARGET_SEC} s after the last answer on {name}"
        targets.append(report.holds(words, followed < TARGET_SEC))
    head = (f"{events:,} deliveries", "seconds", "a second", "events behind", "seconds to follow")
    return (
        f"As fast as {CONNECTIONS} connections send them. *Behind* is what the read models do not "
        f"have at the last answer, by `/metrics`.\n\n{report.table(head, rows)}\n\n"
        + "\n".join(targets)
    )


def _burst(stores: Stores, kind: str, events: int) -> tuple[float, float, float]:
    """Seconds until all are answered, then until all are followed, and how many were not."""
    with tempfile.TemporaryDirectory(dir=stores.folder) as name, stores.fresh(kind) as store:
        requests = write_requests(Path(name) / "requests", events, "burst")
        with Receiver(store, Path(name)) as receiver:
            began = time.monotonic()
            with sending(receiver.url, requests, CONNECTIONS, ALL_DAY) as process:
                while receiver.metric(ACCEPTED) < events - 1:  # wrk keeps one for itself
                    time.sleep(0.1)
                taken = time.monotonic() - began
                behind = receiver.metric("repboard_events_behind")
                while not is_followed(receiver.engine):
                    time.sleep(0.1)
                followed = time.monotonic() - began - taken
                process.send_signal(signal.SIGINT)
                seen(process)
    report.say(f"{KINDS[kind]}: {taken:.1f} s, followed after {followed:.1f} s")
    return taken, followed, behind
