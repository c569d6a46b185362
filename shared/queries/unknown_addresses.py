"""Requests below /webhooks/ to no vendor."""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, func, select

from shared.bulk import table_of
from shared.models import UnknownAddress

hourly = table_of(UnknownAddress).c


class Unknown(NamedTuple):
    """How many requests, when the latest arrived, and its path as sent."""

    requests: int
    latest_at: datetime
    latest_path: str


def since(connection: Connection, hour: datetime) -> Unknown | None:
    """The requests of this hour and later; None without any."""
    counted = func.sum(hourly.requests).over()
    query = select(counted, hourly.latest_at, hourly.latest_path).where(hourly.hour >= hour)
    found = connection.execute(query.order_by(hourly.hour.desc()).limit(1)).first()
    return None if found is None else Unknown(int(found[0]), found[1], found[2])
