"""Appends a batch of deliveries in few statements, in the caller's transaction.

Only what an acknowledgement promises is written. Read models follow (`receiver.readmodels`).
"""

import json
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from operator import itemgetter
from time import perf_counter
from typing import Any, NamedTuple

from sqlalchemy import Connection, bindparam, select, update
from sqlalchemy.sql.dml import ReturningInsert

from receiver.quarantine import Arrival, Caps, keep
from receiver.vendors.base import Claims, VendorEvent
from shared.bulk import Row, Upsert, append, encode, insert_rows, spelled, table_of, upsert
from shared.models import Delivery, DeliveryHourly, Event, Heartbeat
from shared.outcomes import STATUS, STRANGERS_LISTED, Kind, Outcome, Sender
from shared.queries import rows_of

DELIVERY = (
    "vendor",
    "received_at",
    "event_key",
    "event_type",
    "outcome",
    "reason",
    "status_code",
    "duration_ms",
    "remote_ip",
    "body_bytes",
    "replay_of",
    "sender",
)
EVENT = (
    "vendor",
    "event_key",
    "digest",
    "type",
    "company_id",
    "user_id",
    "occurred_at",
    "received_at",
    "payload",
    "delivery_id",
)


PARTS = 64
"""Of the counts by hour. Two receivers with the same part wait for each other, and nothing else."""
SHARED_PART = 0


class HourlyCount(NamedTuple):
    """A row of `delivery_hourly`."""

    vendor: str
    hour: datetime
    outcome: str
    sender: str
    part: int
    deliveries: int


@dataclass(frozen=True, slots=True)
class Quarantined:
    """What goes into quarantine: the body, and the headers needed to verify it again."""

    headers: Mapping[str, str]
    body: bytes
    kind: Kind
    digest: str
    """The same for a repeat, which is quarantined once."""


class Replay(NamedTuple):
    """Marks an entry as a replay: of which delivery, and when."""

    of: int
    at: datetime


@dataclass(frozen=True, slots=True)
class Entry:
    """One delivery to store. A new event that proves to be a duplicate changes `outcome`.

    `received_at` is the time of the vendor's request, also in a replay: an event keeps its time.
    """

    vendor: str
    received_at: datetime
    claims: Claims
    outcome: Outcome
    reason: str | None
    remote_ip: str | None
    body_bytes: int
    event: VendorEvent | None = None
    quarantined: Quarantined | None = None
    replay: Replay | None = None
    sender: Sender = Sender.VENDOR
    trial: bool = False
    """Whether it is a test of our own, of which nothing stays."""
    started: float = field(default_factory=perf_counter)


@dataclass(frozen=True, slots=True)
class Written:
    """The stored outcome of an entry. A request that is only counted has no row."""

    delivery_id: int | None
    outcome: Outcome


def write_batch(
    connection: Connection, entries: Sequence[Entry], caps: Caps | None = None, part: int = 1
) -> list[Written]:
    """Store entries. Unique indexes decide about duplicates.

    All entries of strangers, and all too large ones, are counted, but only the first of an hour are
    stored. `caps` limit each vendor's quarantine. `part` is that of this receiver's counts, from 1
    to PARTS.

    On Postgres no receiver waits for another, with three exceptions: for the same event, for the
    first requests of strangers in an hour, and for the quarantine of a vendor. All lock in the same
    order, so they do not deadlock.
    """
    only_counted = _count_sampled(connection, entries, part)
    stored = [entry for n, entry in enumerate(entries) if n not in only_counted]
    written = iter(_store(connection, stored, caps or Caps(), part))
    return [
        Written(None, entry.outcome) if n in only_counted else next(written)
        for n, entry in enumerate(entries)
    ]


def try_out(
    connection: Connection, entry: Entry, caps: Caps | None = None, part: int = 1
) -> Written:
    """Store one entry as any other, and take back all of it within the caller's transaction: no
    reader ever sees any of it."""
    with connection.begin_nested() as taken_back:
        (written,) = write_batch(connection, [entry], caps, part)
        taken_back.rollback()
    return Written(None, written.outcome)


def _store(
    connection: Connection, entries: Sequence[Entry], caps: Caps, part: int
) -> list[Written]:
    if not entries:
        return []
    # Deliveries first: so the transaction has its number before it draws IDs of events, which the
    # follower relies on (`receiver.readmodels.follower`).
    ids = _insert_deliveries(connection, entries)
    numbered = list(zip(ids, entries, strict=True))
    fresh = _insert_events(connection, numbered)
    outcomes = [_outcome(delivery_id, entry, fresh) for delivery_id, entry in numbered]
    _mark_duplicates(connection, zip(ids, outcomes, strict=True))
    _note_repeats(connection, keep(connection, _arrivals(numbered), caps))
    _count_by_hour(connection, entries, outcomes, part)
    return [Written(*one) for one in zip(ids, outcomes, strict=True)]


def _outcome(delivery_id: int, entry: Entry, fresh: set[int]) -> Outcome:
    repeated = entry.event is not None and delivery_id not in fresh
    return Outcome.DUPLICATE if repeated else entry.outcome


def _insert_deliveries(connection: Connection, entries: Sequence[Entry]) -> list[int]:
    """The new IDs, in the order of the entries: rows are inserted in order and IDs increase."""
    now = perf_counter()
    rows = [
        (
            entry.vendor,
            spelled(entry.replay.at if entry.replay else entry.received_at),
            entry.claims.event_key,
            entry.claims.event_type,
            entry.outcome.value,
            entry.reason,
            STATUS[entry.outcome],
            (now - entry.started) * 1000,
            entry.remote_ip,
            entry.body_bytes,
            entry.replay.of if entry.replay else None,
            entry.sender.value,
        )
        for entry in entries
    ]
    if connection.dialect.name == "sqlite":
        first = append(connection, Delivery, DELIVERY, rows).first_id
        return list(range(first, first + len(rows)))
    new = _new_deliveries(connection.dialect.name)
    return sorted(connection.scalars(new, {"rows": encode(rows)}))


@cache
def _new_deliveries(dialect: str) -> ReturningInsert[tuple[int]]:
    return insert_rows(dialect, Delivery, DELIVERY).returning(table_of(Delivery).c.id)


def _insert_events(connection: Connection, numbered: Iterable[tuple[int, Entry]]) -> set[int]:
    """The IDs of deliveries whose event is new. Events are inserted in the order of their keys: a
    transaction with one of the same events waits for this one, and this one never for that."""
    with_event = sorted(
        (
            (entry.vendor, entry.event.event_key, delivery_id, entry, entry.event)
            for delivery_id, entry in numbered
            if entry.event
        ),
        key=itemgetter(0, 1, 2),
    )
    rows = [
        (
            vendor,
            event_key,
            event.digest,
            event.type,
            event.company_id,
            event.user_id,
            spelled(event.occurred_at),
            spelled(entry.received_at),
            event.payload,
            delivery_id,
        )
        for vendor, event_key, delivery_id, entry, event in with_event
    ]
    if not rows:
        return set()
    if connection.dialect.name == "sqlite":
        return _append_events(connection, rows)
    return set(connection.scalars(_new_events(connection.dialect.name), {"rows": encode(rows)}))


def _append_events(connection: Connection, rows: Sequence[Row]) -> set[int]:
    """Insert events into SQLite. Returns the IDs of deliveries whose event is new: usually all."""
    first_id, stored = append(connection, Event, EVENT, rows)
    if stored == len(rows):
        return {row[-1] for row in rows}
    event = table_of(Event).c
    return set(connection.scalars(select(event.delivery_id).where(event.id >= first_id)))


@cache
def _new_events(dialect: str) -> ReturningInsert[tuple[int]]:
    statement = insert_rows(dialect, Event, EVENT).on_conflict_do_nothing()
    return statement.returning(table_of(Event).c.delivery_id)


def _mark_duplicates(connection: Connection, outcomes: Iterable[tuple[int, Outcome]]) -> None:
    ids = [delivery_id for delivery_id, outcome in outcomes if outcome is Outcome.DUPLICATE]
    if ids:
        delivery = table_of(Delivery)
        connection.execute(
            update(delivery)
            .where(delivery.c.id.in_(ids))
            .values(outcome=Outcome.DUPLICATE, reason=None)
        )


def _note_repeats(connection: Connection, repeats: Mapping[int, int]) -> None:
    """Point each repeat to the delivery that has its body in quarantine."""
    if repeats:
        delivery = table_of(Delivery)
        noted = update(delivery).where(delivery.c.id == bindparam("repeat"))
        connection.execute(
            noted.values(held_as=bindparam("first")),
            [{"repeat": repeat, "first": first} for repeat, first in repeats.items()],
        )


def _arrivals(numbered: Iterable[tuple[int, Entry]]) -> list[Arrival]:
    return [
        Arrival(
            delivery_id,
            entry.vendor,
            entry.received_at,
            entry.quarantined.kind,
            json.dumps(dict(entry.quarantined.headers)),
            entry.quarantined.body,
            entry.quarantined.digest,
        )
        for delivery_id, entry in numbered
        if entry.quarantined
    ]


def _hour(entry: Entry) -> tuple[str, datetime]:
    return entry.vendor, entry.received_at.replace(minute=0, second=0, microsecond=0)


def _is_sampled(entry: Entry) -> bool:
    """A stranger's, or too large: then the body was not read, so it may be forged."""
    return entry.sender is Sender.STRANGER or entry.outcome is Outcome.TOO_LARGE


def _count_sampled(connection: Connection, entries: Sequence[Entry], part: int) -> set[int]:
    """Count requests of which an hour has a sample of rows. Returns the places of the entries that
    get no row.

    The count in the store decides, so the limit holds for all receivers together and over restarts.
    Once an hour has its sample, each receiver counts in its own part, and waits for no other.
    """
    places: dict[tuple[str, datetime, str, str], list[int]] = defaultdict(list)
    for place, entry in enumerate(entries):
        if _is_sampled(entry):
            places[*_hour(entry), entry.outcome, entry.sender].append(place)
    if not places:
        return set()
    full = _with_sample(connection, places)
    counts = [
        HourlyCount(*key, part if key in full else SHARED_PART, len(places[key]))
        for key in sorted(places)
    ]
    only_counted: set[int] = set()
    statement = _sampled_in_hour(connection.dialect.name)
    for row in rows_of(HourlyCount, connection.execute(statement, {"rows": encode(counts)})):
        of_row = places[row.vendor, row.hour, row.outcome, row.sender]
        before = row.deliveries - len(of_row) if row.part == SHARED_PART else STRANGERS_LISTED
        only_counted.update(of_row[max(0, STRANGERS_LISTED - before) :])
    return only_counted


def _with_sample(
    connection: Connection, keys: Collection[tuple[str, datetime, str, str]]
) -> set[tuple[str, datetime, str, str]]:
    """Those of the keys whose hour has all rows of its sample."""
    row = table_of(DeliveryHourly).c
    query = select(row.vendor, row.hour, row.outcome, row.sender).where(
        row.hour.in_({hour for _, hour, _, _ in keys}),
        row.part == SHARED_PART,
        row.deliveries >= STRANGERS_LISTED,
    )
    return {tuple(found) for found in connection.execute(query)}.intersection(keys)


def _count_by_hour(
    connection: Connection, entries: Iterable[Entry], outcomes: Iterable[Outcome], part: int
) -> None:
    # A replay is no request: the delivery was counted when it arrived.
    counts = Counter(
        (*_hour(entry), outcome, entry.sender)
        for entry, outcome in zip(entries, outcomes, strict=True)
        if not entry.replay and not _is_sampled(entry)
    )
    rows = ((*key, part, count) for key, count in counts.items())
    upsert(connection, _more_in_hour(connection.dialect.name), rows, key_columns=5)


@cache
def _more_in_hour(dialect: str) -> Upsert:
    statement = insert_rows(dialect, DeliveryHourly, HourlyCount._fields)
    old = table_of(DeliveryHourly).c.deliveries
    return statement.on_conflict_do_update(
        index_elements=["vendor", "hour", "outcome", "sender", "part"],
        set_={"deliveries": old + statement.excluded.deliveries},
    )


@cache
def _sampled_in_hour(dialect: str) -> ReturningInsert[*tuple[Any, ...]]:
    hourly = table_of(DeliveryHourly).c
    return _more_in_hour(dialect).returning(*(hourly[name] for name in HourlyCount._fields))


def write_heartbeat(
    connection: Connection, receiver: str, started_at: datetime, seen_at: datetime
) -> None:
    """Record that this run of a receiver is up."""
    columns = ("receiver", "started_at", "seen_at")
    statement = insert_rows(connection.dialect.name, Heartbeat, columns)
    statement = statement.on_conflict_do_update(
        index_elements=["receiver"], set_={"seen_at": statement.excluded.seen_at}
    )
    upsert(connection, statement, [(receiver, started_at, seen_at)], key_columns=1)
