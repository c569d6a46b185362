"""Events that failed and are not stored: what the standings lack."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from sqlalchemy import (
    CTE,
    ColumnElement,
    Connection,
    Text,
    and_,
    case,
    cast,
    func,
    literal,
    or_,
    select,
    text,
    true,
    update,
)

from shared.bulk import table_of
from shared.models import FAILED, Delivery, Event, Quarantine
from shared.outcomes import STATUS, Outcome, QuarantineState
from shared.queries import rows_of
from shared.retries import Attempt, State, chain
from shared.vendors import VendorFacts

delivery = table_of(Delivery).c
event = table_of(Event).c
held = table_of(Quarantine).c
other = table_of(Delivery).alias("other").c


class Missing(NamedTuple):
    """An event that failed and is not stored: authentic but not understood, or well-formed and
    refused for its signature, credential, address, time or company. Strangers' posts are none.

    `identity` is the event ID that its deliveries claim, or stands for their body where they claim
    none. Outcome and reason are those of the latest delivery, `delivery_id`.
    """

    vendor: str
    identity: str
    event_key: str | None
    event_type: str | None
    outcome: str
    reason: str | None
    attempts: int
    first: datetime
    last: datetime
    quarantined: bool
    """Whether its body is in quarantine, so that a replay can recover it."""
    delivery_id: int


class Toll(NamedTuple):
    """How many events can still be recovered, how many are lost, and when the first arrived."""

    open: int
    lost: int
    first: datetime | None


def toll(events: Sequence[Missing], vendors: Mapping[str, VendorFacts], now: datetime) -> Toll:
    """What the missing events of any vendors come to."""
    lost = sum(is_lost(one, vendors.get(one.vendor), now) for one in events)
    first = min((one.first for one in events), default=None)
    return Toll(len(events) - lost, lost, first)


def is_lost(one: Missing, vendor: VendorFacts | None, now: datetime) -> bool:
    """Whether neither a replay can recover an event, as its body is gone, nor a retry."""
    if one.quarantined:
        return False
    if _has_its_2xx(one):
        return True
    return vendor is not None and last_retry(one, vendor, now) is None


def last_retry(one: Missing, vendor: VendorFacts, now: datetime) -> datetime | None:
    """When the vendor's last retry of an event is due; None if none is to come."""
    if _has_its_2xx(one):
        return None
    attempts = [Attempt(at, accepted=False) for at in (one.first, one.last)]
    found = chain(attempts, vendor.schedule, now)
    return None if found.state is State.GIVEN_UP else found.last_chance


def _has_its_2xx(one: Missing) -> bool:
    return STATUS[Outcome(one.outcome)] < 300  # noqa: PLR2004


def identity() -> ColumnElement[str]:
    """The event of a delivery: the ID that it claims, or else its body."""
    body = cast(func.coalesce(delivery.held_as, delivery.id), Text)
    return func.coalesce(delivery.event_key, literal("body ").concat(body))


def missing(
    connection: Connection,
    since: datetime | None,
    until: datetime | None = None,
    vendor: str | None = None,
) -> Sequence[Missing]:
    """Events that failed in that time, are not stored and not dismissed; the oldest first."""
    failed = _failed(since, until, vendor).c
    quarantined = case((held.state == QuarantineState.QUARANTINED, 1), else_=0)
    recovered = case(
        (held.state.in_((QuarantineState.REPLAYED, QuarantineState.DISCARDED)), 1), else_=0
    )
    events = (
        select(
            failed.vendor,
            failed.identity,
            func.count().label("attempts"),
            func.min(failed.received_at).label("first"),
            func.max(failed.received_at).label("last"),
            func.max(quarantined).label("quarantined"),
            func.max(failed.id).label("latest"),
        )
        .join(table_of(Quarantine), held.delivery_id == failed.body, isouter=True)
        .group_by(failed.vendor, failed.identity)
        .having(func.max(recovered) == 0)
        .subquery()
        .c
    )
    stored = and_(event.vendor == events.vendor, event.event_key == delivery.event_key)
    query = (
        select(
            events.vendor,
            events.identity,
            delivery.event_key,
            delivery.event_type,
            delivery.outcome,
            delivery.reason,
            events.attempts,
            events.first,
            events.last,
            (events.quarantined == 1).label("quarantined"),
            delivery.id.label("delivery_id"),
        )
        .join(table_of(Delivery), delivery.id == events.latest)
        .where(~select(event.id).where(stored).exists(), ~_dismissed())
        .order_by(events.first, events.vendor, events.identity)
    )
    return rows_of(Missing, connection.execute(query))


def _dismissed() -> ColumnElement[bool]:
    """Whether any delivery of the same event was dismissed: two look-ups, each by its index."""
    of_key = and_(other.vendor == delivery.vendor, other.event_key == delivery.event_key)
    of_body = other.id == func.coalesce(delivery.held_as, delivery.id)
    return or_(
        *(
            select(other.id).where(same, other.dismissed_at.isnot(None)).exists()
            for same in (of_key, of_body)
        )
    )


def _failed(since: datetime | None, until: datetime | None, vendor: str | None) -> CTE:
    """Materialized, by the index of failed deliveries: SQLite would read all of them otherwise."""
    query = (
        select(
            delivery.id,
            delivery.vendor,
            identity().label("identity"),
            delivery.received_at,
            func.coalesce(delivery.held_as, delivery.id).label("body"),
        )
        .where(text(FAILED), delivery.vendor == vendor if vendor else true())
        .where(delivery.received_at >= since if since else true())
        .where(delivery.received_at < until if until else true())
    )
    return query.cte("failed").prefix_with("MATERIALIZED")


def dismiss(connection: Connection, events: Sequence[Missing]) -> None:
    """Count these events no longer, whatever becomes of them. The caller commits."""
    ids = [one.delivery_id for one in events]
    for at in range(0, len(ids), BATCH):
        some = ids[at : at + BATCH]
        # Without an event ID, an event is known by the delivery that brought its body first.
        bodies = select(other.held_as).where(other.id.in_(some), other.event_key.is_(None))
        these = or_(delivery.id.in_(some), delivery.id.in_(bodies))
        values = {"dismissed_at": datetime.now(UTC)}
        connection.execute(update(table_of(Delivery)).where(these).values(values))


BATCH = 500
"""SQLite takes a limited number of values in a statement."""
