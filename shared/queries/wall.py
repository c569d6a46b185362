"""What wall displays show of certificates: the latest completed courses and renewals."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection

from shared.queries.certifications import certificates, completions
from shared.queries.people import Who
from shared.queries.windows import Window


class Passed(NamedTuple):
    """A course that a person completed, or a certificate of theirs that was renewed."""

    name: str | None
    email: str | None
    key: str
    what: str
    at: datetime


def passed(
    connection: Connection, who: Who, window: Window, now: datetime, limit: int
) -> Sequence[Passed]:
    """The latest in a window, at most `limit`. A certificate that a completed course renews counts
    once, as the course."""
    courses = [
        Passed(row.name, row.email, row.key, row.course_name or row.course_id, row.completed_at)
        for row in completions(connection, who, window, limit)
    ]
    marked = [
        Passed(row.name, row.email, row.key, row.cert_name, row.renewed_at)
        for row in certificates(connection, who, now, limit, renewed=True)
        if row.renewal_id is not None
        and row.renewed_at is not None
        and (window.since is None or row.renewed_at >= window.since)
    ]
    return sorted([*courses, *marked], key=lambda one: one.at, reverse=True)[:limit]
