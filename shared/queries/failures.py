"""What failed and has not come back: chains, since when, how quiet, and when we were down."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import CTE, ColumnElement, Connection, and_, case, func, select, text, true

from shared.bulk import table_of
from shared.models import FAILED, Delivery, DeliveryHourly, Event, Heartbeat
from shared.outcomes import STATUS, Outcome
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
    """Claimed events that were refused since `since` and never got in: event_key, event_type,
    outcome, attempts, first, last; the oldest first."""
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
    """How many claimed events were refused since then, of any vendor, and never got in: events,
    first (when the first of them came)."""
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
    wrong signature; None if the latest was answered 2xx. A replay is no delivery of the vendor."""
    sent = and_(delivery.vendor == vendor, delivery.replay_of.is_(None))
    last_ok = connection.scalar(
        select(func.max(delivery.received_at)).where(sent, delivery.outcome.in_(ANSWERED_OK))
    )
    query = select(
        func.min(delivery.received_at).label("since"),
        func.count().label("deliveries"),
        func.coalesce(func.sum(_is(Outcome.BAD_SIGNATURE)), 0).label("bad_signature"),
    ).where(sent, delivery.outcome.in_(RETRIED))
    if last_ok is not None:
        query = query.where(delivery.received_at > last_ok)
    found = connection.execute(query).one()
    return found if found.deliveries else None


def _is(outcome: Outcome) -> ColumnElement[int]:
    return case((delivery.outcome == outcome, 1), else_=0)


def rhythm(connection: Connection, vendor: str, now: datetime) -> Rhythm:
    """Usual deliveries an hour by UTC weekday and hour, over the last four weeks or as many as
    there are. Nothing is usual before a whole week has been seen."""
    since = now - timedelta(weeks=RHYTHM_WEEKS)
    query = (
        select(hourly.hour, func.sum(hourly.deliveries).label("deliveries"))
        .where(hourly.vendor == vendor, hourly.hour >= since)
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
