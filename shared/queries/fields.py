"""Which fields the events of a vendor have."""

from datetime import datetime

from sqlalchemy import Connection, func, select

from shared.bulk import table_of
from shared.checklist import Counting, Seen
from shared.drift import LOOK_BACK, Drift, FieldCount, drifts
from shared.models import Event, FieldCheckpoint, FieldHourly
from shared.queries import rows_of
from shared.stopped import Stopped, TypeCount, stopped
from shared.vendors import VendorFacts

hourly = table_of(FieldHourly).c
counts = table_of(FieldCheckpoint).c
event = table_of(Event).c


def drifted(connection: Connection, facts: VendorFacts, now: datetime) -> list[Drift]:
    """The fields of a vendor that are missing or have another shape lately."""
    query = select(*(hourly[name] for name in FieldCount._fields)).where(
        hourly.vendor == facts.slug, hourly.hour >= now - LOOK_BACK
    )
    return drifts(rows_of(FieldCount, connection.execute(query)), facts.fields, now)


def stopped_types(connection: Connection, facts: VendorFacts, now: datetime) -> list[Stopped]:
    """The event types of a vendor that no longer arrive, of those that its facts name: others are a
    sender's text. None while older events are still being counted."""
    if _counting(connection) is not Counting.DONE:
        return []
    query = select(*(hourly[name] for name in TypeCount._fields)).where(
        hourly.vendor == facts.slug,
        hourly.hour >= now - LOOK_BACK,
        hourly.field == "",
        hourly.event_type.in_(facts.set_up.events or tuple(facts.fields)),
    )
    return stopped(rows_of(TypeCount, connection.execute(query)))


BEHIND = 1_000
"""IDs of events. Counting that is further behind the read models has not reached the present."""


def types_seen(connection: Connection, vendor: str, now: datetime) -> Seen:
    """The event types of a vendor that arrived lately, whatever they said."""
    query = (
        select(hourly.event_type, func.max(hourly.hour))
        .where(hourly.vendor == vendor, hourly.hour >= now - LOOK_BACK)
        .group_by(hourly.event_type)
    )
    types = dict(connection.execute(query).tuples().all())
    return Seen(types, _counting(connection))


def _counting(connection: Connection) -> Counting:
    counted = connection.scalar(select(counts.event_id))
    newest = connection.scalar(select(func.max(event.id)))
    if counted is None:
        return Counting.DONE if newest is None else Counting.NOT_BEGUN
    return Counting.RUNNING if (newest or 0) - counted > BEHIND else Counting.DONE
