"""Teams on a board, by what their members gained on average."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import Connection

from shared.queries.groups import too_small
from shared.queries.leaderboard import counting
from shared.queries.movement import Board, Credit, achieved_in_teams
from shared.queries.ranking import standings_of
from shared.queries.spells import BEFORE_ALL, spells_since

if TYPE_CHECKING:
    from shared.queries.board_figures import TeamFigures
    from shared.queries.histories import Histories

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
    return teams_of(connection, _histories(connection, board), metric, board, smallest)


def _histories(connection: Connection, board: Board) -> "Histories":
    from shared.queries.histories import histories  # noqa: PLC0415 (see there)

    return histories(
        connection, board.window.earliest(), board.module, with_teams=counts_teams_then(board)
    )


def counts_teams_then(board: Board) -> bool:
    """Whether a board of teams needs to know what people had when they changed teams, however long
    ago."""
    return board.credit == "then" and board.window.since is None


def teams_of(
    connection: Connection, found: "Histories", metric: str, board: Board, smallest: int = 1
) -> Sequence[TeamRow]:
    """The same of histories that are there already, as `ranking.standings_of`."""
    every = _by_team(connection, found, metric, counting(metric, board))
    hidden = too_small({one.team_id: one.members for one in every}, smallest)
    shown = [one for one in every if one.team_id not in hidden]
    least = max(smallest, 1)
    now = [one.average for one in shown]
    before = [one.average_before for one in shown if one.members_before >= least]
    rows = [
        TeamRow(
            _rank(one.average, now),
            _rank(one.average_before, before) if one.members_before >= least else None,
            now.count(one.average) > 1,
            *(one.team_id, one.members, one.members_before, one.moved, one.total, one.average),
            one.average_before if one.members_before >= least else None,
            hidden=False,
        )
        for one in shown
    ]
    rows.sort(key=lambda row: (-(row.average or 0), row.team_id))
    return rows + [_hidden(one) for one in every if one.team_id in hidden]


def _rank(figure: float, others: Sequence[float]) -> int:
    return 1 + sum(other > figure for other in others)


def _hidden(one: "TeamFigures") -> TeamRow:
    nothing = (None, None, None, None)
    return TeamRow(None, None, False, *one[:3], *nothing, hidden=True)


def _by_team(
    connection: Connection, found: "Histories", metric: str, board: Board
) -> "Sequence[TeamFigures]":
    """In the order of team ids."""
    from shared.queries import board_figures  # noqa: PLC0415

    if board.credit == "today":
        of_today = board_figures.of_teams_today(standings_of(connection, found, board).columns)
        return board_figures.by_team(of_today, metric)
    since = board.window.before or board.window.since or BEFORE_ALL
    scored = achieved_in_teams(connection, board)
    of_then = board_figures.of_teams_then(found, board, spells_since(connection, since), scored)
    return board_figures.by_team(of_then, metric)


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
