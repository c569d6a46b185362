"""Who moved in a window, by how much, and past which others."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    Connection,
    Integer,
    and_,
    case,
    cast,
    func,
    select,
)

from shared.bulk import table_of
from shared.figures import COMPLETE_PCT, exact
from shared.models import Learner, Module, ModuleProgress
from shared.queries import rows_of
from shared.queries.movement import AnyColumn, Board, achieved, is_module, of_modules
from shared.queries.people import same_account, with_several_accounts
from shared.queries.ranking import (
    ClimberRow,
    CloseCall,
    LearnerRow,
    NeighbourRow,
    Ranking,
    StillRow,
    Totals,
    Unfinished,
    standings,
)
from shared.queries.windows import WEEK
from shared.scoring import DEFAULT

if TYPE_CHECKING:
    from shared.queries.histories import Histories

NOTHING = (0, 0, 0, 0)
METRICS = ("gained", "completed", "average", "time", "score")

learner = table_of(Learner).c
module = table_of(Module).c
progress = table_of(ModuleProgress).c


class Weeks(NamedTuple):
    """The points that a person gained in each of some weeks."""

    person: str
    gained: Sequence[float]


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
    return _ranking(connection, metric, board).page(limit, offset, find)


def of_persons(
    connection: Connection, metric: str, board: Board, persons: Collection[str]
) -> Sequence[LearnerRow]:
    """The rows of the board of these people, with the places that they have among all."""
    return _ranking(connection, metric, board).of_persons(persons)


def how_many(connection: Connection, metric: str, board: Board, find: str = "") -> int:
    """How many rows `learners` has in all."""
    return _ranking(connection, metric, board.now()).how_many(find)


def place_of(connection: Connection, metric: str, board: Board, key: str) -> int | None:
    """The place on the board of the person with this `key`; None for one who is not on it."""
    return _ranking(connection, metric, board.now()).place_of(key)


def _ranking(connection: Connection, metric: str, board: Board) -> Ranking:
    return standings(connection, counting(metric, board)).by(metric)


def counting(metric: str, board: Board) -> Board:
    """The board with its own rules for a score only: by every other metric, who only scores did
    not move."""
    return board if metric == "score" else board._replace(rules=DEFAULT)


def climbers(
    connection: Connection, metric: str, board: Board, limit: int = 5
) -> Sequence[ClimberRow]:
    """Who rose by most places against the period before."""
    return _ranking(connection, metric, board).climbers(limit)


def still(connection: Connection, metric: str, board: Board, limit: int = 5) -> Sequence[StillRow]:
    """Who of those still there has begun a module but did not move in the window, the largest gain
    of the period before first. Without any progress nothing is known to stand still: some vendors
    send none."""
    return standings(connection, counting(metric, board)).still(limit)


def neighbours(
    connection: Connection, metric: str, board: Board, person: str, around: int = 2
) -> Sequence[NeighbourRow]:
    """A person's row of the board, the rows just above and below it, and the rows next to
    a group of equals."""
    return _ranking(connection, metric, board).neighbours(person, around)


def close_calls(
    connection: Connection, board: Board, person: str | None = None, limit: int = 5
) -> Sequence[CloseCall]:
    """Who passes the next one above by finishing one module that they have begun.

    On the board of progress gained, without the period before; of several modules the one with
    most left.
    """
    ranking = _ranking(connection, "gained", board.now())
    return ranking.close_calls(
        partial(unfinished, connection, of_module=board.module), limit, person
    )


def unfinished(
    connection: Connection, persons: Sequence[str], of_module: tuple[str, str] | None = None
) -> Mapping[str, Unfinished]:
    """Of each of these people the module with most left that they have begun, or only the one that
    is asked about."""
    left = exact(COMPLETE_PCT - progress.progress_pct)
    place = func.row_number().over(
        partition_by=learner.person,
        order_by=((COMPLETE_PCT - progress.progress_pct).desc(), progress.module_id),
    )
    begun = (
        select(
            learner.person,
            left.label("left"),
            func.coalesce(module.module_name, progress.module_id).label("module_name"),
            place.label("place"),
        )
        .join_from(table_of(Learner), table_of(ModuleProgress), same_account(learner, progress))
        .join(
            table_of(Module),
            and_(module.vendor == progress.vendor, module.module_id == progress.module_id),
            isouter=True,
        )
        .where(learner.person.in_(persons))
        .where(progress.progress_pct < COMPLETE_PCT, is_module(progress, of_module))
        .subquery()
    )
    most = select(*(begun.c[name] for name in Unfinished._fields)).where(begun.c.place == 1)
    return {row.person: row for row in rows_of(Unfinished, connection.execute(most))}


def totals(connection: Connection, board: Board) -> Totals:
    """The figures over a board."""
    return standings(connection, board).totals()


def weekly_totals(
    connection: Connection, board: Board, ends: Sequence[datetime]
) -> Sequence[Totals]:
    """The figures over a board in the seven days up to each of `ends`, and of no period before."""
    from shared.queries.histories import histories  # noqa: PLC0415 (see there)

    found = histories(connection, min(ends) - WEEK, board.module)
    return weekly_totals_of(connection, found, board, ends)


def weekly_totals_of(
    connection: Connection, found: "Histories", board: Board, ends: Sequence[datetime]
) -> Sequence[Totals]:
    """The same of histories that are there already, as `standings_of`."""
    from shared.queries.board_figures import of_weeks  # noqa: PLC0415

    scored = achieved(connection, board, [(end - WEEK, end) for end in ends])
    return [Totals(*week, *NOTHING) for week in of_weeks(found, board, ends, scored)]


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
    has_several = row.person.in_(with_several_accounts())
    alone = case((has_several, 0), else_=1)
    several = case((has_several, row.person))
    return cast(func.sum(alone) + func.count(several.distinct()), Integer)


def by_module(connection: Connection, board: Board, person: str) -> Sequence[ModuleGain]:
    """How the figures of a person come about, the largest gain first."""
    row = of_modules(connection.dialect.name, board, person).subquery().c
    query = (
        select(
            *(column for column in row if column.name != "gained"),
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
    from shared.queries.histories import histories  # noqa: PLC0415 (see there)

    return weekly_of(histories(connection, min(begins), board.module), begins, persons)


def weekly_of(
    found: "Histories", begins: Sequence[datetime], persons: Sequence[str]
) -> Sequence[Weeks]:
    """The same of histories that are there already."""
    from shared.queries.board_figures import gained  # noqa: PLC0415

    return [Weeks(*one) for one in gained(found, begins, persons).items()]
