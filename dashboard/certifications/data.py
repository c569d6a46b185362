"""What the page of certifications shows."""

from datetime import UTC, datetime

import pandas as pd

from dashboard.base.certificates import with_courses
from dashboard.base.people import with_people
from dashboard.base.store import Version, framed, kept, local, read
from shared.queries import certifications
from shared.queries.people import Who
from shared.queries.windows import Window


@kept
def totals(version: Version, who: Who) -> certifications.CertificateCounts:
    """Certificates by state."""
    with read() as connection:
        return certifications.totals(connection, who, datetime.now(UTC))


@kept
def by_team(version: Version, who: Who) -> pd.DataFrame:
    """team_id, overdue, due_soon, expired, people."""
    with read() as connection:
        return framed(certifications.by_team(connection, who, datetime.now(UTC)))


@kept
def certificates(version: Version, who: Who, zone: str) -> pd.DataFrame:
    """learner, team_id, key, cert_name, state, expired_at, renewal_deadline, of."""
    with read() as connection:
        rows = certifications.certificates(connection, who, datetime.now(UTC))
    return framed(
        rows, lambda frame: local(with_people(frame), zone, "expired_at", "renewal_deadline")
    )


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
