"""What the page of certifications shows."""

import re
from datetime import UTC, datetime

import pandas as pd

from dashboard.base.store import Version, framed, kept, local, read, with_people
from shared.queries import AnyRow, certifications
from shared.queries.people import Who
from shared.queries.windows import Window


@kept
def totals(version: Version, who: Who) -> AnyRow:
    """overdue, due_soon, expired (all of them), people."""
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


def with_courses(frame: pd.DataFrame) -> pd.DataFrame:
    """course (its name), and report_url only if it is an address of the web, else ``."""
    return frame.assign(
        course=frame["course_name"].fillna(frame["course_id"]),
        report_url=frame["report_url"].map(_of_the_web),
    )


def _of_the_web(address: object) -> str:
    """The store holds no other, but this is what a click opens: a script must never get here."""
    web = isinstance(address, str) and re.match(r"https?://", address, re.IGNORECASE)
    return str(address) if web else ""
