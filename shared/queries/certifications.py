"""Expired certificates and completed courses."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, FromClause, Select, case, func, select, true

from shared.bulk import table_of
from shared.models import Certification, CourseCompletion, Learner
from shared.queries import counted, rows_of
from shared.queries.people import PersonRow, Who, people, same_account
from shared.queries.windows import Window

certificate = table_of(Certification).c
completion = table_of(CourseCompletion).c
learner = table_of(Learner).c

SOON = timedelta(days=30)


@dataclass(frozen=True)
class CertificateRow(PersonRow):
    """A certificate of a person. `state` is one of `state_of`; `of` counts all rows without a
    limit."""

    vendor: str
    cert_name: str
    expired_at: datetime
    renewal_deadline: datetime | None
    state: str
    of: int


class CertificateCounts(NamedTuple):
    """Certificates by state, and the people who hold them."""

    overdue: int
    due_soon: int
    expired: int
    people: int


class TeamCertificates(NamedTuple):
    """The same of one team."""

    team_id: str | None
    overdue: int
    due_soon: int
    expired: int
    people: int


@dataclass(frozen=True)
class CompletionRow(PersonRow):
    """A completed course of a person; `of` counts all rows without a limit."""

    vendor: str
    event_key: str
    course_id: str
    course_name: str | None
    score: float | None
    completed_at: datetime
    report_url: str | None
    of: int


class CourseRow(NamedTuple):
    """A course with its completions; `average` is the score, None where no completion has one."""

    vendor: str
    course_id: str
    course_name: str
    completions: int
    people: int
    average: float | None


def certificates(
    connection: Connection, who: Who, now: datetime, limit: int = 500
) -> Sequence[CertificateRow]:
    """Expired certificates, the most urgent first."""
    row = _stated(who, now).subquery()
    urgent = case({"overdue": 0, "due soon": 1}, value=row.c.state, else_=2)
    query = select(row, func.count().over().label("of")).order_by(
        urgent, row.c.renewal_deadline.is_(None), row.c.renewal_deadline, row.c.expired_at.desc(),
        row.c.key, row.c.cert_name,
    )  # fmt: skip
    return rows_of(CertificateRow, connection.execute(query.limit(limit)))


def totals(connection: Connection, who: Who, now: datetime) -> CertificateCounts:
    """How many certificates are in which state; `expired` counts all of them."""
    row = _stated(who, now).subquery().c
    (counts,) = rows_of(CertificateCounts, connection.execute(select(*_counts(row))))
    return counts


def by_team(connection: Connection, who: Who, now: datetime) -> Sequence[TeamCertificates]:
    """How many certificates of each team are in which state; the team with most overdue first."""
    row = _stated(who, now).subquery().c
    counts = _counts(row)
    query = select(row.team_id, *counts).group_by(row.team_id)
    most = (count.desc() for count in counts[:3])
    ordered = query.order_by(*most, row.team_id)
    return rows_of(TeamCertificates, connection.execute(ordered))


def _counts(row: Any) -> list[Any]:
    return [
        counted(row.state == "overdue").label("overdue"),
        counted(row.state == "due soon").label("due_soon"),
        func.count().label("expired"),
        func.count(row.person.distinct()).label("people"),
    ]


def state_of(deadline: ColumnElement[Any], now: datetime) -> ColumnElement[str]:
    """The state of an expired certificate by its deadline for renewal."""
    return case((deadline < now, "overdue"), (deadline < now + SOON, "due soon"), else_="expired")


def expiry() -> ColumnElement[datetime]:
    """When a certificate expired, or will where the vendor announced that."""
    return func.coalesce(certificate.expires_at, certificate.expired_at)


def _stated(who: Who, now: datetime) -> Select[Any]:
    person = people(who).subquery()
    deadline = certificate.renewal_deadline
    return (
        select(
            person,
            certificate.vendor,
            certificate.cert_name,
            expiry().label("expired_at"),
            deadline,
            state_of(deadline, now).label("state"),
        )
        .join_from(table_of(Certification), table_of(Learner), same_account(learner, certificate))
        .join(person, person.c.person == learner.person)
        .where(true() if who.vendor is None else certificate.vendor == who.vendor)
    )


def completions(
    connection: Connection, who: Who, window: Window, limit: int = 200
) -> Sequence[CompletionRow]:
    """Courses completed in a window, the latest first."""
    asked = people(who).cte("asked").prefix_with("MATERIALIZED")
    row, every = (_completed(asked, who, window).subquery() for _ in range(2))
    # Counted by itself: beside the rows, each of them would be kept until the last is counted.
    of = select(func.count()).select_from(every).scalar_subquery()
    query = select(row, of.label("of")).order_by(row.c.completed_at.desc(), row.c.event_key)
    return rows_of(CompletionRow, connection.execute(query.limit(limit)))


def courses(connection: Connection, who: Who, window: Window) -> Sequence[CourseRow]:
    """The courses that were completed in a window, the most completed first."""
    row = _completed(people(who).subquery(), who, window).subquery().c
    query = (
        select(
            row.vendor,
            row.course_id,
            func.coalesce(func.max(row.course_name), row.course_id).label("course_name"),
            func.count().label("completions"),
            func.count(row.person.distinct()).label("people"),
            func.avg(row.score).label("average"),
        )
        .group_by(row.vendor, row.course_id)
        .order_by(func.count().desc(), row.vendor, row.course_id)
    )
    return rows_of(CourseRow, connection.execute(query))


def _completed(person: FromClause, who: Who, window: Window) -> Select[Any]:
    return (
        select(
            person,
            completion.vendor,
            completion.event_key,
            completion.course_id,
            completion.course_name,
            completion.score,
            completion.completed_at,
            completion.report_url,
        )
        .join_from(table_of(CourseCompletion), table_of(Learner), same_account(learner, completion))
        .join(person, person.c.person == learner.person)
        .where(completion.completed_at >= window.since if window.since else true())
        .where(completion.completed_at < window.until if window.until else true())
        .where(true() if who.vendor is None else completion.vendor == who.vendor)
    )
