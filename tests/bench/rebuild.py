"""How long `rebuild` and `replay` take."""

import subprocess
import sys
from datetime import UTC, datetime
from time import perf_counter

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
QUARANTINED, BATCH = 20_000, 500
"""As many as the quarantine of a vendor holds by default."""


def measure(stores: Stores, events: int) -> str:
    """The section of the report, for a million events or `events` if that is less."""
    events = min(events, MILLION)
    rows, targets = [], []
    for kind, name in KINDS.items():
        took = _command(stores.seeded(kind, events), "rebuild")
        rows.append((f"`rebuild`, {name}", f"{events:,}", f"{took:.1f}", f"{events / took:,.0f}"))
        words = f"a rebuild at the pace of a million events in {TARGET_SEC} s on {name}"
        targets.append(report.holds(words, took * MILLION / events < TARGET_SEC))
        with stores.fresh(kind) as store:
            _fill_quarantine(store)
            took = _command(store, "replay", "--vendor", "mindtickle")
            _check(store)
        rows.append(
            (f"`replay`, {name}", f"{QUARANTINED:,}", f"{took:.1f}", f"{QUARANTINED / took:,.0f}")
        )
    head = ("the whole command", "events", "seconds", "events a second")
    return f"{report.table(head, rows)}\n\n" + "\n".join(targets)


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
