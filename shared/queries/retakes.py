"""What came of retakes, with coaching and without."""

from collections.abc import Sequence
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
    not_,
    or_,
    select,
    true,
)

from shared.bulk import table_of
from shared.models import CoachingCase, QuizAttempt
from shared.queries import AnyRow
from shared.queries.coaching import Filters, Taker, is_low, same_quiz, stood
from shared.queries.people import same_account
from shared.standings import percent

DAY_SEC = 86_400

attempt = table_of(QuizAttempt).c
coached = table_of(CoachingCase).c


def achieved(connection: Connection, filters: Filters) -> Sequence[AnyRow]:
    """Retakes after a fail, those with coaching first: coached, retakes, passed (of them so far),
    lift_pct and days.

    A retake is everything from a first fail to the next pass, or to the latest attempt. It counts
    as coached if a case that was not dismissed was open during it, before its last attempt. `lift`
    is from its first score to its last, `days` from the fail to the pass; both are the median.
    `filters` limit by learner, quiz and the time of the last attempt.
    """
    retakes = _retakes(filters).cte("retakes")
    lift, days = _median(retakes, "lift"), _median(retakes, "days")
    kind = retakes.c.coached
    query = (
        select(
            kind,
            func.count().label("retakes"),
            cast(func.count(retakes.c.passed_at), Integer).label("passed"),
            func.max(lift.c.median).label("lift_pct"),
            func.max(days.c.median).label("days"),
        )
        .join_from(retakes, lift, lift.c.coached == kind, isouter=True)
        .join(days, days.c.coached == kind, isouter=True)
        .group_by(kind)
        .order_by(kind.desc())
    )
    return connection.execute(query).all()


def _median(retakes: Any, name: str) -> Any:
    value, kind = retakes.c[name], retakes.c.coached
    ranked = (
        select(
            kind,
            value,
            func.row_number().over(partition_by=kind, order_by=value).label("place"),
            func.count().over(partition_by=kind).label("of"),
        )
        .where(value.isnot(None))
        .subquery()
    )
    twice = 2 * ranked.c.place
    middle = and_(twice >= ranked.c.of, twice <= ranked.c.of + 2)
    query = select(ranked.c.coached, func.avg(ranked.c[name]).label("median"))
    return query.where(middle).group_by(ranked.c.coached).subquery()


def _retakes(filters: Filters) -> Select[Any]:
    run = _runs(filters).subquery().c
    meanwhile = (
        select(coached.id)
        .where(same_account(coached, run), coached.quiz_id == run.quiz_id)
        .where(coached.status != "dismissed", coached.opened_at < run.last_at)
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


def _runs(filters: Filters) -> Select[Any]:
    """Each first fail with what followed up to the next pass, if anything did."""
    tried = _numbered(filters).subquery().c
    of_run = [*(tried[name] for name in Taker._fields), tried.run]
    order = (tried.submitted_at, tried.event_key)
    first = func.row_number().over(partition_by=of_run, order_by=order)
    last = func.row_number().over(partition_by=of_run, order_by=[at.desc() for at in order])
    placed = select(*tried, first.label("first"), last.label("last")).subquery().c

    def at(place: Any, value: Any) -> ColumnElement[Any]:
        return func.max(case((place, value)))

    key = [*(placed[name] for name in Taker._fields), placed.run]
    return (
        select(
            *key[:-1],
            func.min(placed.submitted_at).label("failed_at"),
            at(placed.passes, placed.submitted_at).label("passed_at"),
            func.max(placed.submitted_at).label("last_at"),
            at(placed.first == 1, placed.pct).label("first_pct"),
            at(placed.last == 1, placed.pct).label("last_pct"),
        )
        .group_by(*key)
        .having(func.max(case((placed.low, 1), else_=0)) == 1, func.count() > 1)
    )


def _numbered(filters: Filters) -> Select[Any]:
    """The graded attempts of those who tried again, with how many they had passed before each."""
    tried = _tried(filters).subquery().c
    before = func.sum(case((tried.passes, 1), else_=0)).over(
        partition_by=[tried[name] for name in Taker._fields],
        order_by=(tried.submitted_at, tried.event_key),
        rows=(None, -1),
    )
    return select(*tried, func.coalesce(before, 0).label("run"))


def _tried(filters: Filters) -> Select[Any]:
    row = stood(filters.default_pct, filters.who).subquery().c
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
    low = is_low(scored, scored.threshold_pct)
    answered = or_(scored.latest_pct.isnot(None), scored.passed.isnot(None))
    return select(
        *(scored[name] for name in (*Taker._fields, "event_key", "submitted_at")),
        scored.latest_pct.label("pct"),
        low.label("low"),
        and_(not_(low), answered).label("passes"),
    )


def _at(row: Any, quiz: tuple[str, str] | None) -> ColumnElement[bool]:
    return true() if quiz is None else and_(row.vendor == quiz[0], row.quiz_id == quiz[1])
