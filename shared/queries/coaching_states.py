"""Where coaching stands: standings with their latest case, and the state that the two make.

`shared.queries.coaching` says which states there are.
"""

from collections.abc import Mapping
from datetime import date, datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Select,
    and_,
    case,
    false,
    func,
    not_,
    null,
    or_,
    select,
    text,
    true,
    tuple_,
)

from shared.bulk import table_of
from shared.models import ACTIVE as IS_ACTIVE, UNDONE, CoachingCase, QuizStanding
from shared.queries.people import same_account
from shared.queries.quiz_standings import Filters, Taker, standings

ACTIVE = ("open", "in_progress")
OTHER_OWNER = "a colleague"
"""What a manager reads in place of an owner other than themselves."""
JUDGED = ("status", "owner", "due", "closed_at", "snoozed_until")
"""The columns of a case that limit or order a queue."""
STATEMENTS = 128
"""How many statements are kept: to write one takes as long as to run it on a small store."""

coached = table_of(CoachingCase).c
standing = table_of(QuizStanding).c


def asked_for(filters: Filters, dialect: str, *, with_case: bool = False) -> Select[Any]:
    """What the queue is asked for: each standing that is low or has a case; or only those with a
    case."""
    row = judged(filters, dialect, with_case=with_case).subquery().c
    query = select(*row).where(or_(row.low, _has_case(row)))
    if filters.quiz:
        query = query.where(row.vendor == filters.quiz[0], row.quiz_id == filters.quiz[1])
    if filters.owner:
        query = query.where(row.owner == filters.owner)
    if filters.since:
        active = and_(row.status.isnot(None), row.status.in_(ACTIVE))
        is_closed = func.coalesce(row.state, "") == "closed"
        tried = and_(not_(is_closed), row.submitted_at >= filters.since)
        query = query.where(or_(tried, active, _was_closed(row, filters.since)))
        # The same of a standing alone: what is old and has no such case needs no more look-ups.
        may_be = _has_case(row, or_(text(IS_ACTIVE), _was_closed(coached, filters.since)))
        query = query.where(or_(row.submitted_at >= filters.since, may_be))
    return query


def _has_case(row: Any, *which: ColumnElement[bool]) -> ColumnElement[bool]:
    takers = select(*(coached[name] for name in Taker._fields)).where(*which)
    return tuple_(*(row[name] for name in Taker._fields)).in_(takers)


def _was_closed(row: Any, since: datetime) -> ColumnElement[bool]:
    """Whether a case was closed since then. So a learner whose snooze ends is in the queue again,
    though their attempt may have left the window meanwhile."""
    return and_(row.closed_at.isnot(None), row.closed_at >= since)


@lru_cache(STATEMENTS)
def judged(filters: Filters, dialect: str, *, with_case: bool = False) -> Select[Any]:
    """Every standing with its latest case, and the state that the two make."""
    stands = standings(filters, dialect).subquery()
    row, state = stands.c, _state(stands.c, filters.today)
    counts = and_(coached.status != UNDONE, not_(_has_later(coached)))
    latest = and_(of_taker(coached, row), counts)
    return select(
        *row,
        state.label("state"),
        and_(state == "new", coached.id.isnot(None)).label("again"),
        coached.id.label("case_id"),
        *(column for column in _case_columns(filters.manager) if column.name in JUDGED),
    ).join_from(stands, table_of(CoachingCase), latest, isouter=not with_case)


def of_taker(one: Any, other: Any) -> ColumnElement[bool]:
    return and_(same_account(one, other), one.quiz_id == other.quiz_id)


def _has_later(round_: Any) -> ColumnElement[bool]:
    # SQLite would try each of all latest rounds, as a list, for each standing.
    later = table_of(CoachingCase).alias().c
    counts = and_(later.id > round_.id, later.status != UNDONE)
    return select(later.id).where(of_taker(later, round_), counts).exists()


def whole(some: FromClause, manager: str | None) -> Select[Any]:
    """Some of these, with what no look at all of them needs."""
    rest = [column for column in _case_columns(manager) if column.name not in JUDGED]
    return (
        select(some, standing.practice_runs, standing.best_pct, *rest)
        .join(table_of(QuizStanding), of_taker(standing, some.c))
        .join(table_of(CoachingCase), coached.id == some.c.case_id, isouter=True)
    )


def _case_columns(manager: str | None) -> list[Any]:
    """The columns of a case but its key, as they are seen by a manager."""
    hidden = {} if manager is None else _as_seen_by(manager)
    apart = ("id", *Taker._fields, *hidden)
    return [*(column for column in coached if column.name not in apart), *hidden.values()]


def _as_seen_by(manager: str) -> Mapping[str, ColumnElement[Any]]:
    """What a manager reads in place of these columns: people who work on a case are known only as
    colleagues, and leads' own words not at all."""

    def own_or(other: Any, column: Any) -> ColumnElement[Any]:
        return case((column == manager, column), (column.isnot(None), other)).label(column.name)

    people_of_case = (coached.owner, coached.opened_by, coached.updated_by)
    reason = case((coached.owner == manager, coached.outcome)).label("outcome")
    return {
        **{column.name: own_or(OTHER_OWNER, column) for column in people_of_case},
        "notes": null().label("notes"),
        "outcome": reason,
    }


def _state(row: Any, today: date | None) -> ColumnElement[Any]:
    active = coached.status.in_(ACTIVE)
    is_back = false() if today is None else coached.snoozed_until <= today
    unanswered = or_(coached.id.is_(None), row.submitted_at > coached.closed_at, is_back)
    return case(
        (and_(active, row.passes, row.submitted_at > coached.opened_at), "ready"),
        (active, coached.status),
        (and_(row.low, unanswered), "new"),
        (coached.id.isnot(None), "closed"),
    )


def is_hidden(filters: Filters, row: Any) -> ColumnElement[bool]:
    """Whether an item is new at a quiz that most people fail, and not asked for."""
    return and_(not_(is_of_people(filters, row)), func.coalesce(row.state, "") == "new")


def is_of_people(filters: Filters, row: Any) -> ColumnElement[bool]:
    """Whether a low score may be the person's, or quizzes that most people fail are asked for."""
    return true() if filters.problems or filters.quiz else not_(row.problem)
