"""Queries → DataFrames: the only module with connections and caches.

Everything cached is keyed by `version`, which moves with every delivery: a page asks for it
once a second and reads the store again only when something came in.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple, ParamSpec, TypeVar

import pandas as pd
import streamlit as st
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from shared.database import is_current, open_engine
from shared.queries import AnyRow, catalog, coaching, deliveries, leaderboard
from shared.queries.leaderboard import Filters
from shared.queries.windows import first_day, first_hour, previous
from shared.settings import Settings

Version = tuple[int, int]
NOTHING_YET: Version = (0, 0)
P = ParamSpec("P")
R = TypeVar("R")


def _kept(read: Callable[P, R]) -> Callable[P, R]:
    """A read that is cached for one version of the store, bounded in time and number."""
    return st.cache_data(ttl="10m", max_entries=200, show_spinner=False)(read)


@st.cache_resource
def settings() -> Settings:
    return Settings.load()


@st.cache_resource
def _engine() -> Engine:
    return open_engine(settings().database_url)


def _read() -> Connection:
    return _engine().connect()


def problem() -> str | None:
    """Why the store cannot be read, with what to do; None if it can."""
    try:
        current = is_current(_engine())
    except SQLAlchemyError:
        return "The store cannot be reached. Check DATABASE_URL and that the database is running."
    return None if current else "The store has no current schema. Run `python -m receiver migrate`."


@st.cache_data(ttl=1, show_spinner=False)
def version() -> Version:
    """The newest event and delivery."""
    with _read() as connection:
        return catalog.version(connection)


def has_events(version: Version) -> bool:
    """Whether any delivery was ever taken in."""
    return version[0] > 0


def today() -> date:
    """The UTC day: windows are counted in UTC days, as the daily totals are kept."""
    return datetime.now(UTC).date()


def coaching_threshold_pct() -> float:
    return settings().coaching_threshold_pct


def receiver_url() -> str:
    return settings().receiver_url


@st.cache_data(ttl="30s", show_spinner=False)
def teams() -> list[str]:
    with _read() as connection:
        return list(catalog.teams(connection))


@st.cache_data(ttl="30s", show_spinner=False)
def modules() -> dict[str, str]:
    """Module names by id."""
    with _read() as connection:
        return {row.module_id: row.module_name for row in catalog.modules(connection)}


@st.cache_data(ttl="30s", show_spinner=False)
def quiz_names() -> dict[str, str]:
    """Names of graded quizzes by id."""
    frame = quizzes(version())
    return dict(zip(frame["quiz_id"], frame["quiz"], strict=True)) if len(frame) else {}


@_kept
def last_event(version: Version) -> datetime | None:
    with _read() as connection:
        return catalog.newest_event_at(connection)


@_kept
def roster_size(version: Version) -> int:
    with _read() as connection:
        return catalog.learners(connection)


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


@_kept
def learner_board(version: Version, board: Board) -> pd.DataFrame:
    """place, learner, team_id, gained, completed, average, hours."""
    with _read() as connection:
        rows = leaderboard.learners(connection, board.column(), board.filters())
    return _frame(
        rows, lambda frame: _in_places(_with_people(frame)).assign(hours=frame["time"] / 3600)
    )


@_kept
def team_board(version: Version, board: Board) -> pd.DataFrame:
    """place, team_id, members, moved, total, average; time in hours."""
    with _read() as connection:
        rows = leaderboard.teams(connection, board.column(), board.filters())
    unit = 3600 if board.metric == "hours" else 1
    return _frame(
        rows,
        lambda frame: _in_places(frame).assign(
            total=frame["total"] / unit, average=frame["average"] / unit
        ),
    )


class KeyFigures(NamedTuple):
    """The totals of a board, and of the span before it; time in hours."""

    now: dict[str, float]
    before: dict[str, float] | None


@_kept
def key_figures(version: Version, board: Board) -> KeyFigures:
    before = board.filters_before()
    with _read() as connection:
        now = _totals(leaderboard.totals(connection, board.filters()))
        return KeyFigures(now, _totals(leaderboard.totals(connection, before)) if before else None)


def _totals(row: AnyRow) -> dict[str, float]:
    figures = {name: float(value) for name, value in row._mapping.items()}
    return figures | {"hours": figures["time"] / 3600}


@_kept
def people_by_day(version: Version, board: Board) -> pd.DataFrame:
    """day, people."""
    with _read() as connection:
        rows = leaderboard.by_day(connection, board.filters())
    return _frame(rows, lambda frame: frame.assign(day=pd.to_datetime(frame["day"])))


@_kept
def low_scorers(
    version: Version, window: str, day: date, team: str | None, quiz: str | None, zone: str
) -> pd.DataFrame:
    """learner, quiz, latest_pct, best_pct, threshold_pct, tries, team_id, submitted_at."""
    first = first_day(window, day)
    since = datetime.combine(first, datetime.min.time(), UTC) if first else None
    with _read() as connection:
        rows = coaching.low_scorers(connection, coaching_threshold_pct(), since, team, quiz)
    return _frame(
        rows, lambda frame: _local(_with_quizzes(_with_people(frame)), zone, "submitted_at")
    )


@_kept
def quizzes(version: Version) -> pd.DataFrame:
    """quiz_id, quiz, takers, low, and share: percent of the takers that are low."""
    with _read() as connection:
        rows = coaching.quizzes(connection, coaching_threshold_pct())
    return _frame(
        rows, lambda frame: _with_quizzes(frame).assign(share=100 * frame["low"] / frame["takers"])
    )


def day_span(board: Board, days: pd.DataFrame) -> tuple[datetime, datetime]:
    """The UTC days that a chart of a window shows, from midnight to midnight."""
    first = pd.Timestamp(first_day(board.window, board.day) or days["day"].min())
    return first, pd.Timestamp(board.day) + pd.Timedelta(days=1)


class Arrivals(NamedTuple):
    """What came in since the start of a window, and the latest delivery of any time."""

    everything: int
    taken: int
    last: datetime | None


@_kept
def arrivals(version: Version, window: str, now: datetime) -> Arrivals:
    with _read() as connection:
        counts = deliveries.totals(connection, first_hour(window, now), None)
        return Arrivals(int(counts.all), int(counts.taken), deliveries.last(connection, None))


@_kept
def timeline(version: Version, window: str, now: datetime, zone: str) -> pd.DataFrame:
    """at (the viewer's clock), outcome, deliveries: by hour, or by day for longer windows."""
    with _read() as connection:
        rows = deliveries.by_hour(connection, first_hour(window, now), None)
    return _frame(rows, lambda frame: _in_bars(_local(frame, zone, "hour"), window))


def _in_bars(frame: pd.DataFrame, window: str) -> pd.DataFrame:
    at = frame["hour"].dt.tz_localize(None)
    bars = frame.assign(at=at if window == "24h" else at.dt.normalize())
    return bars.groupby(["at", "outcome"])["deliveries"].sum().reset_index()


def clock_span(window: str, now: datetime, zone: str) -> tuple[datetime, datetime]:
    """The hours or days that a timeline shows, on the viewer's clock."""
    first, last = (
        pd.Timestamp(at).tz_convert(zone).tz_localize(None)
        for at in (first_hour(window, now), now + timedelta(hours=1))
    )
    if window != "24h":
        first, last = first.normalize(), last.normalize() + pd.Timedelta(days=1)
    return first, last


@_kept
def causes(version: Version, window: str, now: datetime, zone: str) -> pd.DataFrame:
    """outcome, reason, deliveries, first, last."""
    with _read() as connection:
        rows = deliveries.causes(connection, first_hour(window, now), None)
    return _frame(rows, lambda frame: _local(frame, zone, "first", "last"))


@_kept
def failed(
    version: Version, window: str, now: datetime, outcome: str | None, zone: str
) -> pd.DataFrame:
    """The latest failed deliveries, as the query gives them."""
    with _read() as connection:
        rows = deliveries.failed(connection, first_hour(window, now), None, outcome)
    return _frame(rows, lambda frame: _local(frame, zone, "received_at"))


def this_hour() -> datetime:
    """Windows of deliveries start on full hours, so that a cached one serves for an hour."""
    return datetime.now(UTC).replace(minute=0, second=0, microsecond=0)


def _frame(
    rows: Sequence[AnyRow], shape: Callable[[pd.DataFrame], pd.DataFrame] = lambda frame: frame
) -> pd.DataFrame:
    """Rows as a DataFrame, put into shape; without rows an empty one."""
    return shape(pd.DataFrame(rows)) if rows else pd.DataFrame()


def _with_people(frame: pd.DataFrame) -> pd.DataFrame:
    """A person is shown by name or e-mail; who is on no roster, as unknown with the id."""
    unknown = "unknown (" + frame["user_id"] + ")"
    return frame.assign(learner=frame["name"].fillna(frame["email"]).fillna(unknown))


def _with_quizzes(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(quiz=frame["quiz_name"].fillna(frame["quiz_id"]))


def _in_places(frame: pd.DataFrame) -> pd.DataFrame:
    """`2=` for each of two who share the second place."""
    return frame.assign(place=frame["rank"].astype(str) + frame["tied"].map({True: "=", False: ""}))


def _local(frame: pd.DataFrame, zone: str, *columns: str) -> pd.DataFrame:
    """Times on the viewer's clock."""
    return frame.assign(
        **{name: pd.to_datetime(frame[name], utc=True).dt.tz_convert(zone) for name in columns}
    )
