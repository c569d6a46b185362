"""When no receiver was up."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection

from shared.outages import Outage, outages
from shared.queries import failures

LOOK_BACK = timedelta(days=30)
"""How long before a window an outage in it may have begun."""


def down_since(connection: Connection, since: datetime) -> list[Outage]:
    """The outages that ended after `since`, the oldest first."""
    runs = failures.runs(connection, since - LOOK_BACK)
    found = outages(runs, datetime.now(UTC))
    return [one for one in found if one.end > since]


def span(outage: Outage) -> str:
    """`2 h 5 min`, `40 s`."""
    seconds = int((outage.end - outage.begin).total_seconds())
    hours, minutes = seconds // 3600, seconds % 3600 // 60
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min" if minutes else f"{seconds} s"
