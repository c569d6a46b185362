"""Replay: verify quarantined deliveries again, and accept those that pass.

A delivery is verified with today's settings, but as of its arrival: a late replay does not make it
stale.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from time import sleep
from typing import Any, NamedTuple

import structlog
from sqlalchemy import Connection, Engine, Select, func, or_, select, update

from receiver.errors import ReplayError, Stopping, first_line, is_of_the_store
from receiver.pipeline import judge
from receiver.quarantine import size_of, subtract_from_totals
from receiver.store import Entry, Replay, write_batch
from receiver.vendors.base import Incoming, SecretDigest, Vendor
from shared.audit import note
from shared.bulk import table_of
from shared.clock import now
from shared.models import Delivery, Event, Quarantine
from shared.outcomes import Outcome, QuarantineState
from shared.queries import rows_of

BATCH = 200
BATCH_BYTES = 8_388_608
PAUSE_SEC = 0.02
REPLAYABLE = tuple(
    one for one in Outcome if one not in (Outcome.ACCEPTED, Outcome.DUPLICATE, Outcome.TOO_LARGE)
)
"""The outcomes whose deliveries are quarantined and can be replayed."""

quarantine = table_of(Quarantine)
delivery = table_of(Delivery).c
event = table_of(Event).c
log = structlog.get_logger()


class QuarantinedRow(NamedTuple):
    """A quarantined delivery with its body."""

    delivery_id: int
    kind: str
    size: int
    headers: str
    body: bytes
    received_at: datetime
    remote_ip: str | None


NOTHING: Counter[str] = Counter()


class Replayed(NamedTuple):
    """The results of a replay or a dry run: numbers of quarantined deliveries."""

    taken: int = 0
    already_delivered: int = 0
    """Their event was stored before, from the vendor's own retry or an earlier attempt."""
    still_refused: int = 0
    refused_as: Counter[str] = NOTHING
    """Those still refused, by outcome."""

    def plus(self, other: "Replayed") -> "Replayed":
        return Replayed(
            self.taken + other.taken,
            self.already_delivered + other.already_delivered,
            self.still_refused + other.still_refused,
            self.refused_as + other.refused_as,
        )

    def in_words(self) -> str:
        reasons = ", ".join(f"{count:,} {one}" for one, count in self.refused_as.most_common())
        return (
            f"{self.taken:,} accepted, {self.already_delivered:,} already delivered, "
            f"{self.still_refused:,} still refused" + (f" ({reasons})" if reasons else "")
        )


class Passed(NamedTuple):
    """A quarantined delivery that verifies today, and what a replay writes for it."""

    delivery_id: int
    kind: str
    size: int
    entry: Entry


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which quarantined deliveries: of a vendor, received since, refused with an outcome."""

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
    """The keys and digests of a dry run so far, as a replay would have stored them."""

    keys: set[str] = field(default_factory=set)
    digests: set[str] = field(default_factory=set)


def breathe() -> bool:
    """Pause between two transactions. SQLite has no queue for its lock, so others need a gap."""
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
    """Verify a vendor's quarantined deliveries again, and accept those that pass.

    `since` filters by arrival, `outcome` by the reason of refusal. A dry run changes only the audit
    log. After each transaction `on_progress` receives the counts so far, and `stopping` says
    whether to stop; it may wait, to leave the store to others.

    Raises ReplayError for a vendor that is not served or an outcome that is never quarantined, and
    Stopping if stopped. Committed results stay, and the other deliveries stay in quarantine.
    """
    vendor = vendors.get(vendor_slug)
    if vendor is None:
        raise ReplayError(f"Vendor {vendor_slug!r} is not served here. {_known(vendors)}.")
    if outcome is not None and outcome not in REPLAYABLE:
        known = ", ".join(REPLAYABLE)
        raise ReplayError(f"No delivery is quarantined as {outcome!r}. Use one of {known}.")
    wanted = Wanted(vendor_slug, since, outcome)
    counts, seen, ended = Replayed(), Seen(), "stopped early"
    try:
        for batch in _batches(engine, wanted):
            judged = [_verify(vendor, row, now(engine)) for row in batch]
            passed = [one for one in judged if isinstance(one, Passed)]
            results = _dry_run(engine, passed, seen) if dry_run else _take(engine, passed)
            refused = Counter(one.value for one in judged if isinstance(one, Outcome))
            counts = counts.plus(results).plus(Replayed(0, 0, refused.total(), refused))
            on_progress(counts)
            if stopping():
                raise Stopping("The receiver stopped before the replay was complete.")
        ended = ""
    finally:
        detail = "; ".join(part for part in (counts.in_words(), str(wanted), ended) if part)
        with engine.begin() as connection:
            note(connection, actor, "replay dry run" if dry_run else "replay", vendor_slug, detail)
    return counts


def _known(vendors: Mapping[str, Vendor]) -> str:
    return f"Use one of {', '.join(sorted(vendors))}" if vendors else "No vendor has a credential"


def _batches(engine: Engine, wanted: Wanted) -> Iterator[Sequence[QuarantinedRow]]:
    """What is quarantined now, oldest first, some at a time."""
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
    """The next rows. Fewer if their bodies are large."""
    with engine.connect() as connection:
        sizes = [(row.delivery_id, row.size) for row in connection.execute(query)]
        ids: list[int] = []
        total = 0
        for delivery_id, size in sizes:
            total += size
            if ids and total > BATCH_BYTES:
                break
            ids.append(delivery_id)
        bodies = query.add_columns(
            quarantine.c.headers,
            quarantine.c.body,
            quarantine.c.received_at,
            delivery.remote_ip,
        ).where(quarantine.c.delivery_id.in_(ids))
        return rows_of(QuarantinedRow, connection.execute(bodies)) if ids else ()


def as_it_came(
    vendor: Vendor, kept: Mapping[str, str], body: bytes, peer: str | None, received_at: datetime
) -> Incoming:
    """The delivery with these stored headers. Of a secret header only the digest is stored."""
    headers = {one: kept[one].encode() for one in vendor.kept_headers if one in kept}
    digests = {one: SecretDigest.read(kept[one]) for one in vendor.secret_headers if one in kept}
    return Incoming(headers, body, peer, received_at, digests)


def _verify(vendor: Vendor, row: QuarantinedRow, at: datetime) -> Passed | Outcome:
    """The delivery, judged by today's settings, for a replay at `at`; or how it is refused."""
    kept = json.loads(row.headers)
    entry = judge(vendor, as_it_came(vendor, kept, row.body, row.remote_ip, row.received_at))
    if entry.event is None:
        return entry.outcome
    at_replay = replace(entry, replay=Replay(row.delivery_id, at))
    return Passed(row.delivery_id, row.kind, row.size, at_replay)


def _take(engine: Engine, passed: Sequence[Passed]) -> Replayed:
    """Accept deliveries. If one cannot be written, the others still are."""
    if not passed:
        return Replayed()
    try:
        with engine.connect().execution_options(immediate=True) as connection, connection.begin():
            return _accept(connection, passed)
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


def _accept(connection: Connection, passed: Sequence[Passed]) -> Replayed:
    """The replay that locks a quarantined row accepts it. Another one no longer finds it."""
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
    subtract_from_totals(connection, [(one.entry.vendor, one.kind, one.size) for one in ours])
    return Replayed(len(new), len(ours) - len(new))


def _close(connection: Connection, ids: Sequence[int], state: QuarantineState) -> None:
    if ids:
        connection.execute(
            update(quarantine).where(quarantine.c.delivery_id.in_(ids)).values(state=state)
        )


def _dry_run(engine: Engine, passed: Sequence[Passed], seen: Seen) -> Replayed:
    """What accepting them would give."""
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
    for one in sorted(events, key=lambda one: one.event_key):  # the order of `write_batch`
        if one.event_key not in seen.keys and one.digest not in seen.digests:
            new += 1
            seen.keys.add(one.event_key)
            seen.digests.add(one.digest)
    return Replayed(new, len(events) - new)
