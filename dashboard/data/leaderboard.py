"""What the leaderboard shows."""

from datetime import date, datetime
from typing import NamedTuple

import pandas as pd

from dashboard.data.store import Version, framed, kept, read, with_people
from shared.queries import AnyRow, leaderboard
from shared.queries.leaderboard import Filters
from shared.queries.windows import first_day, previous


class Board(NamedTuple):
    """What a leaderboard is asked for; `day` is today's UTC day."""

    metric: str
    window: str
    day: date
    team: str | None
    module: str | None
    leavers: bool

    def column(self) -> str:
        """The query's name of the metric; it counts time in seconds."""
        return "time" if self.metric == "hours" else self.metric

    def filters(self) -> Filters:
        since = first_day(self.window, self.day)
        return Filters(since, None, self.team, self.module, self.leavers)

    def filters_before(self) -> Filters | None:
        """The same for the span before; None for all time."""
        span = previous(self.window, self.day)
        return span and Filters(*span, self.team, self.module, self.leavers)


@kept
def learner_board(version: Version, board: Board) -> pd.DataFrame:
    """place, learner, team_id, gained, completed, average, hours."""
    with read() as connection:
        rows = leaderboard.learners(connection, board.column(), board.filters())
    return framed(
        rows, lambda frame: _in_places(with_people(frame)).assign(hours=frame["time"] / 3600)
    )


@kept
def team_board(version: Version, board: Board) -> pd.DataFrame:
    """place, team_id, members, moved, total, average; time in hours."""
    with read() as connection:
        rows = leaderboard.teams(connection, board.column(), board.filters())
    unit = 3600 if board.metric == "hours" else 1
    return framed(
        rows,
        lambda frame: _in_places(frame).assign(
            total=frame["total"] / unit, average=frame["average"] / unit
        ),
    )


class KeyFigures(NamedTuple):
    """The totals of a board, and of the span before it; time in hours."""

    now: dict[str, float]
    before: dict[str, float] | None


@kept
def key_figures(version: Version, board: Board) -> KeyFigures:
    before = board.filters_before()
    with read() as connection:
        now = _totals(leaderboard.totals(connection, board.filters()))
        return KeyFigures(now, _totals(leaderboard.totals(connection, before)) if before else None)


def _totals(row: AnyRow) -> dict[str, float]:
    figures = {name: float(value) for name, value in row._mapping.items()}
    return figures | {"hours": figures["time"] / 3600}


@kept
def people_by_day(version: Version, board: Board) -> pd.DataFrame:
    """day, people."""
    with read() as connection:
        rows = leaderboard.by_day(connection, board.filters())
    return framed(rows, lambda frame: frame.assign(day=pd.to_datetime(frame["day"])))


def day_span(board: Board, days: pd.DataFrame) -> tuple[datetime, datetime]:
    """The UTC days that a chart of a window shows, from midnight to midnight."""
    first = pd.Timestamp(first_day(board.window, board.day) or days["day"].min())
    return first, pd.Timestamp(board.day) + pd.Timedelta(days=1)


def _in_places(frame: pd.DataFrame) -> pd.DataFrame:
    """`2=` for each of two who share the second place."""
    return frame.assign(place=frame["rank"].astype(str) + frame["tied"].map({True: "=", False: ""}))
