"""What strangers' requests make of the table of deliveries, and of the queries of pages over it."""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import Connection, Engine, insert

from receiver.pipeline import judge
from receiver.store import write_batch
from receiver.vendors import vendor_facts
from receiver.vendors.base import Incoming
from shared.bulk import table_of
from shared.database import analyze, migrate, open_engine, write_transaction
from shared.models import Delivery
from shared.queries import deliveries, failures, missing
from shared.settings import ReceiverSettings
from tests.holding import V, incoming, vendor
from tests.stores import count

GENUINE = 2_000
"""Deliveries of the vendor's, of which every fifth is refused and never comes again."""
JUNK = 300_000
BATCH = 500
DAY = timedelta(days=1)
RETRY_SPAN = vendor_facts(ReceiverSettings(_env_file=None))[V].schedule.span


class Figures(NamedTuple):
    """Of one store: rows of deliveries, its size in MB, and the milliseconds of each query."""

    rows: int
    megabytes: float
    queries: dict[str, float]

    def in_words(self) -> str:
        times = ", ".join(f"{name} {ms:.1f}" for name, ms in self.queries.items())
        return f"{self.rows:,} rows, {self.megabytes:.1f} MB; ms: {times}"


def compare(folder: Path) -> Iterator[str]:
    """A line for each store: without junk, with it, and with a row for each as it was once."""
    fills: dict[str, Callable[[Engine], None]] = {
        "without": lambda _: None,
        "received": _receive,
        "each with a row": _insert_rows,
    }
    for name, fill in fills.items():
        path = folder / f"{name}.db"
        engine = open_engine(f"sqlite:///{path}")
        migrate(engine)
        _genuine(engine)
        fill(engine)
        analyze(engine)
        size = sum(file.stat().st_size for file in folder.glob(f"{name}.db*"))
        figures = Figures(count(engine, Delivery), size / 1e6, _times(engine))
        yield f"{JUNK:,} requests of strangers, {name}: {figures.in_words()}"
        engine.dispose()


def _times(engine: Engine) -> dict[str, float]:
    since = datetime.now(UTC) - DAY
    queries: dict[str, Callable[[Connection], object]] = {
        "notice": lambda connection: missing.missing(connection, since),
        "chains": lambda connection: failures.unrecovered(connection, V, since - RETRY_SPAN),
        "failed": lambda connection: deliveries.search(connection, deliveries.Search(since), 50),
        "causes": lambda connection: deliveries.causes(connection, since, V),
        "clock": lambda connection: failures.failing_since(connection, V),
    }
    with engine.connect() as connection:
        return {name: _milliseconds(connection, query) for name, query in queries.items()}


def _milliseconds(connection: Connection, query: Callable[[Connection], object]) -> float:
    """The quickest of three."""
    taken = []
    for _ in range(3):
        began = time.perf_counter()
        query(connection)
        taken.append(time.perf_counter() - began)
    return 1000 * min(taken)


def _write(engine: Engine, sent: list[Incoming]) -> None:
    ours = vendor("secret-one")
    for begin in range(0, len(sent), BATCH):
        entries = [judge(ours, one) for one in sent[begin : begin + BATCH]]
        with write_transaction(engine) as connection:
            write_batch(connection, entries)


def _genuine(engine: Engine) -> None:
    now = datetime.now(UTC)
    secrets = ("another", *["secret-one"] * 4)
    _write(engine, [incoming(f"e-{n}", secrets[n % 5], at=now - n * DAY / GENUINE)
                    for n in range(GENUINE)])  # fmt: skip


def _arrivals() -> Iterator[datetime]:
    now = datetime.now(UTC)
    return (now - n * DAY / JUNK for n in range(JUNK))


def _receive(engine: Engine) -> None:
    _write(engine, [Incoming({}, b"%d" % n, "192.0.2.1", at) for n, at in enumerate(_arrivals())])


def _insert_rows(engine: Engine) -> None:
    usual = {"vendor": V, "event_key": "claimed", "outcome": "missing_credentials",
             "status_code": 401, "duration_ms": 1.0, "body_bytes": 9, "sender": "stranger",
             "reason": "No x-mt-webhook-signature header."}  # fmt: skip
    with engine.begin() as connection:
        connection.execute(
            insert(table_of(Delivery)), [usual | {"received_at": at} for at in _arrivals()]
        )
