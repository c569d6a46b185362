"""What the page of certifications shows, and the marks that leads set there."""

from collections.abc import Sequence
from datetime import UTC, datetime

import pandas as pd
from sqlalchemy import Connection

from dashboard.base.certificates import TIMES, with_courses
from dashboard.base.paging import Part
from dashboard.base.people import with_people
from dashboard.base.store import actor, framed, local, query, write
from shared import certificates as renewals
from shared.certificates import Expiry
from shared.queries import certifications
from shared.queries.certifications import CertificateCounts, CertificateRow, TeamCertificates
from shared.queries.people import Who
from shared.queries.windows import Window

__all__ = ["Expiry"]


def totals(who: Who) -> CertificateCounts:
    """Certificates by state."""
    return query(_totals, who)


def _totals(connection: Connection, who: Who) -> CertificateCounts:
    return certifications.totals(connection, who, datetime.now(UTC))


def by_team(who: Who) -> pd.DataFrame:
    """team_id, overdue, due_soon, expired, expires_soon, valid, renewed, people."""
    return framed(query(_by_team, who))


def _by_team(connection: Connection, who: Who) -> Sequence[TeamCertificates]:
    return certifications.by_team(connection, who, datetime.now(UTC))


def certificates(who: Who, zone: str, part: Part, *, renewed: bool = False) -> pd.DataFrame:
    """Rows of the query with `learner`, and times in the viewer's zone."""
    rows = query(_certificates, who, part, renewed=renewed)
    return framed(rows, lambda frame: local(with_people(frame), zone, *TIMES))


def _certificates(
    connection: Connection, who: Who, part: Part, *, renewed: bool
) -> Sequence[CertificateRow]:
    now = datetime.now(UTC)
    return certifications.certificates(
        connection, who, now, part.limit, part.offset, renewed=renewed
    )


def mark_renewed(expiry: Expiry) -> bool:
    """False if there is a later expiry, or a mark already."""
    with write("renew_certificate") as connection:
        return renewals.mark_renewed(connection, actor(), expiry)


def undo_renewal(renewal_id: int) -> bool:
    """False if the mark was taken back already."""
    with write("renew_certificate") as connection:
        return renewals.undo_renewal(connection, actor(), renewal_id)


def completions(who: Who, window: Window, zone: str, part: Part) -> pd.DataFrame:
    """learner, team_id, key, course, score, completed_at, report_url, of; the latest first."""
    rows = query(certifications.completions, who, window, part.limit, part.offset)
    return framed(rows, lambda frame: with_courses(local(with_people(frame), zone, "completed_at")))


def courses(who: Who, window: Window) -> pd.DataFrame:
    """course_name, completions, people, average; the most completed first."""
    return framed(query(certifications.courses, who, window))
