"""What people and modules added between two moments: differences of standings.

Totals are looked up as of the end and the begin of a window, and of the period it is compared with.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Select,
    and_,
    case,
    func,
    literal,
    or_,
    select,
    true,
)

from shared.bulk import table_of
from shared.figures import COMPLETE_PCT
from shared.models import Learner, ModuleProgress, ModuleStanding, TeamSpell, UtcDateTime
from shared.queries.people import Who, persons, same_account
from shared.queries.scoring import achievements
from shared.queries.spells import FOREVER, seconds
from shared.queries.windows import Window
from shared.scoring import DEFAULT, Rules

GAINS = ("gained", "completed", "time", "score")
PERIODS = ("", "_before")
"""What the names of figures of the window end with, and the ones of the period before it."""

learner = table_of(Learner).c
progress = table_of(ModuleProgress).c

AnyColumn = ColumnElement[Any]


Credit = Literal["then", "today"]


class Board(NamedTuple):
    """The people of a board, its window, its module (vendor, module_id) if only one, and which team
    gets what a learner gains: the one they were in `then`, or the one they are in `today`. By
    other `rules` than those that are stored it previews a score."""

    who: Who = Who()
    window: Window = Window()
    module: tuple[str, str] | None = None
    credit: Credit = "then"
    rules: Rules = DEFAULT

    def now(self) -> "Board":
        """Without the period it is compared with, which is half of the look-ups."""
        return self._replace(window=Window(self.window.since, self.window.until))


Spans = Sequence[tuple[datetime | None, datetime | None]]
"""Periods from one moment to before another; None is no limit."""
Achieved = Mapping[Any, Sequence[tuple[float, int]]]
"""What was scored beside progress in each of some periods: the points, and how often."""


def spans_of(window: Window) -> Spans:
    """Both periods of a window. Without one to compare with, the second lies past all times."""
    before = (window.before, window.before_until) if window.before else (FOREVER, None)
    return ((window.since, window.until), before)


def achieved(connection: Connection, board: Board, spans: Spans) -> Achieved:
    """What else than progress scores, by person. Empty if nothing does."""
    found = _achievements(board, spans)
    if found is None:
        return {}
    query = select(found.c.person, *_of_spans(found.c, spans)).group_by(found.c.person)
    return {row[0]: _pairs(row[1:]) for row in connection.execute(query)}


def achieved_in_teams(connection: Connection, board: Board) -> Achieved:
    """The same by person, team, and the moment at which that time in the team began, in seconds
    since 1970."""
    spans = spans_of(board.window)
    found = _achievements(board, spans)
    if found is None:
        return {}
    spell = table_of(TeamSpell)
    within = and_(
        spell.c.person == found.c.person,
        found.c["at"] >= spell.c.credited_from,
        found.c["at"] < spell.c.ended_at,
    )
    key = (spell.c.person, spell.c.team_id, spell.c.began_at)
    query = (
        select(*key, *_of_spans(found.c, spans))
        .select_from(found.join(spell, within))
        .group_by(*key)
    )
    return {
        (person, team, seconds(began_at)): _pairs(rest)
        for person, team, began_at, *rest in connection.execute(query)
    }


def _pairs(values: Sequence[Any]) -> Sequence[tuple[float, int]]:
    return list(zip(values[::2], values[1::2], strict=True))


def _achievements(board: Board, spans: Spans) -> FromClause | None:
    """None for a board of one module, as nothing else is of it."""
    begins = [since for since, _ in spans]
    first = None if None in begins else min(one for one in begins if one)
    return None if board.module else achievements(board.rules, board.who.vendor, first)


def _of_spans(row: Any, spans: Spans) -> list[AnyColumn]:
    columns: list[AnyColumn] = []
    for since, until in spans:
        within = and_(
            row["at"] >= since if since else true(), row["at"] < until if until else true()
        )
        columns += [
            func.sum(case((within, row.points), else_=0.0)),
            func.sum(case((within, 1), else_=0)),
        ]
    return columns


class _Moment(NamedTuple):
    """What each account had by some moment: its columns, and how to join them if at all."""

    row: Any
    table: FromClause | None = None
    on: AnyColumn = true()


def _last(
    dialect: str, standings: Any, own: Callable[[Any], AnyColumn], at: datetime | AnyColumn | None
) -> tuple[Any, FromClause, AnyColumn]:
    """The latest before `at` of the standings that are of an `own` account: its columns, and how to
    join it."""
    row, other = standings.alias(), standings.alias()

    def early(one: Any) -> AnyColumn:
        return and_(own(one), true() if at is None else one.slot < at)

    if dialect == "postgresql":
        # Without LATERAL it hashes every standing there is: with 84 thousand of them a board took
        # 190 ms in place of 46.
        last = select(row).where(early(row.c)).order_by(row.c.slot.desc()).limit(1).lateral()
        return last.c, last, true()
    latest = select(func.max(other.c.slot)).where(early(other.c)).correlate_except(other)
    return row.c, row, and_(own(row.c), row.c.slot == latest.scalar_subquery())


def with_moments(accounts: FromClause, moments: Sequence[_Moment], which: AnyColumn) -> FromClause:
    """Accounts with what each of `which` had by some moments."""
    for one in moments:
        if one.table is not None:
            accounts = accounts.outerjoin(one.table, and_(one.on, which))
    return accounts


def of_modules(dialect: str, board: Board, person: str | None = None) -> Select[Any]:
    """Account × module that moved in the window: person, gained (not rounded), completed, time, pct
    and pct_before. Of one person, who is on the board, or of all."""
    window = board.window
    whose = persons(board.who) if person is None else (person,)
    moments = [_module_by(dialect, window.until)]
    moments.append(_module_by(dialect, window.since) if window.since else NEVER_IN_A_MODULE)
    end, start = (moment.row for moment in moments)
    pct, before = func.coalesce(end.progress_pct, 0.0), func.coalesce(start.progress_pct, 0.0)
    finished = and_(pct >= COMPLETE_PCT, before < COMPLETE_PCT)
    accounts = table_of(ModuleProgress).join(table_of(Learner), same_account(learner, progress))
    rows = (
        select(
            learner.person,
            progress.vendor,
            progress.module_id,
            (pct - before).label("gained"),
            case((finished, 1), else_=0).label("completed"),
            (func.coalesce(end.time_spent_sec, 0) - func.coalesce(start.time_spent_sec, 0)).label(
                "time"
            ),
            pct.label("pct"),
            before.label("pct_before"),
        )
        .select_from(with_moments(accounts, moments, true()))
        .where(_is_vendor(board.who), is_module(progress, board.module))
        .where(learner.person.in_(whose))
        .where(progress.updated_at >= window.since if window.since else true())
    )
    return rows.where(or_(end.slot > start.slot, and_(end.slot.isnot(None), start.slot.is_(None))))


TOTALS = ("progress_pct", "time_spent_sec")
NEVER_IN_A_MODULE = _Moment(
    select(
        literal(None, UtcDateTime()).label("slot"), *(literal(0).label(name) for name in TOTALS)
    ).selected_columns
)


def _module_by(dialect: str, at: datetime | None) -> _Moment:
    """As of the latest standing of a learner in a module before `at`; None is now."""
    if at is None:  # progress is the latest standing: nothing to look up
        now = select(progress.updated_at.label("slot"), *(progress[name] for name in TOTALS))
        return _Moment(now.selected_columns)

    def own(row: Any) -> AnyColumn:
        return and_(same_account(row, progress), row.module_id == progress.module_id)

    return _Moment(*_last(dialect, table_of(ModuleStanding), own, at))


def is_module(row: Any, wanted: tuple[str, str] | None) -> AnyColumn:
    return true() if wanted is None else and_(row.vendor == wanted[0], row.module_id == wanted[1])


def _is_vendor(who: Who) -> AnyColumn:
    return true() if who.vendor is None else learner.vendor == who.vendor
