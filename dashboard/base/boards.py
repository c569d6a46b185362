"""Boards as pages show them. All of them, by whatever filters, are made of the same histories of
everyone, which are read once for each change of the store."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection

from dashboard.base.people import smallest_group
from dashboard.base.store import query, query_largest, query_shared
from shared.queries import leaderboard, team_boards
from shared.queries.histories import Histories, histories
from shared.queries.leaderboard import Weeks
from shared.queries.movement import Board
from shared.queries.ranking import Standings, Totals, standings_of
from shared.queries.team_boards import TeamRow
from shared.standing_blocks import SLOT_SEC, SLOTS

WEEKS = 8
LEAST = timedelta(weeks=WEEKS + 1)
"""How far back every page looks."""
FOUR_WEEKS = timedelta(seconds=SLOTS * SLOT_SEC)
FIRST = datetime(1970, 1, 1, tzinfo=UTC)


def _histories(board: Board, *, with_teams: bool = False) -> Histories:
    """From the begin of four weeks, so that boards of several periods have the same."""
    now = datetime.now(UTC)
    earliest = min(now - LEAST, board.window.earliest() or now)
    begin = earliest - (earliest - FIRST) % FOUR_WEEKS
    return query_largest(histories, begin, board.module, with_teams=with_teams)


def standings(board: Board) -> Standings:
    """All parts of a page, and all viewers of a board, share one."""
    return query_shared(_standings, board)


def _standings(connection: Connection, board: Board) -> Standings:
    return standings_of(connection, _histories(board), board)


def teams(metric: str, board: Board) -> Sequence[TeamRow]:
    """The board of teams. Where all had nothing in the period before they shared the first place,
    and those with nothing now would have lost places: then none has a rank of before."""
    rows = query(_teams, metric, board, smallest_group())
    was_any = any(row.average_before for row in rows)
    return rows if was_any else [row._replace(rank_before=None) for row in rows]


def _teams(connection: Connection, metric: str, board: Board, smallest: int) -> Sequence[TeamRow]:
    found = _histories(board, with_teams=team_boards.counts_teams_then(board))
    return team_boards.teams_of(connection, found, metric, board, smallest)


def weekly_totals(board: Board, ends: tuple[datetime, ...]) -> Sequence[Totals]:
    """The figures over a board in the seven days up to each of `ends`."""
    return query(_weekly_totals, board, ends)


def _weekly_totals(
    connection: Connection, board: Board, ends: tuple[datetime, ...]
) -> Sequence[Totals]:
    return leaderboard.weekly_totals_of(connection, _histories(board), board, ends)


def weekly(board: Board, begins: tuple[datetime, ...], persons: tuple[str, ...]) -> Sequence[Weeks]:
    """What these people gained from each of `begins` to the next."""
    return query(_weekly, board, begins, persons)


def _weekly(
    _: Connection, board: Board, begins: tuple[datetime, ...], persons: tuple[str, ...]
) -> Sequence[Weeks]:
    return leaderboard.weekly_of(_histories(board), begins, persons)
