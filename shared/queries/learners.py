"""One person: who they are, where they stand, and what they did."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, func, select, true

from shared.bulk import table_of
from shared.models import (
    Certification,
    CoachingCase,
    CourseCompletion,
    Delivery,
    Event,
    Learner,
    Module,
    ModuleProgress,
    Quiz,
    QuizAttempt,
    QuizThreshold,
    RosterChange,
)
from shared.queries import AnyRow
from shared.queries.people import Who, people, same_account
from shared.standings import exact

learner = table_of(Learner).c
progress = table_of(ModuleProgress).c
module = table_of(Module).c
attempt = table_of(QuizAttempt).c
quiz = table_of(Quiz).c
threshold = table_of(QuizThreshold).c
completion = table_of(CourseCompletion).c
certificate = table_of(Certification).c
change = table_of(RosterChange).c
case_ = table_of(CoachingCase).c
event = table_of(Event).c
delivery = table_of(Delivery).c


def person_at(connection: Connection, vendor: str, user_id: str) -> str | None:
    """The person behind an account; None if there is none."""
    return connection.scalar(
        select(learner.person).where(learner.vendor == vendor, learner.user_id == user_id)
    )


def profile(connection: Connection, person: str, who: Who) -> AnyRow | None:
    """Who somebody is (`people`), and since when: provisioned_at, deprovisioned_at. None if they
    are not among those who may be asked about."""
    asked = people(who).subquery()
    roster = (
        select(
            func.min(learner.provisioned_at).label("provisioned_at"),
            func.max(learner.deprovisioned_at).label("deprovisioned_at"),
        )
        .where(learner.person == person)
        .subquery()
    )
    return connection.execute(select(asked, *roster.c).where(asked.c.person == person)).first()


def accounts(connection: Connection, person: str) -> Sequence[AnyRow]:
    """The accounts of a person: vendor, user_id, email, name, role, team_id, active."""
    query = select(*learner).where(learner.person == person)
    return connection.execute(query.order_by(learner.vendor, learner.user_id)).all()


def modules(connection: Connection, person: str) -> Sequence[AnyRow]:
    """Progress by module: vendor, module_id, module_name, progress_pct, time_spent_sec,
    updated_at; the latest first."""
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
    return connection.execute(query).all()


def attempts(
    connection: Connection, person: str, default_threshold_pct: float, limit: int = 500
) -> Sequence[AnyRow]:
    """Submissions of quizzes: vendor, quiz_id, quiz_name, graded, passed, pct (None without a
    score), threshold_pct, submitted_at; the latest first."""
    limits = func.coalesce(threshold.threshold_pct, quiz.retake_pct, default_threshold_pct)
    query = (
        select(
            attempt.vendor,
            attempt.quiz_id,
            func.coalesce(quiz.quiz_name, attempt.quiz_id).label("quiz_name"),
            attempt.graded,
            attempt.passed,
            exact(100 * attempt.score / attempt.max_score).label("pct"),
            limits.label("threshold_pct"),
            attempt.submitted_at,
        )
        .join_from(table_of(QuizAttempt), table_of(Quiz), _same_quiz(quiz, attempt), isouter=True)
        .join(table_of(QuizThreshold), _same_quiz(threshold, attempt), isouter=True)
        .where(_of(person, attempt))
        .order_by(attempt.submitted_at.desc(), attempt.event_key)
        .limit(limit)
    )
    return connection.execute(query).all()


def completions(connection: Connection, person: str, limit: int = 500) -> Sequence[AnyRow]:
    """Completed courses: vendor, course_id, course_name, score, completed_at, report_url; the
    latest first."""
    query = select(*completion).where(_of(person, completion))
    query = query.order_by(completion.completed_at.desc(), completion.event_key)
    return connection.execute(query.limit(limit)).all()


def certificates(connection: Connection, person: str) -> Sequence[AnyRow]:
    """Expired certificates: vendor, cert_name, expired_at, renewal_deadline; the next deadline
    first."""
    query = select(*certificate).where(_of(person, certificate))
    order = (certificate.renewal_deadline.is_(None), certificate.renewal_deadline)
    return connection.execute(query.order_by(*order, certificate.cert_name)).all()


def roster(connection: Connection, person: str) -> Sequence[AnyRow]:
    """What became of their accounts: vendor, user_id, changed_at, kind (`joined` or `left`), role,
    team_id, reason; the latest first."""
    query = select(*change).where(_of(person, change))
    return connection.execute(query.order_by(change.changed_at.desc(), change.kind)).all()


def cases(connection: Connection, person: str) -> Sequence[AnyRow]:
    """Rounds of coaching, with quiz_name; the active ones first, then the latest."""
    name = func.coalesce(quiz.quiz_name, case_.quiz_id).label("quiz_name")
    query = (
        select(*case_, name)
        .join_from(table_of(CoachingCase), table_of(Quiz), _same_quiz(quiz, case_), isouter=True)
        .where(_of(person, case_))
        .order_by(case_.closed_at.isnot(None), case_.id.desc())
    )
    return connection.execute(query).all()


def events(
    connection: Connection,
    person: str,
    since: datetime | None = None,
    until: datetime | None = None,
    event_type: str | None = None,
    limit: int = 200,
) -> Sequence[AnyRow]:
    """What vendors told of somebody: vendor, event_key, type, occurred_at, payload, delivery_id
    (None once the delivery has gone by age); the latest first."""
    query = (
        select(
            event.vendor,
            event.event_key,
            event.type,
            event.occurred_at,
            event.payload,
            delivery.id.label("delivery_id"),
        )
        .join_from(
            table_of(Event), table_of(Delivery), delivery.id == event.delivery_id, isouter=True
        )
        .where(_of(person, event))
        .where(event.occurred_at >= since if since else true())
        .where(event.occurred_at < until if until else true())
        .where(event.type == event_type if event_type else true())
        .order_by(event.occurred_at.desc(), event.id.desc())
        .limit(limit)
    )
    return connection.execute(query).all()


def event_count(connection: Connection, person: str) -> int:
    """How many events there are of somebody."""
    query = select(func.count()).select_from(table_of(Event)).where(_of(person, event))
    return connection.scalar(query) or 0


def _of(person: str, row: Any) -> ColumnElement[bool]:
    """Whether a row is of one of a person's accounts, few as they are: a look-up each."""
    own = select(learner.user_id).where(learner.person == person, same_account(learner, row))
    return own.exists()


def _same_quiz(one: Any, other: Any) -> ColumnElement[bool]:
    return and_(one.vendor == other.vendor, one.quiz_id == other.quiz_id)
