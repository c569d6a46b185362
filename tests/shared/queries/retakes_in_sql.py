"""Results of retakes by one statement over all attempts: what `retakes.achieved` must give."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Float,
    Integer,
    Select,
    and_,
    case,
    cast,
    extract,
    func,
    or_,
    select,
    true,
)

from shared.bulk import table_of
from shared.figures import percent
from shared.models import UNDONE, CoachingCase, QuizAttempt
from shared.queries import rows_of
from shared.queries.people import same_account
from shared.queries.quiz_standings import (
    Filters,
    Taker,
    is_low,
    passes,
    rows_for,
    same_quiz,
    standings,
)
from shared.queries.quizzes import marks
from shared.queries.retakes import Retakes

DAY_SEC = 86_400

attempt = table_of(QuizAttempt).c
coached = table_of(CoachingCase).c


def achieved(connection: Connection, filters: Filters) -> Sequence[Retakes]:
    known = marks(connection, filters.default_pct, filters.rule)
    query = _achieved(filters, connection.dialect.name)
    return rows_of(Retakes, connection.execute(query, rows_for(known)))


@lru_cache
def _achieved(filters: Filters, dialect: str) -> Select[Any]:
    retake = _retakes(filters, dialect).subquery().c
    lift, lifts = _ordered(retake, retake.lift)
    days, durations = _ordered(retake, retake.days)
    placed = select(*retake, lift, lifts, days, durations).subquery().c
    return (
        select(
            placed.coached,
            func.count().label("retakes"),
            cast(func.count(placed.passed_at), Integer).label("passed"),
            _median(placed, "lift").label("lift_pct"),
            _median(placed, "days").label("days"),
        )
        .group_by(placed.coached)
        .order_by(placed.coached.desc())
    )


def _ordered(retake: Any, value: ColumnElement[float]) -> tuple[ColumnElement[int], ...]:
    """The place of a value among its kind, and how many there are; None is no value."""
    of_kind = [retake.coached, value.is_(None)]
    place = func.row_number().over(partition_by=of_kind, order_by=value)
    of = func.count().over(partition_by=of_kind)
    return place.label(f"{value.key}_place"), of.label(f"{value.key}_of")


def _median(placed: Any, name: str) -> ColumnElement[float]:
    twice, of = 2 * placed[f"{name}_place"], placed[f"{name}_of"]
    return func.avg(case((and_(twice >= of, twice <= of + 2), placed[name])))


def _retakes(filters: Filters, dialect: str) -> Select[Any]:
    run = _runs(filters, dialect).subquery().c
    meanwhile = (
        select(coached.id)
        .where(same_account(coached, run), coached.quiz_id == run.quiz_id)
        .where(coached.status.not_in(("dismissed", UNDONE)), coached.opened_at < run.last_at)
        .where(or_(coached.closed_at.is_(None), coached.closed_at > run.failed_at))
    )
    seconds = _epoch(run.passed_at) - _epoch(run.failed_at)
    return select(
        meanwhile.exists().label("coached"),
        run.passed_at,
        (run.last_pct - run.first_pct).label("lift"),
        (seconds / DAY_SEC).label("days"),
    ).where(run.last_at >= filters.since if filters.since else true())


def _epoch(at: Any) -> ColumnElement[float]:
    return cast(extract("epoch", at), Float)


def _runs(filters: Filters, dialect: str) -> Select[Any]:
    """Each first fail with what followed up to the next pass, if anything did."""
    tried = _numbered(filters, dialect).subquery().c

    def at(place: Any, value: Any) -> ColumnElement[Any]:
        return func.max(case((place, value)))

    key = [*(tried[name] for name in Taker._fields), tried.run]
    return (
        select(
            *key[:-1],
            func.min(tried.submitted_at).label("failed_at"),
            at(tried.passes, tried.submitted_at).label("passed_at"),
            func.max(tried.submitted_at).label("last_at"),
            at(tried.begins, tried.pct).label("first_pct"),
            at(tried.ends, tried.pct).label("last_pct"),
        )
        .group_by(*key)
        .having(func.max(case((tried.low, 1), else_=0)) == 1, func.count() > 1)
    )


def _numbered(filters: Filters, dialect: str) -> Select[Any]:
    """The graded attempts of learners who tried again, with how many they had passed before each,
    and whether it is the first or last up to a pass. One way of ordering: each more is a sort."""
    tried = _tried(filters, dialect).subquery().c
    passes = case((tried.passes, 1), else_=0)
    in_order: Any = {
        "partition_by": [tried[name] for name in Taker._fields],
        "order_by": (tried.submitted_at, tried.event_key),
        "rows": (None, -1),
    }
    return select(
        *tried,
        func.coalesce(func.sum(passes).over(**in_order), 0).label("run"),
        (func.lag(passes, 1, 1).over(**in_order) == 1).label("begins"),
        or_(tried.passes, func.lead(passes).over(**in_order).is_(None)).label("ends"),
    )


def _tried(filters: Filters, dialect: str) -> Select[Any]:
    row = standings(filters, dialect).subquery().c
    pct = percent(attempt).label("latest_pct")
    scored = (
        select(
            *(attempt[name] for name in (*Taker._fields, "event_key", "submitted_at", "passed")),
            pct,
            row.threshold_pct,
        )
        .join(row.vendor.table, and_(same_account(attempt, row), same_quiz(attempt, row)))
        .where(attempt.graded, row.tries > 1)
        .where(row.submitted_at >= filters.since if filters.since else true())
        .where(_at(row, filters.quiz))
        .subquery()
        .c
    )
    low = is_low(scored, scored.threshold_pct, filters.rule)
    return select(
        *(scored[name] for name in (*Taker._fields, "event_key", "submitted_at")),
        scored.latest_pct.label("pct"),
        low.label("low"),
        passes(scored, low).label("passes"),
    )


def _at(row: Any, quiz: tuple[str, str] | None) -> ColumnElement[bool]:
    return true() if quiz is None else and_(row.vendor == quiz[0], row.quiz_id == quiz[1])
