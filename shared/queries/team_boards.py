"""Teams on a board, by what their members gained on average."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, FromClause, Select, and_, case, func, select, true

from shared.figures import exact
from shared.queries import counted, rows_of
from shared.queries.groups import rank_of_shown, without_small
from shared.queries.leaderboard import counting
from shared.queries.movement import PERIODS, AnyColumn, Board, Credit, of_members, of_people

NOTICEABLE = 0.1
"""The part of its average that a team has to lose to be named. Less is the noise of any week."""
TEAM_RULES: Mapping[Credit, str] = {
    "then": "What learners gain counts for the team that they are in at that time. Members are all "
    "who were in the team at any time of the period, and the average is per member. What a person "
    "gains after leaving counts for no team.",
    "today": "All that learners gain counts for the team that they are in today, also what they "
    "gained in another one. The average is per member of today.",
}
"""How a board of teams counts, for the people who read it."""


class TeamRow(NamedTuple):
    """A team on the board: rank and rank_before by the average of a metric per member, so that
    size does not win; `moved` counts the members who moved in the window. A team with too few
    members is `hidden`: it has no figures."""

    rank: int | None
    rank_before: int | None
    tied: bool
    team_id: str
    members: int
    members_before: int
    moved: int | None
    total: float | None
    average: float | None
    average_before: float | None
    hidden: bool


class Slipped(NamedTuple):
    """A team whose average per member fell."""

    team_id: str
    average: float
    average_before: float


def teams(
    connection: Connection, metric: str, board: Board, smallest: int = 1
) -> Sequence[TeamRow]:
    """The board of teams, also of teams in which nothing moved; `TEAM_RULES` says how it counts. An
    average progress is over the members who have begun a module. Teams of fewer members than
    `smallest` come last; where a team was that small in the period before, average_before is None.
    """
    team = _of_shown_teams(connection.dialect.name, metric, board, smallest)
    had = team.c.average_before.isnot(None)
    before = func.rank().over(partition_by=had, order_by=team.c.average_before.desc())
    ranked = select(
        rank_of_shown(team, "average").label("rank"),
        case((had, before)).label("rank_before"),
        and_(~team.c.hidden, func.count().over(partition_by=team.c.average) > 1).label("tied"),
        *team.c,
    )
    order = (team.c.hidden, team.c.average.desc(), team.c.team_id)
    return rows_of(TeamRow, connection.execute(ranked.order_by(*order)))


def slipped(connection: Connection, metric: str, board: Board, smallest: int = 1) -> Slipped | None:
    """The team whose average per member fell most against the period before. None if none fell by
    a tenth or more, of the teams with `smallest` members or more in both."""
    return most_slipped(teams(connection, metric, board, smallest))


def most_slipped(rows: Sequence[TeamRow]) -> Slipped | None:
    """The same, of the rows of a board."""
    falls = {
        Slipped(row.team_id, row.average, row.average_before): row.average_before - row.average
        for row in rows
        if row.average is not None and row.average_before is not None
    }
    slipped = [
        one for one, fall in falls.items() if fall > 0 and fall >= NOTICEABLE * one.average_before
    ]
    return min(slipped, key=lambda one: (-falls[one], one.team_id), default=None)


def _of_shown_teams(dialect: str, metric: str, board: Board, smallest: int) -> FromClause:
    figures = ("moved", "total", *(f"average{period}" for period in PERIODS))
    every = _of_teams(dialect, metric, board, smallest).subquery()
    return without_small(every, smallest, figures).subquery()


def _of_teams(dialect: str, metric: str, board: Board, smallest: int) -> Select[Any]:
    """Teams with a member in the window."""
    row = _members(dialect, counting(metric, board)).subquery().c
    now, before = (counted(row[f"member{period}"]) for period in PERIODS)
    average, average_before = (
        exact(func.coalesce(_per_member(row, metric, period), 0.0)) for period in PERIODS
    )
    query = select(
        row.team_id,
        now.label("members"),
        before.label("members_before"),
        counted(row.moved).label("moved"),
        exact(func.coalesce(func.sum(row[metric]), 0.0)).label("total"),
        average.label("average"),
        case((before >= max(smallest, 1), average_before)).label("average_before"),
    )
    return query.where(row.team_id.isnot(None)).group_by(row.team_id).having(now > 0)


def _members(dialect: str, board: Board) -> Select[Any]:
    """One row for each team and member of it, by the rule of `board.credit`."""
    if board.credit == "then":
        return of_members(dialect, board)
    row = of_people(dialect, board).subquery().c
    return select(*row, *(true().label(f"member{period}") for period in PERIODS))


def _per_member(row: Any, metric: str, period: str) -> AnyColumn:
    value, members = row[f"{metric}{period}"], counted(row[f"member{period}"])
    if metric == "average":
        return func.avg(value)
    return func.sum(value) * 1.0 / func.nullif(members, 0)
