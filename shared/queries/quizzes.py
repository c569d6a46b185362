"""Graded quizzes: how many of their takers are low, and how many another threshold would flag."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import Connection, Integer, Select, and_, case, cast, func, select, union_all

from shared.bulk import table_of
from shared.models import Learner, Quiz, QuizStanding, QuizThreshold
from shared.queries import rows_of
from shared.queries.people import Who, leavers, same_account
from shared.queries.quiz_standings import (
    Filters,
    Mark,
    as_pct,
    is_low,
    limit_of,
    rows_for,
    same_quiz,
    standings,
)
from shared.setting_types import CoachingRule

standing = table_of(QuizStanding).c
learner = table_of(Learner).c
quiz = table_of(Quiz).c
threshold = table_of(QuizThreshold).c


PROBLEM_TAKERS, PROBLEM_SHARE = 5, 0.5
"""Of at least so many takers more than this share low: look at the quiz, not at the people."""


class QuizFigures(NamedTuple):
    """A graded quiz over learners who are there. `share` is percent of the takers who are low at
    their latest attempt; `own_pct` is set here, `retake_pct` the vendor's. `problem`, and the
    figures behind it, are over all teams; the others over the teams that are asked about."""

    vendor: str
    quiz_id: str
    quiz_name: str
    takers: int
    low: int
    share: float
    threshold_pct: float
    own_pct: float | None
    retake_pct: float | None
    problem: bool
    all_takers: int
    all_share: float


class Preview(NamedTuple):
    """Of a quiz's takers, how many are low now, and how many would be then."""

    takers: int
    now: int
    then: int


def quizzes(
    connection: Connection,
    default_pct: float,
    rule: CoachingRule = "either",
    who: Who = Who(),  # noqa: B008
    known: Sequence[Mark] | None = None,
) -> Sequence[QuizFigures]:
    """Every graded quiz that learners of `who` have taken, by name. `known` are the `marks`, if the
    caller has them."""
    known = marks(connection, default_pct, rule) if known is None else known
    own = {(one.vendor, one.quiz_id): one for one in known if one.takers}
    if who.teams is not None:
        own = _of_teams(connection, known, Filters(who, default_pct=default_pct, rule=rule))
    return [
        QuizFigures(
            mark.vendor,
            mark.quiz_id,
            mark.quiz_name,
            here.takers,
            here.low,
            here.share or 0.0,
            mark.threshold_pct,
            mark.own_pct,
            mark.retake_pct,
            mark.problem,
            mark.takers,
            mark.share or 0.0,
        )
        for mark in known
        if (here := own.get((mark.vendor, mark.quiz_id)))
    ]


def _of_teams(
    connection: Connection, known: Sequence[Mark], filters: Filters
) -> dict[tuple[str, str], Mark]:
    """The same quizzes by vendor and id, with the results of learners of `filters.who`."""
    row = standings(filters, connection.dialect.name).subquery().c
    low = cast(func.sum(case((row.low, 1), else_=0)), Integer)
    query = select(row.vendor, row.quiz_id, func.count(), low).group_by(row.vendor, row.quiz_id)
    found = {
        (vendor, quiz_id): {"takers": takers, "low": fails, "share": 100.0 * fails / takers}
        for vendor, quiz_id, takers, fails in connection.execute(query, rows_for(known))
    }
    return {
        key: mark._replace(**found[key])
        for mark in known
        if (key := (mark.vendor, mark.quiz_id)) in found
    }


def preview(
    connection: Connection,
    default_pct: float,
    of: tuple[str, str],
    pct: float | None,
    rule: CoachingRule = "either",
) -> Preview:
    """What another threshold of a quiz would flag. `pct` None is without one of its own: the
    vendor's or else the default."""
    known = marks(connection, default_pct, rule, of)
    if pct is None:
        pct = next((one.retake_pct for one in known if one.retake_pct is not None), default_pct)
    filters = Filters(default_pct=default_pct, rule=rule)
    row = standings(filters, connection.dialect.name).subquery().c
    then = is_low(row, as_pct(pct), rule)
    query = select(
        func.count().label("takers"),
        func.coalesce(func.sum(case((row.low, 1), else_=0)), 0).label("now"),
        func.coalesce(func.sum(case((then, 1), else_=0)), 0).label("then"),
    )
    return rows_of(Preview, connection.execute(query, rows_for(known)))[0]


def marks(
    connection: Connection,
    default_pct: float,
    rule: CoachingRule = "either",
    of: tuple[str, str] | None = None,
) -> Sequence[Mark]:
    """Every graded quiz that a learner has taken, also one who has left, by name; or only the quiz
    `of`, vendor and id."""
    return rows_of(Mark, connection.execute(_marks(default_pct, rule, of)))


@lru_cache
def _marks(default_pct: float, rule: CoachingRule, of: tuple[str, str] | None) -> Select[Any]:
    """Equal results are counted first, by the index that has them in order, and leavers' results
    subtracted: person by person it took ten times as long.
    """
    alike = union_all(_results(of), _results_of_leavers(of)).subquery()
    row, limit = alike.c, limit_of(default_pct)
    takers = cast(func.sum(row.takers), Integer)
    low = cast(func.sum(case((is_low(row, limit, rule), row.takers), else_=0)), Integer)
    problem = and_(takers >= PROBLEM_TAKERS, low > PROBLEM_SHARE * takers)
    name = func.max(func.coalesce(quiz.quiz_name, row.quiz_id)).label("quiz_name")
    return (
        select(
            row.vendor,
            row.quiz_id,
            func.max(limit).label("threshold_pct"),
            problem.label("problem"),
            name,
            func.max(threshold.threshold_pct).label("own_pct"),
            func.max(quiz.retake_pct).label("retake_pct"),
            takers.label("takers"),
            low.label("low"),
            (100.0 * low / func.nullif(takers, 0)).label("share"),
        )
        .join_from(alike, table_of(Quiz), same_quiz(quiz, row), isouter=True)
        .join(table_of(QuizThreshold), same_quiz(threshold, row), isouter=True)
        .group_by(row.vendor, row.quiz_id)
        .order_by(name, row.vendor, row.quiz_id)
    )


RESULT = (standing.vendor, standing.quiz_id, standing.latest_pct, standing.passed)


def _results(of: tuple[str, str] | None) -> Select[Any]:
    return _at(of, select(*RESULT, func.count().label("takers")))


def _results_of_leavers(of: tuple[str, str] | None) -> Select[Any]:
    return (
        _at(of, select(*RESULT, (-func.count()).label("takers")))
        .join(table_of(Learner), same_account(learner, standing))
        .where(learner.person.in_(leavers()))
    )


def _at(of: tuple[str, str] | None, results: Select[Any]) -> Select[Any]:
    graded = results.where(standing.tries > 0).group_by(*RESULT)
    return graded.where(standing.vendor == of[0], standing.quiz_id == of[1]) if of else graded
