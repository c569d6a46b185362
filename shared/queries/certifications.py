"""Expired certificates and completed courses."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Select,
    and_,
    case,
    func,
    select,
    true,
)

from shared.bulk import table_of
from shared.models import CertificateRenewal, Certification, CourseCompletion, Learner
from shared.queries import counted, rows_of
from shared.queries.people import PersonRow, Who, people, same_account
from shared.queries.windows import Window

certificate = table_of(Certification).c
renewal = table_of(CertificateRenewal).c
completion = table_of(CourseCompletion).c
learner = table_of(Learner).c

SOON = timedelta(days=30)
OPEN = ("overdue", "due soon", "expired")
"""The states of a certificate that has expired and is not renewed."""


@dataclass(frozen=True)
class CertificateRow(PersonRow):
    """A certificate of a person. `expired_at` is its latest expiry, past or to come; `state` is of
    `state_of`; `of` counts all rows without a limit.

    A renewed one has `renewed_at` and either `renewal_id` and `renewed_by`, who marked it, or
    neither, if a course was completed.
    """

    vendor: str
    user_id: str
    cert_name: str
    expired_at: datetime
    renewal_deadline: datetime | None
    renewed_at: datetime | None
    renewed_by: str | None
    renewal_id: int | None
    state: str
    of: int


class CertificateCounts(NamedTuple):
    """Certificates by state: `expired` counts all that have expired and are not renewed, overdue
    and due soon included, and `people` those who hold them."""

    overdue: int
    due_soon: int
    expired: int
    expires_soon: int
    valid: int
    renewed: int
    people: int


class TeamCertificates(NamedTuple):
    """The same of one team."""

    team_id: str | None
    overdue: int
    due_soon: int
    expired: int
    expires_soon: int
    valid: int
    renewed: int
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
    connection: Connection, who: Who, now: datetime, limit: int = 500, *, renewed: bool = False
) -> Sequence[CertificateRow]:
    """Certificates that are not renewed, the most urgent first; or the renewed ones, the latest
    first."""
    row = _held(who, now).subquery()
    query = select(row, func.count().over().label("of"))
    if renewed:
        query = query.where(row.c.state == "renewed").order_by(row.c.renewed_at.desc())
    else:
        query = query.where(row.c.state != "renewed").order_by(*_urgency(row.c))
    ordered = query.order_by(row.c.key, row.c.cert_name)
    return rows_of(CertificateRow, connection.execute(ordered.limit(limit)))


def _urgency(row: Any) -> list[ColumnElement[Any]]:
    """Expired ones by deadline, then the latest expiry; those to come by expiry."""
    places = {"overdue": 0, "due soon": 1, "expires soon": 2, "expired": 3, "valid": 4}
    to_come = case((row.state.in_(("expires soon", "valid")), row.expired_at))
    return [
        case(places, value=row.state),
        to_come,
        row.renewal_deadline.is_(None),
        row.renewal_deadline,
        row.expired_at.desc(),
    ]


def totals(connection: Connection, who: Who, now: datetime) -> CertificateCounts:
    """How many certificates are in which state."""
    row = _held(who, now).subquery().c
    (counts,) = rows_of(CertificateCounts, connection.execute(select(*_counts(row))))
    return counts


def by_team(connection: Connection, who: Who, now: datetime) -> Sequence[TeamCertificates]:
    """How many certificates of each team are in which state; the team with most overdue first."""
    row = _held(who, now).subquery().c
    counts = _counts(row)
    query = select(row.team_id, *counts).group_by(row.team_id)
    most = (count.desc() for count in counts[:4])
    ordered = query.order_by(*most, row.team_id)
    return rows_of(TeamCertificates, connection.execute(ordered))


def _counts(row: Any) -> list[Any]:
    is_open = row.state.in_(OPEN)
    return [
        counted(row.state == "overdue").label("overdue"),
        counted(row.state == "due soon").label("due_soon"),
        counted(is_open).label("expired"),
        counted(row.state == "expires soon").label("expires_soon"),
        counted(row.state == "valid").label("valid"),
        counted(row.state == "renewed").label("renewed"),
        func.count(case((is_open, row.person)).distinct()).label("people"),
    ]


def _held(who: Who, now: datetime) -> Select[Any]:
    person = people(who).subquery()
    row = stated(now).subquery()
    columns = (column for column in row.c if column.name != "person")
    return (
        select(person, *columns)
        .join_from(row, person, person.c.person == row.c.person)
        .where(true() if who.vendor is None else row.c.vendor == who.vendor)
    )


def stated(now: datetime) -> Select[Any]:
    """Every certificate: person, vendor, user_id, cert_name, expired_at (its latest expiry),
    renewal_deadline, renewed_at, renewed_by, renewal_id and state.

    The state is `renewed`; of another one that has not expired `expires soon` (within 30 days) or
    `valid`; of an expired one `overdue` (the deadline for renewal is over), `due soon` (within 30
    days) or `expired`.
    """
    renewed_at = func.coalesce(renewal.renewed_at, _course_completed_at())
    row = (
        select(
            learner.person,
            certificate.vendor,
            certificate.user_id,
            certificate.cert_name,
            expiry().label("expired_at"),
            certificate.renewal_deadline,
            renewed_at.label("renewed_at"),
            renewal.renewed_by,
            renewal.id.label("renewal_id"),
        )
        .join_from(table_of(Certification), table_of(Learner), same_account(learner, certificate))
        .join(table_of(CertificateRenewal), _is_marked(), isouter=True)
        .subquery()
    )
    return select(row, state_of(row.c, now).label("state"))


def state_of(row: Any, now: datetime) -> ColumnElement[str]:
    """The state of a row of `stated`."""
    deadline, soon = row.renewal_deadline, now + SOON
    return case(
        (row.renewed_at.isnot(None), "renewed"),
        (row.expired_at > soon, "valid"),
        (row.expired_at > now, "expires soon"),
        (deadline < now, "overdue"),
        (deadline < soon, "due soon"),
        else_="expired",
    )


def expiry() -> ColumnElement[datetime]:
    """When a certificate expired, or will where the vendor announced that."""
    return func.coalesce(certificate.expires_at, certificate.expired_at)


def _is_marked() -> ColumnElement[bool]:
    """For this expiry: a later one counts again."""
    return and_(
        same_account(renewal, certificate),
        renewal.cert_name == certificate.cert_name,
        renewal.expired_at == expiry(),
        renewal.undone_at.is_(None),
    )


def _course_completed_at() -> ColumnElement[datetime]:
    """When the person first completed, after the expiry and at the same vendor, the course that the
    certificate is for: no vendor says which one that is, so it is the one of the same name, in
    upper or lower case (of ASCII letters, as both stores fold no others)."""
    own = table_of(Learner).alias().c
    accounts = (
        select(own.user_id)
        .where(own.vendor == certificate.vendor, own.person == learner.person)
        .correlate(table_of(Certification), table_of(Learner))
    )
    return (
        select(func.min(completion.completed_at))
        .where(
            completion.vendor == certificate.vendor,
            completion.user_id.in_(accounts),
            completion.completed_at > expiry(),
            func.lower(func.trim(completion.course_name))
            == func.lower(func.trim(certificate.cert_name)),
        )
        .correlate(table_of(Certification), table_of(Learner))
        .scalar_subquery()
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
