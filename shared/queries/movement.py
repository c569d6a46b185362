"""What people and modules added between two moments: differences of standings.

Totals are looked up as of the end and the begin of a window, and of the period it is compared with.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Literal, NamedTuple

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    FromClause,
    Integer,
    Select,
    and_,
    case,
    cast,
    false,
    func,
    literal,
    or_,
    select,
    true,
)

from shared.bulk import table_of
from shared.figures import COMPLETE_PCT, exact
from shared.models import Learner, LearnerStanding, ModuleProgress, ModuleStanding, UtcDateTime
from shared.queries.people import Who, people, same_account
from shared.queries.scoring import achievements
from shared.queries.spells import BEFORE_ALL, FOREVER, moment, spells
from shared.queries.windows import WEEK, Window
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


def of_people(dialect: str, board: Board) -> Select[Any]:
    """One row a person who is asked about (`people`), with every metric of both periods, and
    `after_leaving`: whether a person who has left moved in the window after that."""
    window = board.window
    ends = (as_of(dialect, board, window.until), _by(dialect, board, window.before_until))
    begins = (_by(dialect, board, window.since), _by(dialect, board, window.before))
    moments = [*ends, *begins]
    figures: list[AnyColumn] = []
    for period, end, start in zip(PERIODS, ends, begins, strict=True):
        figures += _moves(end.row, start.row, period)
    accounts = with_moments(table_of(Learner), moments, _is_vendor(board.who))
    figures.append(func.max(ends[0].row.slot).label("last_moved"))
    found = people(board.who, figures, accounts).subquery()
    row = found.c
    averages = [
        exact(row[f"points{period}"] / func.nullif(row[f"modules{period}"], 0)).label(
            f"average{period}"
        )
        for period in PERIODS
    ]
    hidden = {"last_moved", "moved", "moved_before"}
    shown = (column for column in row if column.name not in hidden)
    still_learns = func.coalesce(and_(row.moved, row.last_moved >= row.left_at), false())
    achieved = _achieved_by_person(board)
    return select(
        *shown, *averages, still_learns.label("after_leaving"), *_scored(row, achieved, board.rules)
    ).select_from(
        found if achieved is None else found.outerjoin(achieved, achieved.c.person == row.person)
    )


def of_weeks(dialect: str, board: Board, ends: Sequence[datetime]) -> Select[Any] | None:
    """One row a person who is asked about, with what they added in the seven days up to each of
    `ends`: `moved_0`, `gained_0` and so on, by its place in `ends`. Weeks that follow one another
    share a moment. None where the rules also count what is not progress."""
    if _achievements(board) is not None:
        return None
    times = sorted({*ends, *(end - WEEK for end in ends)})
    moments = {at: as_of(dialect, board, at) for at in times}
    figures: list[AnyColumn] = []
    for number, end in enumerate(ends):
        moved, *added = _added(moments[end].row, moments[end - WEEK].row)
        figures += [
            moved.label(f"moved_{number}"),
            *(one.label(f"{name}_{number}") for name, one in zip(ADDED, added, strict=True)),
        ]
    accounts = with_moments(table_of(Learner), [*moments.values()], _is_vendor(board.who))
    return people(board.who, figures, accounts)


def _scored(row: Any, achieved: FromClause | None, rules: Rules) -> list[AnyColumn]:
    """The score of both periods, and who moved: by progress, or by what else scores."""
    columns: list[AnyColumn] = []
    for period in PERIODS:
        progressed = rules.points("progress") * func.coalesce(row[f"gained{period}"], 0.0)
        completed = rules.points("module") * func.coalesce(row[f"completed{period}"], 0)
        points = progressed + completed
        moved = row[f"moved{period}"]
        if achieved is not None:
            points += func.coalesce(achieved.c[f"points{period}"], 0.0)
            moved = or_(moved, func.coalesce(achieved.c[f"times{period}"], 0) > 0)
        columns += [exact(points).label(f"score{period}"), moved.label(f"moved{period}")]
    return columns


def _achieved_by_person(board: Board) -> FromClause | None:
    """person, and of each period `points` and `times`, of what scores beside progress."""
    found = _achievements(board)
    if found is None:
        return None
    return (
        select(found.c.person, *_of_periods(found.c, board.window))
        .group_by(found.c.person)
        .subquery("achieved")
    )


def _achievements(board: Board) -> FromClause | None:
    """None for a board of one module, as nothing else is of it."""
    window = board.window
    since = window.before or window.since
    return None if board.module else achievements(board.rules, board.who.vendor, since)


def _of_periods(row: Any, window: Window) -> list[AnyColumn]:
    spans = [(window.since, window.until)]
    spans.append((window.before, window.before_until) if window.before else (FOREVER, None))
    columns: list[AnyColumn] = []
    for period, (since, until) in zip(PERIODS, spans, strict=True):
        within = and_(
            row["at"] >= since if since else true(), row["at"] < until if until else true()
        )
        columns += [
            func.sum(case((within, row.points), else_=0.0)).label(f"points{period}"),
            func.sum(case((within, 1), else_=0)).label(f"times{period}"),
        ]
    return columns


def of_members(dialect: str, board: Board) -> Select[Any]:
    """One row for each team and each person who was in it, with every metric of both periods, of
    the part of a period in which the person was in the team; `member` and `member_before` say
    whether they were, by the roster or because they moved for the team.

    A change of team counts from the quarter hour that begins after it. A person who left stays a
    member of the periods before, whether or not `board.who` asks for leavers.
    """
    window = board.window
    spell = spells().cte("team_spell")
    row = spell.c
    until = window.until or FOREVER
    ends = [_clipped(row.ended_at, window.since or BEFORE_ALL, until)]
    begins = [_clipped(row.credited_from, window.since or BEFORE_ALL, until)]
    overlaps = [_overlaps(row, window.since, window.until)]
    if window.before:
        ends.append(_clipped(row.ended_at, window.before, window.before_until or FOREVER))
        begins.append(_clipped(row.credited_from, window.before, window.before_until or FOREVER))
        overlaps.append(_overlaps(row, window.before, window.before_until))
    end_moments = [as_of(dialect, board, at) for at in ends]
    begin_moments = [as_of(dialect, board, at) for at in begins]
    moments = [*end_moments, *begin_moments]
    if not window.before:
        end_moments.append(NEVER)
        begin_moments.append(NEVER)
        overlaps.append(false())
    figures: list[AnyColumn] = []
    for period, end, start, overlap in zip(
        PERIODS, end_moments, begin_moments, overlaps, strict=True
    ):
        figures += _moves(end.row, start.row, period)
        figures.append((func.max(case((overlap, 1), else_=0)) != 0).label(f"listed{period}"))
    accounts = spell.join(table_of(Learner), learner.person == row.person)
    of_spells = (
        select(row.person, row.team_id, row.began_at, *figures)
        .select_from(with_moments(accounts, moments, _is_vendor(board.who)))
        .where(true() if board.who.teams is None else row.team_id.in_(board.who.teams))
        .where(_has_vendor(board.who, row.person))
        .where(row.ended_at > (window.before or window.since or BEFORE_ALL))
        .group_by(row.person, row.team_id, row.began_at)
        .subquery("of_spell")
    )
    return _of_members(_scored_spells(of_spells, spell, board))


def _scored_spells(of_spells: FromClause, spell: FromClause, board: Board) -> FromClause:
    """With what else scored in each spell, and whether the person moved by it."""
    row, achieved = of_spells.c, None
    if (found := _achievements(board)) is not None:
        within = and_(
            spell.c.person == found.c.person,
            found.c["at"] >= spell.c.credited_from,
            found.c["at"] < spell.c.ended_at,
        )
        key = (spell.c.person, spell.c.team_id, spell.c.began_at)
        achieved = (
            select(*key, *_of_periods(found.c, board.window))
            .select_from(found.join(spell, within))
            .group_by(*key)
            .subquery("achieved")
        )
    kept = (column for column in row if column.name not in ("moved", "moved_before"))
    query = select(*kept, *_scored(row, achieved, board.rules)).select_from(of_spells)
    if achieved is not None:
        same = (row[name] == achieved.c[name] for name in ("person", "team_id", "began_at"))
        query = query.outerjoin(achieved, and_(*same))
    return query.subquery("scored_spell")


def _of_members(of_spells: FromClause) -> Select[Any]:
    """The spells of a person in one team as one row. Totals only grow, so the largest is that of
    the last spell."""
    row = of_spells.c
    columns: list[AnyColumn] = []
    for period in PERIODS:
        is_member = or_(row[f"listed{period}"], row[f"moved{period}"])

        def counted(name: str, period: str = period) -> AnyColumn:
            return func.sum(row[f"{name}{period}"])

        def latest(name: str, period: str = period, member: AnyColumn = is_member) -> AnyColumn:
            return func.max(case((member, row[f"{name}{period}"])))

        columns += [
            (func.max(case((is_member, 1), else_=0)) != 0).label(f"member{period}"),
            (func.max(case((row[f"moved{period}"], 1), else_=0)) != 0).label(f"moved{period}"),
            *(counted(name).label(f"{name}{period}") for name in GAINS),
            exact(latest("points") / func.nullif(latest("modules"), 0)).label(f"average{period}"),
        ]
    members = select(row.person, row.team_id, *columns).group_by(row.person, row.team_id)
    found = members.subquery("member")
    return select(found).where(or_(found.c.member, found.c.member_before))


def _clipped(at: AnyColumn, since: datetime, until: datetime) -> AnyColumn:
    """A moment, or the nearest one between two others."""
    return case((at < since, moment(since)), (at > until, moment(until)), else_=at)


def _overlaps(spell: Any, since: datetime | None, until: datetime | None) -> AnyColumn:
    return and_(
        spell.ended_at > since if since else true(), spell.began_at < until if until else true()
    )


def _has_vendor(who: Who, person: AnyColumn) -> AnyColumn:
    if who.vendor is None:
        return true()
    account = table_of(Learner).alias().c
    found = select(account.user_id).where(account.person == person, account.vendor == who.vendor)
    return found.exists()


def _moves(end: Any, start: Any, period: str) -> list[AnyColumn]:
    """What a person's accounts added from one moment to another."""
    moved, points, completed, time = _added(end, start)
    return [
        moved.label(f"moved{period}"),
        exact(points).label(f"gained{period}"),
        cast(completed, Integer).label(f"completed{period}"),
        cast(time, BigInteger).label(f"time{period}"),
        func.sum(end.points).label(f"points{period}"),
        func.sum(end.modules).label(f"modules{period}"),
    ]


ADDED = ("gained", "completed", "time")


def _added(end: Any, start: Any) -> tuple[AnyColumn, ...]:
    """Whether a person moved, and the sums of what their accounts added, as `ADDED` names them."""
    moved = and_(end.slot.isnot(None), or_(start.slot.is_(None), end.slot > start.slot))
    sums = (
        func.sum(func.coalesce(end[name], 0) - func.coalesce(start[name], 0))
        for name in ("points", "completed", "time_spent_sec")
    )
    return (func.max(case((moved, 1), else_=0)) != 0, *sums)


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


def as_of(dialect: str, board: Board, at: datetime | AnyColumn | None) -> _Moment:
    """As of the latest standing of an account before `at`, which can be a column; None is now."""

    def own(row: Any) -> AnyColumn:
        return and_(same_account(row, learner), is_module(row, board.module))

    last, table, on = _last(dialect, _standing(board), own, at)
    return _Moment(_figures(last, board), table, on)


def _by(dialect: str, board: Board, at: datetime | None) -> _Moment:
    """As of a moment that a window may not have."""
    return as_of(dialect, board, at) if at else NEVER


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


def with_moments(accounts: FromClause, moments: Sequence[_Moment], which: AnyColumn) -> FromClause:
    """Accounts with what each of `which` had by some moments."""
    for one in moments:
        if one.table is not None:
            accounts = accounts.outerjoin(one.table, and_(one.on, which))
    return accounts


def of_modules(dialect: str, board: Board, person: str | None = None) -> Select[Any]:
    """Account × module that moved in the window: person, `accounts` (how many they have), gained
    (not rounded), completed, time, pct and pct_before."""
    window = board.window
    asked = people(board.who, [func.count().label("accounts")]).subquery()
    moments = [_module_by(dialect, window.until)]
    moments.append(_module_by(dialect, window.since) if window.since else NEVER_IN_A_MODULE)
    end, start = (moment.row for moment in moments)
    pct, before = func.coalesce(end.progress_pct, 0.0), func.coalesce(start.progress_pct, 0.0)
    finished = and_(pct >= COMPLETE_PCT, before < COMPLETE_PCT)
    accounts = table_of(ModuleProgress).join(table_of(Learner), same_account(learner, progress))
    rows = (
        select(
            learner.person,
            asked.c.accounts,
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
        .select_from(
            with_moments(accounts.join(asked, asked.c.person == learner.person), moments, true())
        )
        .where(_is_vendor(board.who), is_module(progress, board.module))
        .where(true() if person is None else learner.person == person)
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
