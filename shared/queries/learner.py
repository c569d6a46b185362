"""One learner: profile, progress, quizzes, certificates, coaching and events."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    and_,
    false,
    func,
    or_,
    select,
    text,
    true,
    tuple_,
)

from shared.bulk import table_of
from shared.figures import COMPLETE_PCT, percent
from shared.models import (
    ACTIVE,
    UNDONE,
    CoachingCase,
    CourseCompletion,
    Delivery,
    Event,
    Learner,
    Module,
    ModuleProgress,
    Quiz,
    QuizAttempt,
    QuizStanding,
    QuizThreshold,
    RosterChange,
)
from shared.queries import counted, row_of, rows_of
from shared.queries.certifications import stated
from shared.queries.imports import brought_by
from shared.queries.people import PersonRow, Who, is_there, people, spellings
from shared.queries.quiz_standings import is_low, result_of, same_quiz
from shared.setting_types import CoachingRule

learner = table_of(Learner).c
progress = table_of(ModuleProgress).c
module = table_of(Module).c
attempt = table_of(QuizAttempt).c
standing = table_of(QuizStanding).c
quiz = table_of(Quiz).c
threshold = table_of(QuizThreshold).c
completion = table_of(CourseCompletion).c
change = table_of(RosterChange).c
case_ = table_of(CoachingCase).c
event = table_of(Event).c
delivery = table_of(Delivery).c


@dataclass(frozen=True)
class Profile(PersonRow):
    """A person, since when they are on a roster, when they left or will, and whether they learned
    anything after that."""

    provisioned_at: datetime | None
    deprovisioned_at: datetime | None
    after_leaving: bool


class AccountRow(NamedTuple):
    """An account of a person at a vendor."""

    vendor: str
    user_id: str
    email: str | None
    name: str | None
    role: str | None
    team_id: str | None
    active: bool


class Summary(NamedTuple):
    """Counts of a person. `modules` are those that they began, `average` is their progress in
    percent (None without a module), `quizzes` have a graded attempt, `low` of them are low at the
    latest try, `overdue`, `due_soon` and `expires_soon` are certificates that are not renewed,
    `coaching` counts active rounds."""

    modules: int
    completed: int
    average: float | None
    quizzes: int
    low: int
    overdue: int
    due_soon: int
    expires_soon: int
    coaching: int


class ModuleRow(NamedTuple):
    """Progress of a person in a module."""

    vendor: str
    module_id: str
    module_name: str
    progress_pct: float
    time_spent_sec: int
    updated_at: datetime


class AttemptRow(NamedTuple):
    """A submission of a quiz; `passed` as the vendor says, `score` as sent, `pct` None without a
    score or a maximum, `result` of `quiz_standings.result_of`."""

    vendor: str
    quiz_id: str
    quiz_name: str
    graded: bool
    passed: bool | None
    score: float | None
    pct: float | None
    threshold_pct: float
    submitted_at: datetime
    result: str


class CompletionRow(NamedTuple):
    """A completed course."""

    vendor: str
    event_key: str
    user_id: str
    course_id: str
    course_name: str | None
    score: float | None
    completed_at: datetime
    report_url: str | None


class CertificateRow(NamedTuple):
    """A certificate, as of `certifications.stated`."""

    person: str
    vendor: str
    user_id: str
    cert_name: str
    expired_at: datetime
    renewal_deadline: datetime | None
    renewed_at: datetime | None
    renewed_by: str | None
    renewal_id: int | None
    state: str


class RosterRow(NamedTuple):
    """A change of a roster: `kind` is `joined` or `left`."""

    vendor: str
    user_id: str
    changed_at: datetime
    kind: str
    role: str | None
    team_id: str | None
    reason: str | None


class CaseRow(NamedTuple):
    """A round of coaching. Only roles that coach are given `owner` and `notes`."""

    quiz_name: str
    status: str
    flagged_pct: float | None
    due: date | None
    opened_at: datetime
    closed_at: datetime | None
    snoozed_until: date | None
    owner: str | None = None
    notes: str | None = None


class EventRow(NamedTuple):
    """An event; `delivery_id` is None once its delivery was removed by age, and below zero if an
    import brought the event (`shared.queries.imports.brought_by`)."""

    vendor: str
    event_key: str
    type: str
    occurred_at: datetime
    payload: str
    delivery_id: int | None


def person_at(connection: Connection, vendor: str, user_id: str) -> str | None:
    """The person behind an account; None if there is none."""
    return connection.scalar(
        select(learner.person).where(learner.vendor == vendor, learner.user_id == user_id)
    )


def search(connection: Connection, words: str, who: Who, limit: int = 20) -> Sequence[PersonRow]:
    """People by a part of their name, e-mail address or any of their user ids, in upper or lower
    case; active people before those who left."""
    columns = (learner.name, learner.email, learner.user_id)
    fits = or_(
        *(one.icontains(way, autoescape=True) for one in columns for way in spellings(words))
    )
    asked = people(who).subquery()
    name = func.coalesce(asked.c.name, asked.c.email, asked.c.key)
    query = (
        select(asked)
        .where(asked.c.person.in_(select(learner.person).where(fits)))
        .order_by(asked.c.active.desc(), func.lower(name), asked.c.key)
    )
    return rows_of(PersonRow, connection.execute(query.limit(limit)))


def profile(connection: Connection, person: str, who: Who) -> Profile | None:
    """The profile of a person; None if they are not in `who`."""
    asked = people(who).subquery()
    roster = (
        select(
            func.min(learner.provisioned_at).label("provisioned_at"),
            func.max(func.coalesce(learner.leaves_at, learner.deprovisioned_at)).label(
                "deprovisioned_at"
            ),
        )
        .where(learner.person == person)
        .subquery()
    )
    later = or_(
        *(
            select(row.user_id).where(_of(person, row), at > asked.c.left_at).exists()
            for row, at in (
                (progress, progress.updated_at),
                (attempt, attempt.submitted_at),
                (completion, completion.completed_at),
            )
        )
    )
    query = select(
        asked, *roster.c, func.coalesce(later, false()).label("after_leaving")
    ).select_from(asked.join(roster, true()))
    return row_of(Profile, connection.execute(query.where(asked.c.person == person)))


def accounts(connection: Connection, person: str) -> Sequence[AccountRow]:
    """The accounts of a person."""
    columns = (learner.vendor, learner.user_id, learner.email, learner.name, learner.role,
               learner.team_id, is_there().label("active"))  # fmt: skip
    query = select(*columns).where(learner.person == person)
    ordered = query.order_by(learner.vendor, learner.user_id)
    return rows_of(AccountRow, connection.execute(ordered))


def summary(
    connection: Connection,
    person: str,
    default_threshold_pct: float,
    now: datetime,
    rule: CoachingRule = "either",
) -> Summary:
    """The counts of a person."""
    progressed, scored, expired, coached = (
        part.subquery()
        for part in (
            _progressed(person),
            _scored(person, default_threshold_pct, rule),
            _expired(person, now),
            _coached(person),
        )
    )
    all_four = progressed.join(scored, true()).join(expired, true()).join(coached, true())
    query = select(*progressed.c, *scored.c, *expired.c, *coached.c)
    (found,) = rows_of(Summary, connection.execute(query.select_from(all_four)))
    return found


def _progressed(person: str) -> Select[Any]:
    return select(
        func.count().label("modules"),
        counted(progress.progress_pct >= COMPLETE_PCT).label("completed"),
        func.avg(progress.progress_pct).label("average"),
    ).where(_of(person, progress))


def _scored(person: str, default_threshold_pct: float, rule: CoachingRule) -> Select[int, int]:
    limit = func.coalesce(threshold.threshold_pct, quiz.retake_pct, default_threshold_pct)
    return (
        select(func.count().label("quizzes"), counted(is_low(standing, limit, rule)).label("low"))
        .join_from(table_of(QuizStanding), table_of(Quiz), same_quiz(quiz, standing), isouter=True)
        .join(table_of(QuizThreshold), same_quiz(threshold, standing), isouter=True)
        .where(_of(person, standing), standing.tries > 0)
    )


def _expired(person: str, now: datetime) -> Select[int, int, int]:
    row = stated(now).subquery().c
    return select(
        counted(row.state == "overdue").label("overdue"),
        counted(row.state == "due soon").label("due_soon"),
        counted(row.state == "expires soon").label("expires_soon"),
    ).where(row.person == person)


def _coached(person: str) -> Select[int]:
    rounds = select(func.count().label("coaching")).select_from(table_of(CoachingCase))
    return rounds.where(_of(person, case_), text(ACTIVE))


def modules(connection: Connection, person: str) -> Sequence[ModuleRow]:
    """Progress by module, the latest first."""
    query = (
        select(
            progress.vendor,
            progress.module_id,
            func.coalesce(module.module_name, progress.module_id).label("module_name"),
            progress.progress_pct,
            progress.time_spent_sec,
            progress.updated_at,
        )
        .join_from(
            table_of(ModuleProgress),
            table_of(Module),
            and_(module.vendor == progress.vendor, module.module_id == progress.module_id),
            isouter=True,
        )
        .where(_of(person, progress))
        .order_by(progress.updated_at.desc(), progress.module_id)
    )
    return rows_of(ModuleRow, connection.execute(query))


def attempts(
    connection: Connection,
    person: str,
    default_threshold_pct: float,
    limit: int | None = None,
    rule: CoachingRule = "either",
) -> Sequence[AttemptRow]:
    """Submissions of quizzes, the latest first."""
    limits = func.coalesce(threshold.threshold_pct, quiz.retake_pct, default_threshold_pct)
    query = (
        select(
            attempt.vendor,
            attempt.quiz_id,
            func.coalesce(quiz.quiz_name, attempt.quiz_id).label("quiz_name"),
            attempt.graded,
            attempt.passed,
            attempt.score,
            percent(attempt).label("pct"),
            limits.label("threshold_pct"),
            attempt.submitted_at,
            result_of(attempt, limits, rule).label("result"),
        )
        .join_from(table_of(QuizAttempt), table_of(Quiz), same_quiz(quiz, attempt), isouter=True)
        .join(table_of(QuizThreshold), same_quiz(threshold, attempt), isouter=True)
        .where(_of(person, attempt))
        .order_by(attempt.submitted_at.desc(), attempt.event_key)
        .limit(limit)
    )
    return rows_of(AttemptRow, connection.execute(query))


def attempt_count(connection: Connection, person: str) -> int:
    """The number of submissions of a person."""
    query = select(func.count()).select_from(table_of(QuizAttempt)).where(_of(person, attempt))
    return connection.scalar(query) or 0


def completions(
    connection: Connection, person: str, limit: int | None = None
) -> Sequence[CompletionRow]:
    """Completed courses, the latest first."""
    columns = (completion[name] for name in CompletionRow._fields)
    query = select(*columns).where(_of(person, completion))
    query = query.order_by(completion.completed_at.desc(), completion.event_key)
    return rows_of(CompletionRow, connection.execute(query.limit(limit)))


def completion_count(connection: Connection, person: str) -> int:
    """The number of completed courses of a person."""
    completed = select(func.count()).select_from(table_of(CourseCompletion))
    return connection.scalar(completed.where(_of(person, completion))) or 0


def certificates(connection: Connection, person: str, now: datetime) -> Sequence[CertificateRow]:
    """Certificates, the next deadline first, renewed ones last."""
    row = stated(now).subquery()
    query = select(row).where(row.c.person == person)
    ordered = query.order_by(
        row.c.renewed_at.isnot(None),
        row.c.renewal_deadline.is_(None),
        row.c.renewal_deadline,
        row.c.cert_name,
    )
    return rows_of(CertificateRow, connection.execute(ordered))


def roster(connection: Connection, person: str) -> Sequence[RosterRow]:
    """Roster changes of a person's accounts, the latest first."""
    columns = (change[name] for name in RosterRow._fields)
    query = select(*columns).where(_of(person, change))
    ordered = query.order_by(change.changed_at.desc(), change.kind)
    return rows_of(RosterRow, connection.execute(ordered))


def cases(connection: Connection, person: str, *, coaches: bool) -> Sequence[CaseRow]:
    """Rounds of coaching, the active ones first, then the latest; with owner and notes for roles
    that coach."""
    name = func.coalesce(quiz.quiz_name, case_.quiz_id).label("quiz_name")
    rounds = (
        case_.status,
        case_.flagged_pct,
        case_.due,
        case_.opened_at,
        case_.closed_at,
        case_.snoozed_until,
    )
    query = (
        select(name, *rounds, *((case_.owner, case_.notes) if coaches else ()))
        .join_from(table_of(CoachingCase), table_of(Quiz), same_quiz(quiz, case_), isouter=True)
        .where(_of(person, case_), case_.status != UNDONE)
        .order_by(case_.closed_at.isnot(None), case_.id.desc())
    )
    return rows_of(CaseRow, connection.execute(query))


def events(
    connection: Connection,
    person: str,
    since: datetime | None = None,
    until: datetime | None = None,
    event_types: Collection[str] | None = None,
    limit: int = 200,
) -> Sequence[EventRow]:
    """Events of a person, the latest first."""
    query = (
        select(
            event.vendor,
            event.event_key,
            event.type,
            event.occurred_at,
            event.payload,
            brought_by().label("delivery_id"),
        )
        .join_from(
            table_of(Event), table_of(Delivery), delivery.id == event.delivery_id, isouter=True
        )
        .where(_of(person, event))
        .where(event.occurred_at >= since if since else true())
        .where(event.occurred_at < until if until else true())
        .where(true() if event_types is None else event.type.in_(event_types))
        .order_by(event.occurred_at.desc(), event.id.desc())
        .limit(limit)
    )
    return rows_of(EventRow, connection.execute(query))


def event_count(connection: Connection, person: str) -> int:
    """The number of events of a person."""
    query = select(func.count()).select_from(table_of(Event)).where(_of(person, event))
    return connection.scalar(query) or 0


def _of(person: str, row: Any) -> ColumnElement[bool]:
    """Whether a row belongs to one of a person's accounts: a look-up for each of the few. For an
    EXISTS, SQLite would read the whole table."""
    own = select(learner.vendor, learner.user_id).where(learner.person == person)
    return tuple_(row.vendor, row.user_id).in_(own)
