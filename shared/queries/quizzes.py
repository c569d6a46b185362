"""Graded quizzes: how many of their takers are low, and how many another threshold would flag."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, Integer, Select, and_, case, cast, func, not_, select, union_all

from shared.bulk import table_of
from shared.models import Learner, Quiz, QuizStanding, QuizThreshold
from shared.queries import rows_of
from shared.queries.people import Who, people, same_account
from shared.queries.quiz_standings import Filters, as_pct, is_low, limit_of, same_quiz, standings
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
) -> Sequence[QuizFigures]:
    """Every graded quiz that learners of `who` have taken."""
    found = by_quiz(default_pct, rule).subquery()
    all_teams = (found.c.takers.label("all_takers"), found.c.share.label("all_share"))
    query = select(found, *all_teams)
    if who.teams is not None:
        own = _by_quiz_of(Filters(who, default_pct=default_pct, rule=rule)).subquery()
        counted_here = ("takers", "low", "share")
        rest = (column for column in found.c if column.name not in counted_here)
        query = select(*rest, *(own.c[name] for name in counted_here), *all_teams)
        query = query.join_from(found, own, same_quiz(own.c, found.c))
    query = query.order_by(found.c.quiz_name, found.c.vendor, found.c.quiz_id)
    return rows_of(QuizFigures, connection.execute(query))


def _by_quiz_of(filters: Filters) -> Select[Any]:
    row = standings(filters).subquery().c
    low, takers = func.sum(case((row.low, 1), else_=0)), func.count()
    return select(
        row.vendor,
        row.quiz_id,
        takers.label("takers"),
        cast(low, Integer).label("low"),
        (100.0 * low / takers).label("share"),
    ).group_by(row.vendor, row.quiz_id)


def preview(
    connection: Connection,
    default_pct: float,
    of: tuple[str, str],
    pct: float | None,
    rule: CoachingRule = "either",
) -> Preview:
    """What another threshold of a quiz would flag. `pct` None is without one of its own: the
    vendor's or else the default."""
    row = standings(Filters(default_pct=default_pct, rule=rule)).subquery().c
    other = func.coalesce(row.retake_pct, as_pct(default_pct)) if pct is None else as_pct(pct)
    then = is_low(row, other, rule)
    query = select(
        func.count().label("takers"),
        func.coalesce(func.sum(case((row.low, 1), else_=0)), 0).label("now"),
        func.coalesce(func.sum(case((then, 1), else_=0)), 0).label("then"),
    ).where(row.vendor == of[0], row.quiz_id == of[1])
    return rows_of(Preview, connection.execute(query))[0]


def by_quiz(default_pct: float, rule: CoachingRule) -> Select[Any]:
    """Over learners who are there. Equal results are counted first, by the index that has them in
    order, and leavers' results subtracted: person by person it took ten times as long."""
    alike = union_all(_results(), _results_of_leavers()).subquery()
    row, limit = alike.c, limit_of(default_pct)
    takers = cast(func.sum(row.takers), Integer)
    low = cast(func.sum(case((is_low(row, limit, rule), row.takers), else_=0)), Integer)
    problem = and_(takers >= PROBLEM_TAKERS, low > PROBLEM_SHARE * takers)
    return (
        select(
            row.vendor,
            row.quiz_id,
            func.max(func.coalesce(quiz.quiz_name, row.quiz_id)).label("quiz_name"),
            takers.label("takers"),
            low.label("low"),
            (100.0 * low / takers).label("share"),
            func.max(limit).label("threshold_pct"),
            func.max(threshold.threshold_pct).label("own_pct"),
            func.max(quiz.retake_pct).label("retake_pct"),
            problem.label("problem"),
        )
        .join_from(alike, table_of(Quiz), same_quiz(quiz, row), isouter=True)
        .join(table_of(QuizThreshold), same_quiz(threshold, row), isouter=True)
        .group_by(row.vendor, row.quiz_id)
        .having(takers > 0)
    )


RESULT = (standing.vendor, standing.quiz_id, standing.latest_pct, standing.passed)


def _results() -> Select[Any]:
    results = select(*RESULT, func.count().label("takers")).where(standing.tries > 0)
    return results.group_by(*RESULT)


def _results_of_leavers() -> Select[Any]:
    person = people(Who(leavers=True)).subquery().c
    return (
        select(*RESULT, (-func.count()).label("takers"))
        .join(table_of(Learner), same_account(learner, standing))
        .join(person.person.table, person.person == learner.person)
        .where(standing.tries > 0, not_(person.active))
        .group_by(*RESULT)
    )
