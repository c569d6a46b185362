"""Who moved in a window, by how much, and past which others."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    Connection,
    Integer,
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
from shared.figures import COMPLETE_PCT, exact
from shared.models import Learner, Module, ModuleProgress
from shared.queries import counted, rows_of
from shared.queries.movement import (
    PERIODS,
    AnyColumn,
    Board,
    as_of,
    is_module,
    of_modules,
    of_people,
    with_moments,
)
from shared.queries.people import PersonRow, same_account, spellings
from shared.queries.windows import Window
from shared.scoring import DEFAULT

WEEK = timedelta(weeks=1)
METRICS = ("gained", "completed", "average", "time", "score")

learner = table_of(Learner).c
module = table_of(Module).c
progress = table_of(ModuleProgress).c

LEFT = COMPLETE_PCT - progress.progress_pct
FIRST_PLACES = 100
"""Among so many at the top a few are mostly one module behind the next."""


@dataclass(frozen=True)
class LearnerRow(PersonRow):
    """A person on the board: rank and rank_before (None: did not move before), `place` in the order
    of the board, `equals` (how many others share the rank), and every metric
    of both periods."""

    rank: int
    rank_before: int | None
    tied: bool
    equals: int
    place: int
    after_leaving: bool
    moved: bool
    gained: float
    completed: int
    time: int
    points: float | None
    modules: int | None
    average: float | None
    score: float
    moved_before: bool
    gained_before: float
    completed_before: int
    time_before: int
    points_before: float | None
    modules_before: int | None
    average_before: float | None
    score_before: float


@dataclass(frozen=True)
class NeighbourRow(LearnerRow):
    """A row near a person's own; `gap` is by how much it is ahead of theirs."""

    gap: float


@dataclass(frozen=True)
class CloseCall(LearnerRow):
    """A person who passes the next one above by finishing a module: they are `gap` points behind,
    and `left` points are to gain in the module."""

    ahead_gained: float
    ahead_name: str | None
    ahead_email: str | None
    ahead_key: str
    gap: float
    left: float
    module_name: str


class Weeks(NamedTuple):
    """The points that a person gained in each of some weeks."""

    person: str
    gained: Sequence[float]


class ClimberRow(NamedTuple):
    """A person who rose against the period before."""

    key: str
    person: str
    name: str | None
    email: str | None
    rank: int
    rank_before: int


class StillRow(NamedTuple):
    """A person with earlier progress and none in the window: what they gained in the period before,
    and how many such people there are."""

    key: str
    person: str
    name: str | None
    email: str | None
    gained_before: float
    people: int


class Totals(NamedTuple):
    """The figures over a board, and those of the period before; `active` counts who moved."""

    active: int
    gained: float
    completed: int
    time: int
    active_before: int
    gained_before: float
    completed_before: int
    time_before: int


class ModuleRow(NamedTuple):
    """A module in which learners moved, with its rank by what they gained: `people` counts them,
    `average` is theirs in percent, as of the window's end."""

    rank: int
    tied: bool
    vendor: str
    module_id: str
    module_name: str
    people: int
    gained: float
    completed: int
    time: int
    average: float


class ModuleGain(NamedTuple):
    """What a person gained in a module: percent as of the begin and the end of the window."""

    person: str
    vendor: str
    module_id: str
    module_name: str
    gained: float
    completed: int
    time: int
    pct: float
    pct_before: float


def learners(
    connection: Connection,
    metric: str,
    board: Board,
    limit: int | None = 200,
    offset: int = 0,
    find: str = "",
) -> Sequence[LearnerRow]:
    """The board of people who moved. `find` lists only people with these words in name or address,
    or at the start of their id, in the places that they have among all.

    gained: percentage points over all modules; completed: modules that reached 100 %; average:
    percent over the modules begun, as of the window's end; time: seconds; score: points by the
    board's rules. Ranks are competition ranks (1-2-2-4); ties are in the order of name or address.
    """
    listed = _listed(connection.dialect.name, metric, board, find)
    page = listed.order_by("place").limit(limit).offset(offset)
    return rows_of(LearnerRow, connection.execute(page))


def of_persons(
    connection: Connection, metric: str, board: Board, persons: Collection[str]
) -> Sequence[LearnerRow]:
    """The rows of the board of these people, with the places that they have among all."""
    listed = _listed(connection.dialect.name, metric, board, "").subquery()
    query = select(listed).where(listed.c.person.in_(persons)).order_by(listed.c.place)
    return rows_of(LearnerRow, connection.execute(query))


def how_many(connection: Connection, metric: str, board: Board, find: str = "") -> int:
    """How many rows `learners` has in all."""
    listed = _listed(connection.dialect.name, metric, board.now(), find).subquery()
    return connection.scalar(select(func.count()).select_from(listed)) or 0


def place_of(connection: Connection, metric: str, board: Board, key: str) -> int | None:
    """The place on the board of the person with this `key`; None for one who is not on it."""
    row = _ranked(connection.dialect.name, metric, board.now()).subquery().c
    return connection.scalar(select(row.place).where(row.moved, row.key == key))


def _listed(dialect: str, metric: str, board: Board, find: str) -> Select[Any]:
    ranked = _ranked(dialect, metric, board).subquery()
    row = ranked.c
    found = or_(
        *(
            column.icontains(text, autoescape=True)
            for way in spellings(find)
            for column, text in ((row.name, way), (row.email, way), (row.key, f"/{way}"))
        )
    )
    return select(ranked).where(row.moved, found if find else true())


def counting(metric: str, board: Board) -> Board:
    """The board with its own rules for a score only: by every other metric, who only scores did
    not move."""
    return board if metric == "score" else board._replace(rules=DEFAULT)


def climbers(
    connection: Connection, metric: str, board: Board, limit: int = 5
) -> Sequence[ClimberRow]:
    """Who rose by most places against the period before."""
    ranked = _ranked(connection.dialect.name, metric, board).subquery()
    row = ranked.c
    rise = row.rank_before - row.rank
    query = (
        select(row.key, row.person, row.name, row.email, row.rank, row.rank_before)
        .where(row.moved, rise > 0)
        .order_by(rise.desc(), row.place)
        .limit(limit)
    )
    return rows_of(ClimberRow, connection.execute(query))


def still(connection: Connection, metric: str, board: Board, limit: int = 5) -> Sequence[StillRow]:
    """Who of those still there has begun a module but did not move in the window, the largest gain
    of the period before first. Without any progress nothing is known to stand still: some vendors
    send none."""
    row = of_people(connection.dialect.name, counting(metric, board)).subquery().c
    query = (
        select(
            row.key,
            row.person,
            row.name,
            row.email,
            exact(row.gained_before).label("gained_before"),
            func.count().over().label("people"),
        )
        .where(row.active, row.points.isnot(None), ~row.moved)
        .order_by(row.gained_before.desc(), func.coalesce(row.name, row.email), row.key)
        .limit(limit)
    )
    return rows_of(StillRow, connection.execute(query))


def neighbours(
    connection: Connection, metric: str, board: Board, person: str, around: int = 2
) -> Sequence[NeighbourRow]:
    """A person's row of the board, the rows just above and below it, and the rows next to
    a group of equals."""
    ranked = _ranked(connection.dialect.name, metric, board).cte("ranked")
    row, value = ranked.c, ranked.c[metric]

    def own(column: AnyColumn) -> AnyColumn:
        return select(column).where(row.person == person, row.moved).scalar_subquery()

    # Own figures are scalars, for a join would compare all with all.
    near = or_(
        row.place.between(own(row.place) - around, own(row.place) + around),
        row.place == own(row.rank) - 1,
        row.place == own(row.rank) + own(row.equals) + 1,
    )
    query = select(ranked, exact(value - own(value)).label("gap")).where(row.moved, near)
    return rows_of(NeighbourRow, connection.execute(query.order_by(row.place)))


def close_calls(
    connection: Connection, board: Board, person: str | None = None, limit: int = 5
) -> Sequence[CloseCall]:
    """Who passes the next one above by finishing one module that they have begun.

    On the board of progress gained, without the period before; of several modules the one with
    most left.
    """
    found: Sequence[CloseCall] = ()
    for among in (None,) if person or board.module else (FIRST_PLACES, None):
        query = _close_calls(connection.dialect.name, board.now(), person, among, limit)
        found = rows_of(CloseCall, connection.execute(query))
        if len(found) == limit:
            break
    return found


def _close_calls(
    dialect: str, board: Board, person: str | None, among: int | None, limit: int
) -> Select[Any]:
    """Among so many at the top. What is left is looked up for each of them, which for all
    costs more than the board does, and mostly the first few are close enough."""
    behind = _behind(dialect, board).subquery()
    top = select(behind).where(true() if person is None else behind.c.person == person)
    near = top.order_by(behind.c.place).limit(among).subquery()
    row = near.c
    gap = exact(row.ahead_gained - row.gained)
    left = _unfinished(board, row.person, exact(LEFT))
    name = func.coalesce(module.module_name, progress.module_id)
    named = _unfinished(board, row.person, name)
    query = select(near, gap.label("gap"), left.label("left"), named.label("module_name"))
    return query.where(left > gap).order_by(row.place).limit(limit)


def _behind(dialect: str, board: Board) -> Select[Any]:
    """The board of progress gained, each row with the next one above. The row just before
    a group of equals is that for all of them."""
    row = _ranked(dialect, "gained", board).subquery().c
    to_ahead = cast(row.place - row.rank + 1, Integer)

    def ahead(name: str) -> AnyColumn:
        return func.lag(row[name], to_ahead).over(order_by=row.place).label(f"ahead_{name}")

    return select(*row, *(ahead(name) for name in ("gained", "name", "email", "key"))).where(
        row.moved
    )


def _unfinished(board: Board, person: AnyColumn, wanted: AnyColumn) -> AnyColumn:
    """Of the module with most left that a person has begun. Looked up for each: SQLite would join
    every person with every module that was begun."""
    return (
        select(wanted)
        .join_from(table_of(Learner), table_of(ModuleProgress), same_account(learner, progress))
        .join(
            table_of(Module),
            and_(module.vendor == progress.vendor, module.module_id == progress.module_id),
            isouter=True,
        )
        .where(learner.person == person)
        .where(progress.progress_pct < COMPLETE_PCT, is_module(progress, board.module))
        .order_by(LEFT.desc(), progress.module_id)
        .limit(1)
        .scalar_subquery()
    )


def totals(connection: Connection, board: Board) -> Totals:
    """The figures over a board."""
    row = of_people(connection.dialect.name, board).subquery().c
    figures = [
        figure
        for period in PERIODS
        for figure in (
            counted(row[f"moved{period}"]).label(f"active{period}"),
            *(
                func.coalesce(func.sum(row[f"{name}{period}"]), 0).label(f"{name}{period}")
                for name in ("gained", "completed", "time")
            ),
        )
    ]
    return rows_of(Totals, connection.execute(select(*figures)))[0]


def weekly_totals(
    connection: Connection, board: Board, ends: Sequence[datetime]
) -> Sequence[Totals]:
    """The figures over a board in the seven days up to each of `ends`, and of no period before."""
    windows = [Window(end - WEEK, end) for end in ends]
    return [totals(connection, board._replace(window=window)) for window in windows]


def modules(connection: Connection, board: Board) -> Sequence[ModuleRow]:
    """The modules in which learners moved, the largest gain first."""
    row = of_modules(connection.dialect.name, board).subquery().c
    grouped = (
        select(
            row.vendor,
            row.module_id,
            _different_people(row).label("people"),
            exact(func.sum(row.gained)).label("gained"),
            cast(func.sum(row.completed), Integer).label("completed"),
            cast(func.sum(row.time), BigInteger).label("time"),
            exact(func.avg(row.pct)).label("average"),
        )
        .group_by(row.vendor, row.module_id)
        .subquery()
    )
    gained = grouped.c.gained
    query = select(
        func.rank().over(order_by=gained.desc()).label("rank"),
        (func.count().over(partition_by=gained) > 1).label("tied"),
        func.coalesce(module.module_name, grouped.c.module_id).label("module_name"),
        *grouped.c,
    ).join_from(
        grouped,
        table_of(Module),
        and_(module.vendor == grouped.c.vendor, module.module_id == grouped.c.module_id),
        isouter=True,
    )
    order = (gained.desc(), grouped.c.vendor, grouped.c.module_id)
    return rows_of(ModuleRow, connection.execute(query.order_by(*order)))


def _different_people(row: Any) -> AnyColumn:
    """Only who has several accounts can stand in several rows: to tell all apart takes a third of
    the time for everything."""
    alone = case((row.accounts == 1, 1), else_=0)
    several = case((row.accounts > 1, row.person))
    return cast(func.sum(alone) + func.count(several.distinct()), Integer)


def by_module(connection: Connection, board: Board, person: str) -> Sequence[ModuleGain]:
    """How the figures of a person come about, the largest gain first."""
    row = of_modules(connection.dialect.name, board, person).subquery().c
    query = (
        select(
            *(column for column in row if column.name not in ("gained", "accounts")),
            exact(row.gained).label("gained"),
            func.coalesce(module.module_name, row.module_id).label("module_name"),
        )
        .join(
            table_of(Module),
            and_(module.vendor == row.vendor, module.module_id == row.module_id),
            isouter=True,
        )
        .order_by(exact(row.gained).desc(), row.time.desc(), row.module_id)
    )
    return rows_of(ModuleGain, connection.execute(query))


def weekly(
    connection: Connection, board: Board, begins: Sequence[datetime], persons: Sequence[str]
) -> Sequence[Weeks]:
    """What these people gained week by week: from each of `begins` to the next, the last one until
    now."""
    moments = [as_of(connection.dialect.name, board, at) for at in (*begins, None)]
    columns = []
    for number, (start, end) in enumerate(pairwise(moments)):
        gained = func.coalesce(end.row.points, 0) - func.coalesce(start.row.points, 0)
        columns.append(exact(func.sum(gained)).label(f"week_{number}"))
    query = select(learner.person, *columns).select_from(
        with_moments(table_of(Learner), moments, true())
    )
    query = query.where(learner.person.in_(persons)).group_by(learner.person)
    return [Weeks(person, gained) for person, *gained in connection.execute(query)]


def _ranked(dialect: str, metric: str, board: Board) -> Select[Any]:
    """All who moved in the window or before it; ranks are among those who did.

    A rank is the first place of equals: each other way of ordering is a sort of whole rows more.
    """
    row = of_people(dialect, counting(metric, board)).subquery().c
    value, before = row[metric], row[f"{metric}_before"]
    by_name = func.coalesce(row.name, row.email, row.key)
    placed = select(
        func.row_number()
        .over(partition_by=row.moved, order_by=(value.desc(), by_name, row.person))
        .label("place"),
        case(
            (
                row.moved_before,
                func.rank().over(partition_by=row.moved_before, order_by=before.desc()),
            )
        ).label("rank_before"),
        *row,
    ).where(or_(row.moved, row.moved_before))
    found = placed.subquery()
    equal: Any = {"partition_by": [found.c.moved, found.c[metric]]}
    return select(
        func.min(found.c.place).over(**equal).label("rank"),
        (func.count().over(**equal) > 1).label("tied"),
        (func.count().over(**equal) - 1).label("equals"),
        *found.c,
    )
