"""Results of retakes, with coaching and without.

Where a retake begins and ends depends on the pass mark, which leads change at any time, so no
counts are kept. The store joins the histories of a quiz into one text, and numpy finds the retakes
in it. To look up for each history whose it is would take longer than that: those of leavers and of
coached learners are read once more by themselves, and subtracted.
"""

from collections import defaultdict
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    CompoundSelect,
    Connection,
    Select,
    and_,
    func,
    literal,
    null,
    select,
    true,
    union_all,
)

from shared.bulk import encode, given, table_of
from shared.models import UNDONE, CoachingCase, Learner, Quiz, QuizHistory
from shared.queries.people import is_of, leavers, same_account
from shared.queries.quiz_standings import Filters, Mark, same_quiz
from shared.queries.quizzes import marks
from shared.queries.retake_figures import Runs, Tally, median, runs_of, tally
from shared.quiz_histories import END, microseconds

COACHED, EVERYONE, LEFT = "coached", "everyone", "left"
NEVER = 2**62

learner = table_of(Learner).c
quiz = table_of(Quiz).c
history = table_of(QuizHistory).c
case = table_of(CoachingCase).c


class Retakes(NamedTuple):
    """Retakes of one kind; `passed` of them so far. `lift_pct` (percentage points, from first score
    to last) and `days` (from fail to pass) are medians, None where no retake tells."""

    coached: bool
    retakes: int
    passed: int
    lift_pct: float | None
    days: float | None


def achieved(
    connection: Connection, filters: Filters, known: Sequence[Mark] | None = None
) -> Sequence[Retakes]:
    """Retakes after a fail, coached ones first.

    A retake is everything from a first fail to the next pass, or to the latest attempt. It counts
    as coached if a case that was not dismissed was open during it, before its last attempt.
    `filters` limit by learner, quiz and the time of the last attempt. `known` are the `marks`, if
    the caller has them.
    """
    if known is None:
        known = marks(connection, filters.default_pct, filters.rule)
    limits = {
        (one.vendor, one.quiz_id): one.threshold_pct for one in known if _is_asked_for(one, filters)
    }
    query = _histories(filters, connection.dialect.name)
    runs: dict[str, list[Runs]] = {EVERYONE: [], LEFT: [], COACHED: []}
    with_case = defaultdict(list)
    for row in connection.execute(query, {"rows": encode(limits)}):
        key = (row.vendor, row.quiz_id)
        if key not in limits:
            continue
        if row.part == COACHED:
            with_case[key].append(row)
        elif row.attempts:
            found = runs_of(row.attempts, limits[key], filters.rule, filters.since)
            runs[row.part].append(found)
    runs[COACHED] = [_coached(rows, limits[key], filters) for key, rows in with_case.items()]
    everyone, left, coached = (tally(found) for found in runs.values())
    kinds = ((True, coached), (False, everyone.without(left).without(coached)))
    return [_result(is_coached, kind) for is_coached, kind in kinds if kind.retakes]


def _is_asked_for(mark: Mark, filters: Filters) -> bool:
    of_quiz = filters.quiz in (None, (mark.vendor, mark.quiz_id))
    return of_quiz and filters.who.vendor in (None, mark.vendor)


def _coached(rows: Sequence[Any], threshold_pct: float, filters: Filters) -> Runs:
    """The coached retakes at a quiz, from a row of each case."""
    histories = {row.user_id: row.attempts for row in rows}
    places = {user_id: place for place, user_id in enumerate(histories)}
    runs = runs_of(END.join(histories.values()), threshold_pct, filters.rule, filters.since)
    cases = [
        (
            places[row.user_id],
            microseconds(row.opened_at),
            microseconds(row.closed_at) if row.closed_at else NEVER,
        )
        for row in rows
    ]
    return runs.where(runs.open_between(cases))


def _result(is_coached: bool, of: Tally) -> Retakes:
    return Retakes(is_coached, of.retakes, len(of.days), median(of.lifts), median(of.days))


# The histories


@lru_cache
def _histories(filters: Filters, dialect: str) -> CompoundSelect[Any]:
    """The histories of coached learners, in a row of each case; those at a quiz of everyone asked
    for, joined to one text; and those of leavers among them. All in one statement, as they have to
    be of one moment."""
    mark = given(dialect, [quiz.vendor, quiz.quiz_id]).cte("mark").prefix_with("MATERIALIZED").c
    if filters.who.teams is not None:
        asked = is_of(learner, filters.who)
        return union_all(_of_cases(filters), _of_some(EVERYONE, asked, mark, filters))
    parts = [_of_cases(filters), _of_everyone(filters)]
    if not filters.who.leavers:
        parts.append(_of_some(LEFT, learner.person.in_(leavers()), mark, filters))
    return union_all(*parts)


def _of_cases(filters: Filters) -> Select[Any]:
    key = and_(same_quiz(history, case), same_account(history, case))
    return (
        select(
            literal(COACHED).label("part"),
            *(history.vendor, history.quiz_id, history.user_id, history.attempts),
            *(case.opened_at, case.closed_at),
        )
        .join_from(table_of(CoachingCase), table_of(QuizHistory), key)
        .join(table_of(Learner), same_account(learner, history))
        .where(case.status.not_in(("dismissed", UNDONE)), is_of(learner, filters.who))
        .where(_is_recent(filters))
    )


def _of_everyone(filters: Filters) -> Select[Any]:
    # All in the order of the table: Postgres takes twice as long quiz by quiz.
    columns = _row(EVERYONE, history, func.aggregate_strings(history.attempts, END))
    query = select(*columns).where(_is_recent(filters))
    if filters.quiz:
        query = query.where(history.vendor == filters.quiz[0], history.quiz_id == filters.quiz[1])
    return query.group_by(history.vendor, history.quiz_id)


def _of_some(part: str, learners: ColumnElement[bool], mark: Any, filters: Filters) -> Select[Any]:
    """Of some learners, quiz by quiz."""
    # SQLite looks up the histories of a list; it would read all of them for a join.
    query = select(learner.vendor, learner.user_id).where(learners)
    account = query.cte("account").prefix_with("MATERIALIZED").c
    users = select(account.user_id).where(account.vendor == mark.vendor)
    text = (
        select(func.aggregate_strings(history.attempts, END))
        .where(same_quiz(history, mark), _is_recent(filters))
        .where(history.user_id.in_(users.correlate(mark.vendor.table)))
        .scalar_subquery()
    )
    return select(*_row(part, mark, text))


def _row(part: str, of: Any, text: ColumnElement[str]) -> list[ColumnElement[Any]]:
    """The columns of `_of_cases`."""
    return [literal(part), of.vendor, of.quiz_id, null(), text, null(), null()]


def _is_recent(filters: Filters) -> ColumnElement[bool]:
    return true() if filters.since is None else history.last_at >= filters.since
