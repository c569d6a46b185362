"""Quarantined deliveries, and what the store has of them."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Engine, func, select

from receiver.pipeline import judge
from receiver.quarantine import Caps, Total, size_of
from receiver.store import Entry, Quarantined, Written, write_batch
from receiver.vendors.base import Claims, Incoming, Vendor
from receiver.vendors.mindtickle import MindTickle
from shared.bulk import table_of
from shared.database import write_transaction
from shared.models import Quarantine, QuarantineTotal
from shared.outcomes import Kind, Outcome
from tests import playing

V = "mindtickle"
ARRIVAL = datetime(2025, 9, 1, 12, tzinfo=UTC)
"""The arrival of deliveries that are replayed months later."""
HEADERS = {"x-mt-event-id": "e"}
HEADERS_SIZE = len('{"x-mt-event-id": "e"}')


def vendor(*secrets: str, company: str | None = playing.COMPANY, past: int = 600) -> MindTickle:
    """MindTickle under these settings."""
    return MindTickle([one.encode() for one in secrets], company, past=past, future=300)


def incoming(
    key: str,
    secret: str,
    user: str = "u-1",
    at: datetime = ARRIVAL,
    age: timedelta = timedelta(0),
    **data: Any,
) -> Incoming:
    """Progress of a learner, signed `age` before it arrives."""
    body = playing.body_of("module.progress", playing.progress(user, note=key) | data)
    return of_body(body, key, secret, at, age)


def of_body(
    body: bytes, key: str, secret: str, at: datetime = ARRIVAL, age: timedelta = timedelta(0)
) -> Incoming:
    headers = playing.signed(body, at - age, key, secret)
    return Incoming({name: value.encode() for name, value in headers.items()}, body, "::1", at)


def take(
    engine: Engine, deliveries: Iterable[Incoming], under: Vendor, caps: Caps | None = None
) -> list[Written]:
    """Store deliveries as a receiver with these settings does."""
    entries = [judge(under, one) for one in deliveries]
    with write_transaction(engine) as connection:
        return write_batch(connection, entries, caps)


def quarantined_entry(kind: Kind, size: int) -> Entry:
    """A quarantined entry of a kind. `size` is the bytes of body and headers."""
    body = b"x" * (size - HEADERS_SIZE)
    quarantined = Quarantined(HEADERS, body, kind, playing.new_id())
    return Entry(
        V,
        ARRIVAL,
        Claims(None, None),
        Outcome.BAD_SIGNATURE,
        "no",
        None,
        size,
        quarantined=quarantined,
    )


def quarantined_entries(number: int, kind: Kind, size: int) -> list[Entry]:
    """Several of them, all different."""
    return [quarantined_entry(kind, size) for _ in range(number)]


def totals(connection: Connection) -> dict[str, tuple[int, ...]]:
    """By kind: held, held_bytes, dropped, dropped_bytes. Without kinds that are all zero."""
    table = table_of(QuarantineTotal)
    rows = connection.execute(select(*(table.c[name] for name in Total._fields)))
    return {row.kind: tuple(row)[2:] for row in rows if any(tuple(row)[2:])}


def recount(connection: Connection) -> dict[str, tuple[int, int]]:
    """By kind: number and bytes of quarantined bodies, counted in the table itself."""
    row = table_of(Quarantine).c
    query = (
        select(row.kind, func.count(), func.sum(size_of(row)))
        .where(row.state == "held")
        .group_by(row.kind)
    )
    return {kind: (count, int(size)) for kind, count, size in connection.execute(query)}


def assert_totals_are_exact(engine: Engine) -> None:
    with engine.connect() as connection:
        counted = recount(connection)
        said = {kind: row[:2] for kind, row in totals(connection).items() if any(row[:2])}
    assert said == counted
