"""What failed and has not come back: chains, since when, how quiet, and when we were down."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import CTE, ColumnElement, Connection, and_, case, func, select, text, true

from shared.bulk import table_of
from shared.models import (
    FAILED,
    OF_STRANGERS,
    OF_VENDOR,
    Delivery,
    DeliveryHourly,
    Event,
    Heartbeat,
)
from shared.outcomes import STATUS, Outcome, Sender
from shared.queries import AnyRow
from shared.retries import Rhythm

delivery = table_of(Delivery).c
event = table_of(Event).c
hourly = table_of(DeliveryHourly).c
heartbeat = table_of(Heartbeat).c

ANSWERED_OK = tuple(outcome for outcome, status in STATUS.items() if status < 300)  # noqa: PLR2004
RETRIED = tuple(outcome for outcome in Outcome if outcome not in ANSWERED_OK)
"""What the vendor takes as a failure, and so tries again."""
RHYTHM_WEEKS = 4


def unrecovered(
    connection: Connection, vendor: str, since: datetime, limit: int = 5_000
) -> Sequence[AnyRow]:
    """Claimed events of a vendor that were refused since `since` and never got in: event_key,
    event_type, outcome, attempts, first, last; the oldest first."""
    refused = _refused(since).c
    first = func.min(refused.received_at)
    query = (
        select(
            refused.event_key,
            func.max(refused.event_type).label("event_type"),
            func.max(refused.outcome).label("outcome"),
            func.count().label("attempts"),
            first.label("first"),
            func.max(refused.received_at).label("last"),
        )
        .where(refused.vendor == vendor, ~_got_in(refused))
        .group_by(refused.event_key)
        .order_by(first, refused.event_key)
        .limit(limit)
    )
    return connection.execute(query).all()


def missing(connection: Connection, since: datetime | None) -> AnyRow:
    """How many claimed events of any vendor were refused since then and never got in: events, first
    (when the first of them came)."""
    refused = _refused(since).c
    missed = (
        select(refused.vendor, refused.event_key, func.min(refused.received_at).label("first"))
        .where(~_got_in(refused))
        .group_by(refused.vendor, refused.event_key)
        .subquery()
    )
    query = select(func.count().label("events"), func.min(missed.c.first).label("first"))
    return connection.execute(query.select_from(missed)).one()


def _refused(since: datetime | None) -> CTE:
    """Claimed deliveries that the vendor takes as failed. Apart, and by the index of the few that
    failed: SQLite would walk all that ever came, as another index has them grouped already."""
    columns = ("vendor", "event_key", "event_type", "outcome", "received_at")
    query = (
        select(*(delivery[name] for name in columns))
        .where(text(FAILED), delivery.outcome.in_(RETRIED), delivery.event_key.isnot(None))
        .where(delivery.received_at >= since if since else true())
    )
    return query.cte("refused").prefix_with("MATERIALIZED")


def _got_in(refused: Any) -> ColumnElement[bool]:
    return (
        select(event.id)
        .where(event.vendor == refused.vendor, event.event_key == refused.event_key)
        .exists()
    )


def attempts(connection: Connection, vendor: str, event_key: str) -> Sequence[AnyRow]:
    """Every delivery of a claimed event, the oldest first: id, received_at, outcome, reason,
    status_code, replay_of."""
    query = (
        select(
            delivery.id,
            delivery.received_at,
            delivery.outcome,
            delivery.reason,
            delivery.status_code,
            delivery.replay_of,
        )
        .where(delivery.vendor == vendor, delivery.event_key == event_key)
        .order_by(delivery.received_at, delivery.id)
        .limit(200)
    )
    return connection.execute(query).all()


def failing_since(connection: Connection, vendor: str) -> AnyRow | None:
    """Since when every delivery of a vendor fails: since, deliveries, and how many of them had a
    wrong signature; None if the latest was answered 2xx."""
    last_ok = last_answered(connection, vendor)
    query = select(
        func.min(delivery.received_at).label("since"),
        func.count().label("deliveries"),
        func.coalesce(func.sum(_is(Outcome.BAD_SIGNATURE)), 0).label("bad_signature"),
    ).where(_sent(vendor), delivery.outcome.in_(RETRIED))
    if last_ok is not None:
        query = query.where(delivery.received_at > last_ok)
    found = connection.execute(query).one()
    return found if found.deliveries else None


def last_answered(connection: Connection, vendor: str) -> datetime | None:
    """When a vendor's latest delivery came that was answered 2xx."""
    latest: ColumnElement[datetime] = func.max(delivery.received_at)
    query = select(latest).where(_sent(vendor), delivery.outcome.in_(ANSWERED_OK))
    return connection.scalar(query)


def answered_between(
    connection: Connection, vendor: str, begin: datetime, end: datetime, limit: int
) -> int:
    """How many of a vendor's deliveries were answered 2xx in that time, counted up to a limit."""
    some = (
        select(delivery.id)
        .where(_sent(vendor), delivery.outcome.in_(ANSWERED_OK))
        .where(delivery.received_at > begin, delivery.received_at <= end)
        .limit(limit)
        .subquery()
    )
    return connection.scalar(select(func.count()).select_from(some)) or 0


def _sent(vendor: str) -> ColumnElement[bool]:
    """What the vendor may have sent: neither strangers' requests nor replays."""
    return and_(text(OF_VENDOR), delivery.vendor == vendor, delivery.replay_of.is_(None))


def unsigned_event(connection: Connection, vendor: str, since: datetime, look_at: int) -> bool:
    """Whether one of the latest requests without a credential names a type of event, as a vendor's
    would to which the credential was never given."""
    latest = (
        select(delivery.event_type)
        .where(text(OF_STRANGERS), delivery.vendor == vendor)
        .where(delivery.outcome == Outcome.MISSING_CREDENTIALS, delivery.received_at >= since)
        .order_by(delivery.received_at.desc())
        .limit(look_at)
        .subquery()
    )
    named = select(latest.c.event_type).where(latest.c.event_type.isnot(None))
    return connection.scalar(named.limit(1)) is not None


def _is(outcome: Outcome) -> ColumnElement[int]:
    return case((delivery.outcome == outcome, 1), else_=0)


def rhythm(connection: Connection, vendor: str, now: datetime) -> Rhythm:
    """A vendor's usual deliveries an hour by UTC weekday and hour, over the last four weeks or as
    many as there are. Nothing is usual before a whole week has been seen."""
    since = now - timedelta(weeks=RHYTHM_WEEKS)
    query = (
        select(hourly.hour, func.sum(hourly.deliveries).label("deliveries"))
        .where(hourly.vendor == vendor, hourly.hour >= since, hourly.sender == Sender.VENDOR)
        .group_by(hourly.hour)
    )
    rows = connection.execute(query).all()
    weeks = (now - min((row.hour for row in rows), default=now)) / timedelta(weeks=1)
    if weeks < 1:
        return {}
    usual: dict[tuple[int, int], float] = {}
    for row in rows:
        at = (row.hour.weekday(), row.hour.hour)
        usual[at] = usual.get(at, 0.0) + row.deliveries / weeks
    return usual


def runs(connection: Connection, since: datetime) -> Sequence[AnyRow]:
    """Runs of receivers that were up since `since`: started_at, seen_at."""
    query = select(heartbeat.started_at, heartbeat.seen_at).where(heartbeat.seen_at >= since)
    return connection.execute(query.order_by(heartbeat.started_at)).all()


def came_after(connection: Connection, begin: datetime, end: datetime, until: datetime) -> AnyRow:
    """Events that happened in an outage from `begin` to `end` and came by `until`: by_retry,
    by_replay. Judged by the event's own time."""
    by_replay = case((delivery.replay_of.isnot(None), 1), else_=0)
    query = (
        select(
            func.coalesce(func.sum(1 - by_replay), 0).label("by_retry"),
            func.coalesce(func.sum(by_replay), 0).label("by_replay"),
        )
        .join(
            table_of(Event),
            and_(event.vendor == delivery.vendor, event.event_key == delivery.event_key),
        )
        .where(delivery.received_at >= end, delivery.received_at < until)
        .where(delivery.outcome == Outcome.ACCEPTED)
        .where(event.occurred_at >= begin, event.occurred_at < end)
    )
    return connection.execute(query).one()
