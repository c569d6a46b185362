"""Which fields the events of a vendor have."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, select

from shared.bulk import table_of
from shared.drift import LOOK_BACK, Drift, FieldCount, drifts
from shared.models import FieldHourly
from shared.queries import rows_of
from shared.vendors import VendorFacts

hourly = table_of(FieldHourly).c


def drifted(connection: Connection, facts: VendorFacts, now: datetime) -> list[Drift]:
    """The fields of a vendor that are missing or have another shape lately."""
    query = select(*(hourly[name] for name in FieldCount._fields)).where(
        hourly.vendor == facts.slug, hourly.hour >= now - LOOK_BACK
    )
    return drifts(rows_of(FieldCount, connection.execute(query)), facts.fields, now)


def types_seen(connection: Connection, vendor: str, now: datetime) -> Sequence[str]:
    """The event types of a vendor that arrived lately, whatever they said."""
    query = (
        select(hourly.event_type)
        .distinct()
        .where(hourly.vendor == vendor, hourly.hour >= now - LOOK_BACK)
    )
    return connection.scalars(query.order_by(hourly.event_type)).all()
