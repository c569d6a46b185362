"""Replay: verify again what was held back, and take in what passes today.

A delivery is verified as of the moment it arrived, so it is not stale because the replay is late.
Nothing is taken that today's settings would not have taken then.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from time import sleep
from typing import Any, NamedTuple

import structlog
from sqlalchemy import Connection, Engine, Row, Select, func, or_, select, update

from receiver.errors import ReplayError, Stopping, first_line, is_of_the_store
from receiver.pipeline import judge
from receiver.quarantine import Change, add_to_totals, size_of
from receiver.store import Entry, Replay, write_batch
from receiver.vendors.base import Incoming, SecretDigest, Vendor
from shared.audit import note
from shared.bulk import table_of
from shared.models import Delivery, Event, Quarantine
from shared.outcomes import Outcome, QuarantineState

BATCH = 200
BATCH_BYTES = 8_388_608
PAUSE_SEC = 0.02
REPLAYABLE = tuple(
    one for one in Outcome if one not in (Outcome.ACCEPTED, Outcome.DUPLICATE, Outcome.TOO_LARGE)
)
"""The outcomes whose deliveries are held, and so can be replayed."""

quarantine = table_of(Quarantine)
delivery = table_of(Delivery).c
event = table_of(Event).c
log = structlog.get_logger()

QuarantinedRow = Row[*tuple[Any, ...]]


class Replayed(NamedTuple):
    """What became of held deliveries, or would have in a dry run."""

    taken: int = 0
    already_delivered: int = 0
    """Their event was there before: by the vendor's own retry, or by an earlier attempt."""
    still_refused: int = 0

    def plus(self, other: "Replayed") -> "Replayed":
        return Replayed(*(one + more for one, more in zip(self, other, strict=True)))

    def in_words(self) -> str:
        return (
            f"{self.taken:,} taken, {self.already_delivered:,} already delivered, "
            f"{self.still_refused:,} still refused"
        )


class Passed(NamedTuple):
    """A held delivery that verifies today, and what would be written of it."""

    delivery_id: int
    kind: str
    size: int
    entry: Entry


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which held deliveries: of a vendor, since a moment, refused with an outcome."""

    vendor: str
    since: datetime | None
    outcome: str | None

    def __str__(self) -> str:
        parts = [
            self.since and f"since {self.since.astimezone(UTC).isoformat()}",
            self.outcome and f"refused as {self.outcome}",
        ]
        return "; ".join(part for part in parts if part)


@dataclass(slots=True)
class Seen:
    """The keys and digests that a dry run has met, as the event table would hold them by now."""

    keys: set[str] = field(default_factory=set)
    digests: set[str] = field(default_factory=set)


def breathe() -> bool:
    """Between two transactions: SQLite has no queue for its lock, so leave it for a moment."""
    sleep(PAUSE_SEC)
    return False


def replay(
    engine: Engine,
    vendors: Mapping[str, Vendor],
    vendor_slug: str,
    *,
    since: datetime | None = None,
    outcome: str | None = None,
    dry_run: bool = False,
    actor: str = "command line",
    on_progress: Callable[[Replayed], None] = lambda _: None,
    stopping: Callable[[], bool] = breathe,
) -> Replayed:
    """Verify a vendor's held deliveries again, and take in those that pass.

    `since` is about their arrival, `outcome` about why they were refused. A dry run changes
    nothing but the audit log. `on_progress` is given the counts so far after each transaction,
    and `stopping` is asked whether to break off; it may wait, as others have the store meanwhile.

    Raises ReplayError for a vendor that is not served or an outcome that holds nothing back, and
    Stopping if it was broken off. What is committed by then stays, and so does the rest.
    """
    vendor = vendors.get(vendor_slug)
    if vendor is None:
        raise ReplayError(f"Vendor {vendor_slug!r} is not served here: {_known(vendors)}.")
    if outcome is not None and outcome not in REPLAYABLE:
        raise ReplayError(f"No delivery is held as {outcome!r}: use {', '.join(REPLAYABLE)}.")
    wanted = Wanted(vendor_slug, since, outcome)
    counts, seen, ended = Replayed(), Seen(), "broken off"
    try:
        for batch in _batches(engine, wanted):
            passed = [one for one in (_again(vendor, row) for row in batch) if one]
            become = _would(engine, passed, seen) if dry_run else _take(engine, passed)
            refused = Replayed(still_refused=len(batch) - len(passed))
            counts = counts.plus(become).plus(refused)
            on_progress(counts)
            if stopping():
                raise Stopping("The receiver stopped before the replay was through.")
        ended = ""
    finally:
        detail = "; ".join(part for part in (counts.in_words(), str(wanted), ended) if part)
        with engine.begin() as connection:
            note(connection, actor, "replay dry run" if dry_run else "replay", vendor_slug, detail)
    return counts


def _known(vendors: Mapping[str, Vendor]) -> str:
    return f"use {', '.join(sorted(vendors))}" if vendors else "no vendor has its credential set"


def _batches(engine: Engine, wanted: Wanted) -> Iterator[Sequence[QuarantinedRow]]:
    """What is held by now, oldest first, some at a time."""
    with engine.connect() as connection:
        newest = connection.scalar(select(func.max(quarantine.c.delivery_id))) or 0
    query = _query(wanted).where(quarantine.c.delivery_id <= newest)
    last = 0
    while rows := _next_batch(engine, query.where(quarantine.c.delivery_id > last)):
        yield rows
        last = rows[-1].delivery_id


def _query(wanted: Wanted) -> Select[*tuple[Any, ...]]:
    query = (
        select(quarantine.c.delivery_id, quarantine.c.kind, size_of(quarantine.c).label("size"))
        .join(Delivery, delivery.id == quarantine.c.delivery_id)
        .where(
            quarantine.c.vendor == wanted.vendor, quarantine.c.state == QuarantineState.QUARANTINED
        )
        .order_by(quarantine.c.delivery_id)
        .limit(BATCH)
    )
    if wanted.since is not None:
        query = query.where(quarantine.c.received_at >= wanted.since)
    if wanted.outcome is not None:
        query = query.where(delivery.outcome == wanted.outcome)
    return query


def _next_batch(engine: Engine, query: Select[*tuple[Any, ...]]) -> Sequence[QuarantinedRow]:
    """The next rows, fewer where their bodies are large."""
    with engine.connect() as connection:
        sizes = [(row.delivery_id, row.size) for row in connection.execute(query)]
        ids: list[int] = []
        total = 0
        for delivery_id, size in sizes:
            total += size
            if ids and total > BATCH_BYTES:
                break
            ids.append(delivery_id)
        whole = (
            query.add_columns(
                quarantine.c.headers, quarantine.c.body, quarantine.c.received_at, delivery.remote_ip
            ).where(quarantine.c.delivery_id.in_(ids))
        )  # fmt: skip
        return connection.execute(whole).all() if ids else ()


def as_it_came(
    vendor: Vendor, kept: Mapping[str, str], body: bytes, peer: str | None, received_at: datetime
) -> Incoming:
    """The delivery of which these headers were kept; a secret among them only as its digest."""
    headers = {one: kept[one].encode() for one in vendor.kept_headers if one in kept}
    digests = {one: SecretDigest.read(kept[one]) for one in vendor.secret_headers if one in kept}
    return Incoming(headers, body, peer, received_at, digests)


def _again(vendor: Vendor, row: QuarantinedRow) -> Passed | None:
    """The delivery as it came, judged by today's settings; None if it does not pass."""
    kept = json.loads(row.headers)
    entry = judge(vendor, as_it_came(vendor, kept, row.body, row.remote_ip, row.received_at))
    if entry.event is None:
        return None
    at_replay = replace(entry, replay=Replay(row.delivery_id, datetime.now(UTC)))
    return Passed(row.delivery_id, row.kind, row.size, at_replay)


def _take(engine: Engine, passed: Sequence[Passed]) -> Replayed:
    """Take deliveries in; if one of them cannot be written, the others still are."""
    if not passed:
        return Replayed()
    try:
        with engine.connect().execution_options(immediate=True) as connection, connection.begin():
            return _take_in(connection, passed)
    except Exception as error:
        if is_of_the_store(error):
            raise
        if len(passed) == 1:
            log.error("replay_failed", delivery_id=passed[0].delivery_id, error=first_line(error))
            return Replayed(still_refused=1)
    counts = Replayed()
    for one in passed:
        counts = counts.plus(_take(engine, [one]))
    return counts


def _take_in(connection: Connection, passed: Sequence[Passed]) -> Replayed:
    """Whoever locks a row while it is held takes it in; for anybody else it is gone by then."""
    locked = (
        select(quarantine.c.delivery_id)
        .where(quarantine.c.delivery_id.in_([one.delivery_id for one in passed]))
        .where(quarantine.c.state == QuarantineState.QUARANTINED)
        .with_for_update(skip_locked=True)
    )
    ids = set(connection.scalars(locked))
    ours = [one for one in passed if one.delivery_id in ids]
    if not ours:
        return Replayed()
    outcomes = [one.outcome for one in write_batch(connection, [one.entry for one in ours])]
    new = [one.delivery_id for one, outcome in zip(ours, outcomes, strict=True)
           if outcome is Outcome.ACCEPTED]  # fmt: skip
    _close(connection, new, QuarantineState.REPLAYED)
    _close(connection, sorted(ids.difference(new)), QuarantineState.DISCARDED)
    remove_from_totals(connection, [(one.entry.vendor, one.kind, one.size) for one in ours])
    return Replayed(len(new), len(ours) - len(new))


def _close(connection: Connection, ids: Sequence[int], state: QuarantineState) -> None:
    if ids:
        connection.execute(
            update(quarantine).where(quarantine.c.delivery_id.in_(ids)).values(state=state)
        )


def remove_from_totals(connection: Connection, gone: Sequence[tuple[str, str, int]]) -> None:
    """Take deliveries, each (vendor, kind, size in bytes), out of the totals."""
    counts, sizes = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    for vendor, kind, size in gone:
        counts[vendor, kind] += 1
        sizes[vendor, kind] += size
    if counts:
        add_to_totals(connection, {key: Change(-counts[key], -sizes[key]) for key in counts})


def _would(engine: Engine, passed: Sequence[Passed], seen: Seen) -> Replayed:
    """What taking them in would give."""
    events = [one.entry.event for one in passed if one.entry.event]
    if not events:
        return Replayed()
    stored = select(event.event_key, event.digest).where(
        event.vendor == passed[0].entry.vendor,
        or_(
            event.event_key.in_([one.event_key for one in events]),
            event.digest.in_([one.digest for one in events]),
        ),
    )
    with engine.connect() as connection:
        for row in connection.execute(stored):
            seen.keys.add(row.event_key)
            seen.digests.add(row.digest)
    new = 0
    for one in sorted(events, key=lambda one: one.event_key):  # as `write_batch` inserts them
        if one.event_key not in seen.keys and one.digest not in seen.digests:
            new += 1
            seen.keys.add(one.event_key)
            seen.digests.add(one.digest)
    return Replayed(new, len(events) - new)
