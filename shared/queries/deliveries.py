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
    """Failed deliveries grouped by outcome: outcome, reason (the latest), deliveries, first, last;
    the most frequent first."""
    failed = (
        select(
            delivery.outcome,
            delivery.reason,
            delivery.received_at,
            func.row_number()
            .over(partition_by=delivery.outcome, order_by=delivery.received_at.desc())
            .label("newest_first"),
        )
        .where(text(FAILED), delivery.received_at >= since, _of(delivery.vendor, vendor))
        .subquery()
    )
    newest = case((failed.c.newest_first == 1, failed.c.reason))
    query = (
        select(
            failed.c.outcome,
            func.max(newest).label("reason"),
            func.count().label("deliveries"),
            func.min(failed.c.received_at).label("first"),
            func.max(failed.c.received_at).label("last"),
        )
        .group_by(failed.c.outcome)
        .order_by(func.count().desc(), failed.c.outcome)
    )
    return connection.execute(query).all()


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
