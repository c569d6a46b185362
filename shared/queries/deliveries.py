"""What came in, and what became of it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, case, func, select, text, true

from shared.bulk import table_of
from shared.models import FAILED, Delivery, DeliveryHourly, Event
from shared.outcomes import TAKEN
from shared.queries import AnyRow

delivery = table_of(Delivery).c
hourly = table_of(DeliveryHourly).c
event = table_of(Event).c


def by_hour(connection: Connection, since: datetime, vendor: str | None) -> Sequence[AnyRow]:
    """Deliveries by hour and outcome since a full hour: hour, outcome, deliveries."""
    query = (
        select(hourly.hour, hourly.outcome, func.sum(hourly.deliveries).label("deliveries"))
        .where(hourly.hour >= since, _of(hourly.vendor, vendor))
        .group_by(hourly.hour, hourly.outcome)
        .order_by(hourly.hour, hourly.outcome)
    )
    return connection.execute(query).all()


def totals(connection: Connection, since: datetime, vendor: str | None) -> AnyRow:
    """How many deliveries since a full hour, and how many of them were taken: all, taken."""
    taken = case((hourly.outcome.in_(TAKEN), hourly.deliveries), else_=0)
    query = select(
        func.coalesce(func.sum(hourly.deliveries), 0).label("all"),
        func.coalesce(func.sum(taken), 0).label("taken"),
    ).where(hourly.hour >= since, _of(hourly.vendor, vendor))
    return connection.execute(query).one()


def last(connection: Connection, vendor: str | None) -> datetime | None:
    """When the latest delivery came, of whatever outcome."""
    query = select(delivery.received_at).where(_of(delivery.vendor, vendor))
    return connection.scalar(query.order_by(delivery.received_at.desc()).limit(1))


def causes(connection: Connection, since: datetime, vendor: str | None) -> Sequence[AnyRow]:
    """Failed deliveries since a full hour, by outcome: outcome, reason (the latest), deliveries,
    first, last; the most frequent first. Counts come from the roll-up, the rest by index."""
    deliveries = func.sum(hourly.deliveries)
    query = (
        select(
            hourly.outcome,
            _edge(delivery.reason, since, vendor, newest=True).label("reason"),
            deliveries.label("deliveries"),
            _edge(delivery.received_at, since, vendor, newest=False).label("first"),
            _edge(delivery.received_at, since, vendor, newest=True).label("last"),
        )
        .where(hourly.hour >= since, hourly.outcome.not_in(TAKEN), _of(hourly.vendor, vendor))
        .group_by(hourly.outcome)
        .order_by(deliveries.desc(), hourly.outcome)
    )
    return connection.execute(query).all()


def _edge(column: Any, since: datetime, vendor: str | None, *, newest: bool) -> Any:
    """A column of the newest or oldest delivery of an outcome."""
    order = delivery.received_at.desc() if newest else delivery.received_at
    return (
        select(column)
        .where(delivery.outcome == hourly.outcome, delivery.received_at >= since)
        .where(_of(delivery.vendor, vendor))
        .order_by(order)
        .limit(1)
        .scalar_subquery()
    )


def failed(
    connection: Connection,
    since: datetime,
    vendor: str | None,
    outcome: str | None = None,
    limit: int = 200,
) -> Sequence[AnyRow]:
    """The latest failed deliveries: id, received_at, vendor, outcome, reason, event_type,
    event_key, remote_ip, status_code, body_bytes, and whether the event got in after all."""
    columns = ("id", "received_at", "vendor", "outcome", "reason", "event_type", "event_key",
               "remote_ip", "status_code", "body_bytes")  # fmt: skip
    came_later = (
        select(event.id)
        .where(event.vendor == delivery.vendor, event.event_key == delivery.event_key)
        .exists()
    )
    query = (
        select(*(delivery[name] for name in columns), came_later.label("recovered"))
        .where(text(FAILED), delivery.received_at >= since, _of(delivery.vendor, vendor))
        .where(_of(delivery.outcome, outcome))
        .order_by(delivery.received_at.desc(), delivery.id.desc())
        .limit(limit)
    )
    return connection.execute(query).all()


def _of(column: Any, wanted: str | None) -> ColumnElement[bool]:
    return true() if wanted is None else column == wanted
