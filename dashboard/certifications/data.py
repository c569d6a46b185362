"""What the page of certifications shows, and the marks that leads set there."""

from datetime import UTC, datetime

import pandas as pd

from dashboard.base.certificates import TIMES, with_courses
from dashboard.base.people import with_people
from dashboard.base.store import Version, actor, framed, kept, local, read, write
from shared import certificates as renewals
from shared.certificates import Expiry
from shared.queries import certifications
from shared.queries.people import Who
from shared.queries.windows import Window

__all__ = ["Expiry"]


@kept
def totals(version: Version, who: Who) -> certifications.CertificateCounts:
    """Certificates by state."""
    with read() as connection:
        return certifications.totals(connection, who, datetime.now(UTC))


@kept
def by_team(version: Version, who: Who) -> pd.DataFrame:
    """team_id, overdue, due_soon, expired, expires_soon, valid, renewed, people."""
    with read() as connection:
        return framed(certifications.by_team(connection, who, datetime.now(UTC)))


@kept
def certificates(version: Version, who: Who, zone: str, *, renewed: bool = False) -> pd.DataFrame:
    """Rows of the query with `learner`, and times in the viewer's zone."""
    with read() as connection:
        now = datetime.now(UTC)
        rows = certifications.certificates(connection, who, now, renewed=renewed)
    return framed(rows, lambda frame: local(with_people(frame), zone, *TIMES))


def mark_renewed(expiry: Expiry) -> bool:
    """False if there is a later expiry, or a mark already."""
    with write("renew_certificate") as connection:
        return renewals.mark_renewed(connection, actor(), expiry)


def undo_renewal(renewal_id: int) -> bool:
    """False if the mark was taken back already."""
    with write("renew_certificate") as connection:
        return renewals.undo_renewal(connection, actor(), renewal_id)


@kept
def completions(version: Version, who: Who, window: Window, zone: str) -> pd.DataFrame:
    """learner, team_id, key, course, score, completed_at, report_url, of; the latest first."""
    with read() as connection:
        rows = certifications.completions(connection, who, window)
    return framed(rows, lambda frame: with_courses(local(with_people(frame), zone, "completed_at")))


@kept
def courses(version: Version, who: Who, window: Window) -> pd.DataFrame:
    """course_name, completions, people, average; the most completed first."""
    with read() as connection:
        return framed(certifications.courses(connection, who, window))
