"""Failures: events that are not recovered, since when all fail, usual traffic, and outages."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

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
from shared.outages import Outage, Run, outages
from shared.outcomes import STATUS, Outcome, Sender
from shared.queries import rows_of
from shared.queries.missing import identity
from shared.retries import Rhythm

delivery = table_of(Delivery).c
event = table_of(Event).c
hourly = table_of(DeliveryHourly).c
heartbeat = table_of(Heartbeat).c

ANSWERED_OK = tuple(outcome for outcome, status in STATUS.items() if status < 300)  # noqa: PLR2004
RETRIED = tuple(outcome for outcome in Outcome if outcome not in ANSWERED_OK)
"""A failure to the vendor, which tries again."""
RHYTHM_WEEKS = 4


class Refused(NamedTuple):
    """An event that was refused, by the ID that its deliveries claim; `first` and `last` are its
    first and last attempt."""

    event_key: str
    event_type: str | None
    outcome: str
    attempts: int
    first: datetime
    last: datetime


def unrecovered(
    connection: Connection, vendor: str, since: datetime, limit: int = 5_000
) -> Sequence[Refused]:
    """A vendor's events that were refused since then and are not stored, the oldest first."""
    return _events(connection, vendor, since, limit, stored=False)


def recovered(
    connection: Connection, vendor: str, since: datetime, limit: int = 5_000
) -> Sequence[Refused]:
    """A vendor's events that were refused since then and are stored by now, the oldest first."""
    return _events(connection, vendor, since, limit, stored=True)


def _events(
    connection: Connection, vendor: str, since: datetime, limit: int, *, stored: bool
) -> Sequence[Refused]:
    refused = _refused(since).c
    first = func.min(refused.received_at)
    has_event = _has_event(refused)
    query = (
        select(
            refused.event_key,
            func.max(refused.event_type).label("event_type"),
            func.max(refused.outcome).label("outcome"),
            func.count().label("attempts"),
            first.label("first"),
            func.max(refused.received_at).label("last"),
        )
        .where(refused.vendor == vendor, has_event if stored else ~has_event)
        .group_by(refused.event_key)
        .order_by(first, refused.event_key)
        .limit(limit)
    )
    return rows_of(Refused, connection.execute(query))


def _refused(since: datetime | None) -> CTE:
    """Deliveries that failed for the vendor and claim an event ID. Materialized, by the index of
    failed deliveries: SQLite would walk all deliveries, as another index groups them already."""
    columns = ("vendor", "event_key", "event_type", "outcome", "received_at")
    query = (
        select(*(delivery[name] for name in columns))
        .where(text(FAILED), delivery.outcome.in_(RETRIED), delivery.event_key.isnot(None))
        .where(delivery.received_at >= since if since else true())
    )
    return query.cte("refused").prefix_with("MATERIALIZED")


def _has_event(refused: Any) -> ColumnElement[bool]:
    return (
        select(event.id)
        .where(event.vendor == refused.vendor, event.event_key == refused.event_key)
        .exists()
    )


def replayed(connection: Connection, vendor: str, since: datetime) -> int:
    """How many events of a vendor were stored by a replay since then."""
    query = select(func.count(delivery.event_key.distinct())).where(
        text(OF_VENDOR), delivery.vendor == vendor, delivery.outcome == Outcome.ACCEPTED,
        delivery.received_at >= since, delivery.replay_of.isnot(None),
    )  # fmt: skip
    return connection.scalar(query) or 0


class Attempted(NamedTuple):
    """One delivery of an event."""

    id: int
    received_at: datetime
    outcome: str


def attempts(connection: Connection, vendor: str, event_key: str) -> Sequence[Attempted]:
    """All deliveries that claim an event ID, the oldest first."""
    query = (
        select(delivery.id, delivery.received_at, delivery.outcome)
        .where(delivery.vendor == vendor, delivery.event_key == event_key)
        .order_by(delivery.received_at, delivery.id)
        .limit(200)
    )
    return rows_of(Attempted, connection.execute(query))


class FailingSince(NamedTuple):
    """Since when every delivery fails, how many events in how many attempts, and how many of these
    with a wrong signature."""

    since: datetime
    events: int
    attempts: int
    bad_signature: int


def failing_since(connection: Connection, vendor: str) -> FailingSince | None:
    """None if a vendor's latest delivery was answered 2xx."""
    last_ok = last_answered(connection, vendor)
    query = select(
        func.min(delivery.received_at).label("since"),
        func.count(identity().distinct()).label("events"),
        func.count().label("attempts"),
        func.coalesce(func.sum(_is(Outcome.BAD_SIGNATURE)), 0).label("bad_signature"),
    ).where(_sent(vendor), delivery.outcome.in_(RETRIED))
    if last_ok is not None:
        query = query.where(delivery.received_at > last_ok)
    (found,) = rows_of(FailingSince, connection.execute(query))
    return found if found.attempts else None


def failed_attempts(connection: Connection, vendor: str, since: datetime) -> int:
    """How many of a vendor's deliveries failed since the beginning of that hour."""
    hour = since.replace(minute=0, second=0, microsecond=0)
    query = select(func.sum(hourly.deliveries)).where(
        hourly.vendor == vendor,
        hourly.hour >= hour,
        hourly.sender == Sender.VENDOR,
        hourly.outcome.in_(RETRIED),
    )
    return connection.scalar(query) or 0


def last_answered(connection: Connection, vendor: str) -> datetime | None:
    """When a vendor's latest delivery arrived that was answered 2xx."""
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
    """The vendor's own: neither strangers' requests nor replays."""
    return and_(text(OF_VENDOR), delivery.vendor == vendor, delivery.replay_of.is_(None))


def unsigned_events(
    connection: Connection, vendor: str, since: datetime, look_at: int
) -> Sequence[datetime]:
    """When those of the latest requests without a credential arrived that name a type of event, as
    a vendor's would without its credential. `look_at` is how many are looked at."""
    latest = (
        select(delivery.event_type, delivery.received_at)
        .where(text(OF_STRANGERS), delivery.vendor == vendor)
        .where(delivery.outcome == Outcome.MISSING_CREDENTIALS, delivery.received_at >= since)
        .order_by(delivery.received_at.desc())
        .limit(look_at)
        .subquery()
    )
    return connection.scalars(
        select(latest.c.received_at).where(latest.c.event_type.isnot(None))
    ).all()


def _is(outcome: Outcome) -> ColumnElement[int]:
    return case((delivery.outcome == outcome, 1), else_=0)


def rhythm(connection: Connection, vendor: str, now: datetime) -> Rhythm:
    """A vendor's usual deliveries an hour by UTC weekday and hour, over the last four weeks or as
    many as there are. Empty before a whole week is stored."""
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


def runs(connection: Connection, since: datetime) -> Sequence[Run]:
    """Runs of receivers with a heartbeat since then."""
    query = select(heartbeat.started_at, heartbeat.seen_at).where(heartbeat.seen_at >= since)
    return rows_of(Run, connection.execute(query.order_by(heartbeat.started_at)))


class Arrived(NamedTuple):
    """How many events arrived after an outage."""

    by_retry: int
    by_replay: int


LOOK_BACK = timedelta(days=30)
"""How long before a window an outage in it may have begun."""


def outages_since(connection: Connection, since: datetime, now: datetime) -> list[Outage]:
    """The outages that ended after `since`, the oldest first."""
    found = outages(runs(connection, since - LOOK_BACK), now)
    return [one for one in found if one.end > since]


def arrived(connection: Connection, begin: datetime, end: datetime, until: datetime) -> Arrived:
    """Events of an outage from `begin` to `end`, by their own time, that arrived by `until`."""
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
    found = connection.execute(query).one()
    return Arrived(int(found.by_retry), int(found.by_replay))
