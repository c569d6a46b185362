"""What a wall display shows: its boards, and where it stands itself."""

from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from enum import StrEnum
from typing import NamedTuple

import streamlit as st
from sqlalchemy.exc import SQLAlchemyError

from dashboard import access
from dashboard.base import boards as made, filters, screens, windows
from dashboard.base.amounts import number, ordinal
from dashboard.base.people import known_in_a_room
from dashboard.base.store import ask_by_token, query, settings, write_by_token
from shared import screens as pairing
from shared.queries import catalog, screens as queries, wall
from shared.queries.movement import Board
from shared.queries.people import Who
from shared.queries.screens import ScreenRow
from shared.queries.windows import window_of

__all__ = ["ScreenRow"]

PODIUM = 3
LINES = 7
"""That fit under one another in type for five metres."""
TURN_SEC = 15
WEEK, MONTH = "7d", "30d"


class Trend(StrEnum):
    """Which way a figure goes; a sign says so too."""

    UP = "up"
    DOWN = "down"
    NONE = ""


class Line(NamedTuple):
    """One row of a board, as shown; `rank` is None where the order is that of time."""

    rank: int | None
    name: str
    about: str
    note: str
    trend: Trend
    figure: str


class Shown(NamedTuple):
    """One board: its first three are on a podium if `podium`."""

    title: str
    about: str
    lines: Sequence[Line]
    podium: bool


def boards() -> list[Shown]:
    """The boards that have something to show, in the order in which they turn."""
    every = (_leaders(), _teams(), _climbers(), _passed())
    return [board for board in every if board.lines]


def turn(shown: int, at: datetime) -> int:
    """Which of some boards is on at a time: all displays turn together."""
    return int(at.timestamp()) // TURN_SEC % shown


def _board(period: str = WEEK) -> Board:
    now, zone = windows.now(), windows.viewer_zone()
    return Board(access.who(Who()), window_of(period, now, zone, filters.calendar()))


def _leaders() -> Shown:
    rows = made.standings(_board()).by("gained").page(PODIUM + LINES)
    lines = [
        Line(
            row.rank,
            known_in_a_room(row.name, row.email, row.key),
            "",
            *_move(row.rank, row.rank_before),
            number(row.gained),
        )
        for row in rows
        if row.gained > 0
    ]
    return Shown("Leaders", f"points gained {_since(WEEK)}", lines, podium=True)


def _teams() -> Shown:
    rows = made.teams("gained", _board())
    lines = [
        Line(row.rank, row.team_id, "", *_move(row.rank, row.rank_before), number(row.average))
        for row in rows
        if row.rank is not None and row.average is not None
    ]
    moved = any(row.average for row in rows)
    shown = lines[: PODIUM + LINES] if moved else []
    return Shown("Teams", f"points a member {_since(WEEK)}", shown, podium=True)


def _climbers() -> Shown:
    rows = made.standings(_board()).by("gained").climbers(LINES)
    lines = [
        Line(
            place,
            known_in_a_room(row.name, row.email, row.key),
            f"now {ordinal(row.rank)}",
            "",
            Trend.UP,
            f"▲ {row.rank_before - row.rank:,}",
        )
        for place, row in enumerate(rows, start=1)
    ]
    about = f"places gained against the {windows.WINDOWS[WEEK].lower()} before"
    return Shown("Climbing fastest", about, lines, podium=False)


def _passed() -> Shown:
    board = _board(MONTH)
    rows = query(wall.passed, board.who, board.now().window, windows.quarter_hour(), LINES)
    lines = [
        Line(
            None,
            known_in_a_room(row.name, row.email, row.key),
            row.what,
            windows.ago(row.at),
            Trend.NONE,
            "",
        )
        for row in rows
    ]
    about = f"courses and certificates {_since(MONTH)}"
    return Shown("Just passed", about, lines, podium=False)


def _since(period: str) -> str:
    """`in 7 days, since Sat 21 Nov`: both are known at a glance."""
    first = windows.first_day(_board(period).window, windows.viewer_zone())
    return f"in {windows.WINDOWS[period].lower()}, since {first}"


def _move(rank: int, before: int | None) -> tuple[str, Trend]:
    """Nothing for one without points before: there is no room to say so, and "new" reads as
    hired."""
    if before is None or rank == before:
        return "", Trend.NONE
    rise = before - rank
    return (f"▲ {rise:,}", Trend.UP) if rise > 0 else (f"▼ {-rise:,}", Trend.DOWN)


def foot() -> str:
    """`Last event 2 min ago · board of team west`."""
    teams = access.who(Who()).teams
    limit = "" if teams is None else f" · board of {pairing.in_words(teams)}"
    return f"Last event {windows.ago(query(catalog.newest_event_at))}{limit}"


def token() -> str | None:
    """The token of the display that opened the page; None if it keeps no cookies."""
    sent = st.context.cookies.get(screens.SCREEN, "")
    return sent if screens.TOKEN.fullmatch(sent) else None


def known(token_sent: str) -> ScreenRow | None:
    """The display with this token, waiting or paired; None without a row, or with an old code."""
    row = ask_by_token(queries.of_token, pairing.hash_of(token_sent))
    is_old = row is not None and row.expires_at is not None and row.expires_at <= datetime.now(UTC)
    return None if is_old else row


def note_seen(row: ScreenRow) -> None:
    """Write down that a paired display is on, once a minute. A store that cannot be written, such
    as a replica, can still be shown."""
    at = datetime.now(UTC)
    if row.seen_at is None or at - row.seen_at >= pairing.SEEN_EVERY:
        with suppress(SQLAlchemyError):
            write_by_token(pairing.seen, row.id, at)


def new_code(token_sent: str) -> str | None:
    """A code by which a display is paired; None if it can get none for now."""
    try:
        return write_by_token(pairing.wait, pairing.hash_of(token_sent), datetime.now(UTC))
    except SQLAlchemyError:
        return None


def address() -> str:
    """Where a person enters a code."""
    return f"{settings().dashboard_url}/screens"
