"""One person: who they are, where they stand, and what they did."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

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
    QuizStanding,
    QuizThreshold,
    RosterChange,
)
from shared.queries import AnyRow, counted
from shared.queries.certifications import expiry, state_of
from shared.queries.coaching import is_low, result_of, same_quiz
from shared.queries.people import Who, is_there, people

learner = table_of(Learner).c
progress = table_of(ModuleProgress).c
module = table_of(Module).c
attempt = table_of(QuizAttempt).c
standing = table_of(QuizStanding).c
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


def search(connection: Connection, words: str, who: Who, limit: int = 20) -> Sequence[AnyRow]:
    """People (`people`) by a part of their name, e-mail address or any of their user ids, in upper
    or lower case; those who are there before those who have left."""
    # Both stores fold the case of plain letters only; these are the ways others are written.
    ways = {words, words.lower(), words.upper(), words.title()}
    told = (learner.name, learner.email, learner.user_id)
    fits = or_(*(column.icontains(way, autoescape=True) for column in told for way in ways))
    asked = people(who).subquery()
    name = func.coalesce(asked.c.name, asked.c.email, asked.c.key)
    query = (
        select(asked)
        .where(asked.c.person.in_(select(learner.person).where(fits)))
        .order_by(asked.c.active.desc(), func.lower(name), asked.c.key)
    )
    return connection.execute(query.limit(limit)).all()


def profile(connection: Connection, person: str, who: Who) -> AnyRow | None:
    """Who a person is (`people`), and since when: provisioned_at, deprovisioned_at, and
    `after_leaving`: whether they learned anything after that. None if `who` leaves them out."""
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
    return connection.execute(query.where(asked.c.person == person)).first()


def accounts(connection: Connection, person: str) -> Sequence[AnyRow]:
    """The accounts of a person: vendor, user_id, email, name, role, team_id, active."""
    columns = (learner.vendor, learner.user_id, learner.email, learner.name, learner.role,
               learner.team_id, is_there().label("active"))  # fmt: skip
    query = select(*columns).where(learner.person == person)
    return connection.execute(query.order_by(learner.vendor, learner.user_id)).all()


def summary(
    connection: Connection, person: str, default_threshold_pct: float, now: datetime
) -> AnyRow:
    """Where somebody stands: modules (begun), completed, average (progress in percent, None
    without a module), quizzes (taken graded), low (of them at the latest try), overdue, due_soon
    (certificates), coaching (active rounds)."""
    progressed, scored, expired, coached = (
        part.subquery()
        for part in (
            _progressed(person),
            _scored(person, default_threshold_pct),
            _expired(person, now),
            _coached(person),
        )
    )
    all_four = progressed.join(scored, true()).join(expired, true()).join(coached, true())
    query = select(*progressed.c, *scored.c, *expired.c, *coached.c)
    return connection.execute(query.select_from(all_four)).one()


def _progressed(person: str) -> Select[Any]:
    return select(
        func.count().label("modules"),
        counted(progress.progress_pct >= COMPLETE_PCT).label("completed"),
        func.avg(progress.progress_pct).label("average"),
    ).where(_of(person, progress))


def _scored(person: str, default_threshold_pct: float) -> Select[int, int]:
    limit = func.coalesce(threshold.threshold_pct, quiz.retake_pct, default_threshold_pct)
    return (
        select(func.count().label("quizzes"), counted(is_low(standing, limit)).label("low"))
        .join_from(table_of(QuizStanding), table_of(Quiz), same_quiz(quiz, standing), isouter=True)
        .join(table_of(QuizThreshold), same_quiz(threshold, standing), isouter=True)
        .where(_of(person, standing), standing.tries > 0)
    )


def _expired(person: str, now: datetime) -> Select[int, int]:
    state = state_of(certificate.renewal_deadline, now)
    return select(
        counted(state == "overdue").label("overdue"),
        counted(state == "due soon").label("due_soon"),
    ).where(_of(person, certificate))


def _coached(person: str) -> Select[int]:
    rounds = select(func.count().label("coaching")).select_from(table_of(CoachingCase))
    return rounds.where(_of(person, case_), text(ACTIVE))


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
    score), threshold_pct, submitted_at, result (as of `coaching.result_of`); the latest first."""
    limits = func.coalesce(threshold.threshold_pct, quiz.retake_pct, default_threshold_pct)
    query = (
        select(
            attempt.vendor,
            attempt.quiz_id,
            func.coalesce(quiz.quiz_name, attempt.quiz_id).label("quiz_name"),
            attempt.graded,
            attempt.passed,
            percent(attempt).label("pct"),
            limits.label("threshold_pct"),
            attempt.submitted_at,
            result_of(attempt, limits).label("result"),
        )
        .join_from(table_of(QuizAttempt), table_of(Quiz), same_quiz(quiz, attempt), isouter=True)
        .join(table_of(QuizThreshold), same_quiz(threshold, attempt), isouter=True)
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


def certificates(connection: Connection, person: str, now: datetime) -> Sequence[AnyRow]:
    """Expired certificates: state (as of `certifications.certificates`), vendor, cert_name,
    expired_at, renewal_deadline; the next deadline first."""
    state = state_of(certificate.renewal_deadline, now).label("state")
    at = expiry().label("expired_at")
    columns = (certificate.vendor, certificate.cert_name, at, certificate.renewal_deadline)
    query = select(*columns, state).where(_of(person, certificate))
    order = (certificate.renewal_deadline.is_(None), certificate.renewal_deadline)
    return connection.execute(query.order_by(*order, certificate.cert_name)).all()


def roster(connection: Connection, person: str) -> Sequence[AnyRow]:
    """What became of their accounts: vendor, user_id, changed_at, kind (`joined` or `left`), role,
    team_id, reason; the latest first."""
    query = select(*change).where(_of(person, change))
    return connection.execute(query.order_by(change.changed_at.desc(), change.kind)).all()


def cases(connection: Connection, person: str, *, coaches: bool) -> Sequence[AnyRow]:
    """Rounds of coaching: quiz_name, status, flagged_pct, due, opened_at, closed_at; for those who
    coach also owner and notes. The active ones first, then the latest."""
    name = func.coalesce(quiz.quiz_name, case_.quiz_id).label("quiz_name")
    rounds = (case_.status, case_.flagged_pct, case_.due, case_.opened_at, case_.closed_at)
    query = (
        select(name, *rounds, *((case_.owner, case_.notes) if coaches else ()))
        .join_from(table_of(CoachingCase), table_of(Quiz), same_quiz(quiz, case_), isouter=True)
        .where(_of(person, case_))
        .order_by(case_.closed_at.isnot(None), case_.id.desc())
    )
    return connection.execute(query).all()


def events(
    connection: Connection,
    person: str,
    since: datetime | None = None,
    until: datetime | None = None,
    event_types: Collection[str] | None = None,
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
        .where(true() if event_types is None else event.type.in_(event_types))
        .order_by(event.occurred_at.desc(), event.id.desc())
        .limit(limit)
    )
    return connection.execute(query).all()


def event_count(connection: Connection, person: str) -> int:
    """How many events there are of somebody."""
    query = select(func.count()).select_from(table_of(Event)).where(_of(person, event))
    return connection.scalar(query) or 0


def _of(person: str, row: Any) -> ColumnElement[bool]:
    """Whether a row is of one of a person's accounts, few as they are: a look-up each. SQLite makes
    no look-up of an EXISTS, but reads the whole table."""
    own = select(learner.vendor, learner.user_id).where(learner.person == person)
    return tuple_(row.vendor, row.user_id).in_(own)
