"""What people and modules added between two moments: differences of standings.

Totals are looked up as of the end of a window, of its begin, and of the begin of the period before.
"""

from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    FromClause,
    Integer,
    Select,
    and_,
    case,
    cast,
    func,
    literal,
    or_,
    select,
    true,
)

from shared.bulk import table_of
from shared.models import Learner, LearnerStanding, ModuleProgress, ModuleStanding, UtcDateTime
from shared.queries.people import Who, people, same_account
from shared.queries.windows import Window
from shared.standings import COMPLETE_PCT, exact

PERIODS = ("", "_before")
"""What the names of figures of the window end with, and those of the period before it."""

learner = table_of(Learner).c
progress = table_of(ModuleProgress).c

AnyColumn = ColumnElement[Any]


class Board(NamedTuple):
    """Whom a board is about, when, and which module (vendor, module_id) if only one."""

    who: Who = Who()
    window: Window = Window()
    module: tuple[str, str] | None = None


def of_people(board: Board) -> Select[Any]:
    """One row a person who is asked about, with every metric of both periods."""
    totals = _by_person(board).subquery()
    person = people(board.who).subquery()
    return select(
        person,
        *(
            column
            for period in PERIODS
            for column in (
                totals.c[f"moved{period}"],
                totals.c[f"gained{period}"],
                totals.c[f"completed{period}"],
                totals.c[f"time{period}"],
                exact(
                    totals.c[f"points{period}"] / func.nullif(totals.c[f"modules{period}"], 0)
                ).label(f"average{period}"),
            )
        ),
    ).join(totals, totals.c.person == person.c.person)


def _by_person(board: Board) -> Select[Any]:
    window = board.window
    moments = [as_of(board, window.until)]
    moments += [as_of(board, at) if at else NEVER for at in (window.since, window.before)]
    figures: list[AnyColumn] = [learner.person]
    for period, (end, start) in zip(PERIODS, pairwise(moments), strict=True):
        figures += _moves(end.row, start.row, period)
    query = joined(select(*figures), moments)
    return query.where(_is_vendor(board.who)).group_by(learner.person)


def _moves(end: Any, start: Any, period: str) -> list[AnyColumn]:
    """What a person's accounts added from one moment to another."""
    moved = and_(end.slot.isnot(None), or_(start.slot.is_(None), end.slot > start.slot))

    def added(name: str) -> AnyColumn:
        return func.sum(func.coalesce(end[name], 0) - func.coalesce(start[name], 0))

    return [
        (func.max(case((moved, 1), else_=0)) == 1).label(f"moved{period}"),
        exact(added("points")).label(f"gained{period}"),
        cast(added("completed"), Integer).label(f"completed{period}"),
        cast(added("time_spent_sec"), BigInteger).label(f"time{period}"),
        func.sum(end.points).label(f"points{period}"),
        func.sum(end.modules).label(f"modules{period}"),
    ]


class _Moment(NamedTuple):
    """What each account had by some moment: its columns, and how to join them if at all."""

    row: Any
    table: FromClause | None = None
    on: AnyColumn = true()


NEVER = _Moment(
    select(
        *(literal(None, UtcDateTime()).label("slot"),),
        *(literal(0).label(name) for name in ("points", "modules", "completed", "time_spent_sec")),
    ).selected_columns
)
"""Before the first of all standings."""


def as_of(board: Board, at: datetime | None) -> _Moment:
    """As of the latest standing of an account before `at`; None is now."""
    standing = _standing(board).alias()
    earlier = _standing(board).alias()
    latest = (
        select(func.max(earlier.c.slot))
        .where(same_account(earlier.c, learner), is_module(earlier.c, board.module))
        .where(true() if at is None else earlier.c.slot < at)
        .correlate(table_of(Learner))
        .scalar_subquery()
    )
    on = and_(
        same_account(standing.c, learner),
        is_module(standing.c, board.module),
        standing.c.slot == latest,
    )
    return _Moment(_figures(standing.c, board), standing, on)


def _standing(board: Board) -> Any:
    return table_of(ModuleStanding if board.module else LearnerStanding)


def _figures(row: Any, board: Board) -> Any:
    """The columns of a learner's standing, of one module as of all."""
    if not board.module:
        return row
    complete = case((row.progress_pct >= COMPLETE_PCT, 1), (row.progress_pct.isnot(None), 0))
    begun = case((row.progress_pct.isnot(None), 1))
    return select(
        row.slot,
        row.progress_pct.label("points"),
        begun.label("modules"),
        complete.label("completed"),
        row.time_spent_sec,
    ).selected_columns


def joined(query: Select[Any], moments: Sequence[_Moment]) -> Select[Any]:
    query = query.select_from(table_of(Learner))
    for moment in moments:
        if moment.table is not None:
            query = query.join(moment.table, moment.on, isouter=True)
    return query


def of_modules(board: Board, person: str | None = None) -> Select[Any]:
    """Person × module that moved in the window: gained, completed, time, pct and pct_before."""
    window = board.window
    asked = people(board.who).subquery()
    end = _module_by(window.until)
    start = _module_by(window.since) if window.since else NOTHING
    pct, before = func.coalesce(end.pct, 0.0), func.coalesce(start.pct, 0.0)
    finished = and_(pct >= COMPLETE_PCT, before < COMPLETE_PCT)
    query = (
        select(
            learner.person,
            progress.vendor,
            progress.module_id,
            exact(pct - before).label("gained"),
            case((finished, 1), else_=0).label("completed"),
            (func.coalesce(end.seconds, 0) - func.coalesce(start.seconds, 0)).label("time"),
            pct.label("pct"),
            before.label("pct_before"),
        )
        .join_from(table_of(ModuleProgress), table_of(Learner), same_account(learner, progress))
        .join(asked, asked.c.person == learner.person)
        .where(_is_vendor(board.who), is_module(progress, board.module))
        .where(true() if person is None else learner.person == person)
        .where(progress.updated_at >= window.since if window.since else true())
    )
    return query.where(or_(end.slot > start.slot, and_(end.slot.isnot(None), start.slot.is_(None))))


class _Total(NamedTuple):
    """Of the latest standing of a learner in a module before some moment."""

    slot: AnyColumn
    pct: AnyColumn
    seconds: AnyColumn


NOTHING = _Total(literal(None, UtcDateTime()), literal(0.0), literal(0))


def _module_by(at: datetime | None) -> _Total:
    if at is None:  # progress is the latest standing: nothing to look up
        return _Total(progress.updated_at, progress.progress_pct, progress.time_spent_sec)
    standing = table_of(ModuleStanding).alias().c

    def latest(column: AnyColumn) -> AnyColumn:
        return (
            select(column)
            .where(same_account(standing, progress), standing.module_id == progress.module_id)
            .where(standing.slot < at)
            .order_by(standing.slot.desc())
            .limit(1)
            .scalar_subquery()
        )

    return _Total(
        latest(standing.slot), latest(standing.progress_pct), latest(standing.time_spent_sec)
    )


def is_module(row: Any, wanted: tuple[str, str] | None) -> AnyColumn:
    return true() if wanted is None else and_(row.vendor == wanted[0], row.module_id == wanted[1])


def _is_vendor(who: Who) -> AnyColumn:
    return true() if who.vendor is None else learner.vendor == who.vendor
