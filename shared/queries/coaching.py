"""Whose latest graded score on a quiz is low."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Float,
    Numeric,
    Select,
    and_,
    case,
    cast,
    func,
    or_,
    select,
    true,
)

from shared.bulk import table_of
from shared.models import Learner, QuizAttempt, QuizThreshold
from shared.queries import AnyRow

attempt = table_of(QuizAttempt).c
learner = table_of(Learner).c
threshold = table_of(QuizThreshold).c


def low_scorers(
    connection: Connection,
    default_threshold_pct: float,
    since: datetime | None = None,
    team_id: str | None = None,
    quiz_id: str | None = None,
    limit: int = 500,
) -> Sequence[AnyRow]:
    """Learner × quiz whose latest graded attempt since `since` is under the quiz's threshold, or
    that the vendor marked as not passed. Practice runs never count; leavers are left out.

    Rows: vendor, user_id, email, name, team_id, quiz_id, quiz_name, latest_pct, best_pct (None
    without a score), tries, passed, threshold_pct, submitted_at; the lowest score first.
    """
    low = _low(default_threshold_pct, since, team_id, quiz_id).subquery()
    query = (
        select(low)
        .order_by(func.coalesce(low.c.latest_pct, 0), low.c.submitted_at.desc())
        .order_by(low.c.vendor, low.c.user_id, low.c.quiz_id)
        .limit(limit)
    )
    return connection.execute(query).all()


def low_counts(
    connection: Connection,
    default_threshold_pct: float,
    since: datetime | None = None,
    team_id: str | None = None,
    quiz_id: str | None = None,
) -> AnyRow:
    """How many there are without a limit: items, people, quizzes."""
    low = _low(default_threshold_pct, since, team_id, quiz_id).subquery()
    items = select(func.count()).select_from(low).scalar_subquery()
    people = select(low.c.vendor, low.c.user_id).distinct().subquery()
    quizzes = select(low.c.vendor, low.c.quiz_id).distinct().subquery()
    query = select(
        items.label("items"),
        select(func.count()).select_from(people).scalar_subquery().label("people"),
        select(func.count()).select_from(quizzes).scalar_subquery().label("quizzes"),
    )
    return connection.execute(query).one()


def _low(
    default_threshold_pct: float, since: datetime | None, team_id: str | None, quiz_id: str | None
) -> Select[Any]:
    latest = _latest(default_threshold_pct).subquery()
    return (
        select(latest)
        .where(_is_low(latest.c), or_(latest.c.active, latest.c.active.is_(None)))
        .where(latest.c.submitted_at >= since if since else true())
        .where(latest.c.team_id == team_id if team_id else true())
        .where(latest.c.quiz_id == quiz_id if quiz_id else true())
    )


def quizzes(connection: Connection, default_threshold_pct: float) -> Sequence[AnyRow]:
    """Every graded quiz: quiz_id, quiz_name, takers, low (how many are low at their latest)."""
    latest = _latest(default_threshold_pct).subquery()
    query = (
        select(
            latest.c.quiz_id,
            func.max(latest.c.quiz_name).label("quiz_name"),
            func.count().label("takers"),
            func.sum(case((_is_low(latest.c), 1), else_=0)).label("low"),
        )
        .where(or_(latest.c.active, latest.c.active.is_(None)))
        .group_by(latest.c.vendor, latest.c.quiz_id)
        .order_by(func.max(latest.c.quiz_name), latest.c.quiz_id)
    )
    return connection.execute(query).all()


def _is_low(row: Any) -> ColumnElement[bool]:
    return or_(row.latest_pct < row.threshold_pct, row.passed.is_(False))


def _latest(default_threshold_pct: float) -> Select[Any]:
    """The latest graded attempt of each learner at each quiz, with how many there were."""
    ranked = _ranked().subquery()
    limit = func.coalesce(threshold.threshold_pct, default_threshold_pct)
    return (
        select(
            *(ranked.c[name] for name in ("vendor", "user_id", "quiz_id", "quiz_name")),
            learner.email,
            learner.name,
            learner.team_id,
            learner.active,
            ranked.c.pct.label("latest_pct"),
            ranked.c.best_pct,
            ranked.c.tries,
            ranked.c.passed,
            limit.label("threshold_pct"),
            ranked.c.submitted_at,
        )
        .where(ranked.c.newest_first == 1)
        .join(
            table_of(Learner),
            and_(learner.vendor == ranked.c.vendor, learner.user_id == ranked.c.user_id),
            isouter=True,
        )
        .join(
            table_of(QuizThreshold),
            and_(threshold.vendor == ranked.c.vendor, threshold.quiz_id == ranked.c.quiz_id),
            isouter=True,
        )
    )


def _ranked() -> Select[Any]:
    # Rounded, so that the noise of binary fractions puts nobody under a threshold.
    exact = cast(100 * attempt.score / attempt.max_score, Numeric)
    pct = cast(func.round(exact, 6), Float)
    of_learner: Any = (attempt.vendor, attempt.user_id, attempt.quiz_id)
    newest: Any = (attempt.submitted_at.desc(), attempt.event_key.desc())
    return select(
        *of_learner,
        attempt.quiz_name,
        attempt.passed,
        attempt.submitted_at,
        pct.label("pct"),
        func.max(pct).over(partition_by=of_learner).label("best_pct"),
        func.count().over(partition_by=of_learner).label("tries"),
        func.row_number().over(partition_by=of_learner, order_by=newest).label("newest_first"),
    ).where(attempt.graded)
