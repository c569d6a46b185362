"""How long `rebuild`, `erase` and `replay` take, and how long deliveries wait for them."""

import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from time import perf_counter

from sqlalchemy import select

from receiver.pipeline import judge
from receiver.store import Entry, write_batch
from receiver.vendors.base import Incoming
from receiver.vendors.mindtickle import MindTickle
from shared.database import open_engine, write_transaction
from shared.models import Event
from tests import playing
from tests.bench import report
from tests.bench.load import deliveries
from tests.bench.stores import KINDS, Stores
from tests.running import environment
from tests.stores import count

MILLION, TARGET_SEC = 1_000_000, 60
EACH_SEC = 0.02
ERASED = "mindtickle/u-00000"
QUARANTINED, BATCH = 20_000, 500
"""As many as the quarantine of a vendor holds by default."""


def measure(stores: Stores, events: int) -> str:
    """The section of the report, for a million events or `events` if that is less."""
    events = min(events, MILLION)
    rows, targets = [], []
    for kind, name in KINDS.items():
        seeded = stores.seeded(kind, events)
        with _writing(seeded) as waits:
            took = _command(seeded, "rebuild")
        rows.append(_row(f"`rebuild`, {name}", events, took, waits))
        words = f"a rebuild at the pace of a million events in {TARGET_SEC} s on {name}"
        targets.append(report.holds(words, took * MILLION / events < TARGET_SEC))
        with stores.copy(kind, events) as store, _writing(store) as waits:
            took = _command(store, "erase", "--user", ERASED, "--yes")
        rows.append(_row(f"`erase` of one person, {name}", events, took, waits))
        with stores.fresh(kind) as store:
            _fill_quarantine(store)
            with _writing(store) as waits:
                took = _command(store, "replay", "--vendor", "mindtickle")
            _check(store)
        rows.append(_row(f"`replay`, {name}", QUARANTINED, took, waits))
    head = ("the whole command", "events", "seconds", "events a second", "longest wait, ms")
    return (
        "*Longest wait*: of a transaction with the write lock, beside the command one each "
        f"{1000 * EACH_SEC:.0f} ms.\n\n{report.table(head, rows)}\n\n" + "\n".join(targets)
    )


def _row(name: str, events: int, took: float, waits: Sequence[float]) -> Sequence[str]:
    rate, longest = events / took, 1000 * max(waits)
    return name, f"{events:,}", f"{took:.1f}", f"{rate:,.0f}", f"{longest:,.0f}"


@contextmanager
def _writing(store: str) -> Iterator[Sequence[float]]:
    """What writes as a receiver does: for how many seconds each transaction waited."""
    engine = open_engine(store, intake=True)
    waits: list[float] = []
    ended = threading.Event()

    def write() -> None:
        while not ended.wait(EACH_SEC):
            began = perf_counter()
            with write_transaction(engine) as connection:
                connection.execute(select(1))
                waits.append(perf_counter() - began)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield waits
    finally:
        ended.set()
        thread.join()
        engine.dispose()


def _command(store: str, *arguments: str) -> float:
    """Seconds that `python -m receiver …` takes, its start included."""
    settings = environment(DATABASE_URL=store, MINDTICKLE_WEBHOOK_SECRET=playing.SECRET)
    began = perf_counter()
    subprocess.run(
        [sys.executable, "-m", "receiver", *arguments],
        env=settings, check=True, capture_output=True,
    )  # fmt: skip
    took = perf_counter() - began
    report.say(f"{arguments[0]} on {store.partition(':')[0]}: {took:.1f} s")
    return took


def _fill_quarantine(store: str) -> None:
    """Fill the quarantine: a receiver that does not know the secret yet refuses everything."""
    engine = open_engine(store)
    refused = [_refused(*one) for one in deliveries(QUARANTINED, "quarantined")]
    for first in range(0, QUARANTINED, BATCH):
        with write_transaction(engine) as connection:
            write_batch(connection, refused[first : first + BATCH])
    engine.dispose()


def _refused(body: bytes, headers: dict[str, str]) -> Entry:
    vendor = MindTickle([b"not-this-one"], None, past=86_400, future=300)
    encoded = {name: value.encode() for name, value in headers.items()}
    return judge(vendor, Incoming(encoded, body, "192.0.2.7", datetime.now(UTC)))


def _check(store: str) -> None:
    engine = open_engine(store)
    stored = count(engine, Event)
    engine.dispose()
    if stored != QUARANTINED:
        sys.exit(f"Only {stored:,} of {QUARANTINED:,} quarantined deliveries became an event.")
