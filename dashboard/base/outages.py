"""When no receiver was up."""

from datetime import UTC, datetime

from sqlalchemy import Connection

from shared.outages import Outage
from shared.queries.failures import outages_since
from shared.wording import duration


def down_since(connection: Connection, since: datetime) -> list[Outage]:
    """The outages that ended after `since`, the oldest first."""
    return outages_since(connection, since, datetime.now(UTC))


def span(outage: Outage) -> str:
    """`2 h 5 min`, `40 s`."""
    return duration(outage.end - outage.begin)
