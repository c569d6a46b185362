"""What the leaderboard shows."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import pandas as pd
from sqlalchemy import Connection

from dashboard.base.outages import down_since
from dashboard.base.people import known_as, smallest_group, with_people
from dashboard.base.percent import columns
from dashboard.base.store import Version, framed, kept, kept_a_moment, read
from shared.diagnosis import SELDOM
from shared.outages import Outage
from shared.queries import AnyRow, catalog, deliveries, leaderboard, learner, missing
from shared.queries.missing import Toll
from shared.queries.movement import Board
from shared.queries.people import Who
from shared.queries.vendors import vendor_facts
from shared.queries.windows import Window, week_begins
from shared.vendors import VendorFacts

FIRST = datetime(2000, 1, 1, tzinfo=UTC)
"""Before all that is kept."""
EVENTS_SHOWN = 50


class Day(NamedTuple):
    """A day on the viewer's clock."""

    date: date
    zone: str


def board_of(who: Who, window: Window, module: tuple[str, str] | None) -> Board:
    """What a leaderboard is asked for."""
    return Board(who, window, module)


@kept
def learner_board(version: Version, metric: str, board: Board, day: Day) -> pd.DataFrame:
    """key, place, move, learner, team_id, vendors (how many), gained, completed, average, time
    (hours), weeks (points gained in each of the last eight) and `of`, how many there are in all."""
    with read() as connection:
        rows = leaderboard.learners(connection, metric, board)
        people = [row.person for row in rows]
        weeks = leaderboard.weekly(connection, board, week_begins(*day), people) if rows else ()
    gains = {row.person: [float(gain) for gain in row[1:]] for row in weeks}
    return framed(
        rows,
        lambda frame: _placed(with_people(frame)).assign(
            average=columns(frame, "average")["average"],
            time=frame["time"] / _unit("time"),
            weeks=frame["person"].map(gains),
            vendors=frame["vendors"].map(lambda slugs: len(set(slugs.split(",")))),
        ),
    )


@kept
def team_board(version: Version, metric: str, board: Board) -> pd.DataFrame:
    """place, move, team_id, average (a member), average_before, total, members, moved; time in
    hours."""
    with read() as connection:
        rows = leaderboard.teams(connection, metric, board, smallest_group())
    figures = ["average", "average_before", "total"]
    return framed(rows, lambda frame: _placed(frame).assign(**_in_units(frame[figures], metric)))


@kept
def module_board(version: Version, board: Board) -> pd.DataFrame:
    """place, module_name, people, gained, completed, average, time (hours)."""
    with read() as connection:
        rows = leaderboard.modules(connection, board)
    return framed(
        rows,
        lambda frame: _placed(columns(frame, "average")).assign(time=frame["time"] / _unit("time")),
    )


def _in_units(frame: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Figures of a metric as they are shown."""
    return columns(frame, *frame) if metric == "average" else frame / _unit(metric)


class Figures(NamedTuple):
    """active, gained, completed and time (hours) over a board, the same of the period before it
    if there is one, and how many people it is about."""

    now: dict[str, float]
    before: dict[str, float] | None
    people: int


@kept
def figures(version: Version, board: Board) -> Figures:
    with read() as connection:
        row = leaderboard.totals(connection, board)
        people = catalog.learners(connection, board.who)
    before = _totals(row, "_before") if board.window.before else None
    return Figures(_totals(row), before, people)


def _totals(row: AnyRow, period: str = "") -> dict[str, float]:
    names = ("active", "gained", "completed", "time")
    return {name: getattr(row, f"{name}{period}") / _unit(name) for name in names}


def _unit(metric: str) -> int:
    """Queries count time in seconds, pages in hours."""
    return 3600 if metric == "time" else 1


class Leader(NamedTuple):
    """Who gained most, in points; how many others gained as much; the module with the largest
    share of it."""

    learner: str
    gained: float
    equals: int
    module: str
    share: float


class Call(NamedTuple):
    """Who is one module from passing whom: `gap` points behind, `left` to gain in the module."""

    key: str
    learner: str
    ahead: str
    gap: float
    module: str
    left: float


class Headline(NamedTuple):
    """The answers of the first line; None where there is nothing to tell."""

    leader: Leader | None
    slipped: leaderboard.Slipped | None
    call: Call | None


@kept
def headline(version: Version, board: Board) -> Headline:
    call = next(iter(close_calls(version, board)), None)
    with read() as connection:
        slipped = leaderboard.slipped(connection, "gained", board, smallest_group())
        return Headline(_leader(connection, board), slipped, call)


def _leader(connection: Connection, board: Board) -> Leader | None:
    for row in leaderboard.learners(connection, "gained", board.now(), limit=1):
        if row.gained > 0:
            most = leaderboard.by_module(connection, board, row.person)[0]
            name = known_as(row.name, row.email, row.key)
            return Leader(name, row.gained, row.equals, most.module_name, most.gained)
    return None


def _calls(connection: Connection, board: Board, **which: Any) -> list[Call]:
    return [
        Call(
            row.key,
            known_as(row.name, row.email, row.key),
            known_as(row.ahead_name, row.ahead_email, row.ahead_key),
            row.gap,
            row.module_name,
            row.left,
        )
        for row in leaderboard.close_calls(connection, board, **which)
    ]


@kept
def close_calls(version: Version, board: Board) -> list[Call]:
    with read() as connection:
        return _calls(connection, board)


class Climber(NamedTuple):
    """Somebody who won `rise` places against the period before."""

    key: str
    learner: str
    rise: int
    rank: int


@kept
def climbers(version: Version, metric: str, board: Board) -> list[Climber]:
    with read() as connection:
        return [
            Climber(
                row.key,
                known_as(row.name, row.email, row.key),
                row.rank_before - row.rank,
                row.rank,
            )
            for row in leaderboard.climbers(connection, metric, board)
        ]


class Lag(NamedTuple):
    """Why standings may lag: events that failed in the window, and outages."""

    missing: Toll
    down: Sequence[Outage]
    many: bool
    """Whether more events are missing than on an ordinary day."""


@kept
def _missing(version: Version, window: Window) -> tuple[Toll, bool]:
    now = datetime.now(UTC)
    hour = (window.since or FIRST).replace(minute=0, second=0, microsecond=0)
    with read() as connection:
        events = missing.missing(connection, window.since, window.until)
        total = deliveries.totals(connection, hour, None).all
        facts = vendor_facts(connection)
    toll = missing.toll(events, facts, now)
    attempts = sum(one.attempts for one in events)
    return toll, attempts >= SELDOM * total


@kept_a_moment
def _down(window: Window) -> list[Outage]:
    with read() as connection:
        found = down_since(connection, window.since or FIRST)
    return [one for one in found if not _after(one, window)]


def _after(outage: Outage, window: Window) -> bool:
    return window.until is not None and outage.begin >= window.until


def lag(version: Version, window: Window) -> Lag:
    toll, many = _missing(version, window)
    return Lag(toll, _down(window), many)


class Told(NamedTuple):
    """An event of progress, on the viewer's clock; None for what cannot be read from it, and for
    a delivery that has gone by age."""

    at: datetime
    vendor: str
    delivery_id: int | None
    module_id: str | None = None
    module: str | None = None
    pct: float | None = None


class Explained(NamedTuple):
    """Why somebody stands where they stand."""

    learner: str
    near: pd.DataFrame
    """place, learner, the metrics (time in hours), `gap` in the unit of the metric, rank, equals
    and `own`: whether it is their row. Empty if they did not move."""
    modules: pd.DataFrame
    """module_id, module_name, gained, completed, pct_before, pct, time (hours)."""
    events: list[Told]
    call: Call | None


@kept
def explained(version: Version, metric: str, board: Board, key: str, zone: str) -> Explained | None:
    """About the person with this account, `vendor/user_id`; None if they are not among those who
    are asked about."""
    vendor, _, user_id = key.partition("/")
    with read() as connection:
        person = learner.person_at(connection, vendor, user_id)
        profile = person and learner.profile(connection, person, board.who)
        if not person or not profile:
            return None
        return Explained(
            known_as(profile.name, profile.email, profile.key),
            _near(connection, metric, board, person),
            _modules(connection, board, person),
            _events(connection, board, person, zone),
            next(iter(_calls(connection, board, person=person)), None),
        )


def _near(connection: Connection, metric: str, board: Board, person: str) -> pd.DataFrame:
    rows = leaderboard.neighbours(connection, metric, board, person)
    return framed(
        rows,
        lambda frame: _placed(with_people(frame)).assign(
            time=frame["time"] / _unit("time"),
            gap=frame["gap"] / _unit(metric),
            own=frame["person"] == person,
        ),
    )


def _modules(connection: Connection, board: Board, person: str) -> pd.DataFrame:
    rows = leaderboard.by_module(connection, board, person)
    return framed(
        rows,
        lambda frame: columns(frame, "pct", "pct_before").assign(
            time=frame["time"] / _unit("time")
        ),
    )


def _events(connection: Connection, board: Board, person: str, zone: str) -> list[Told]:
    window = board.window
    facts = vendor_facts(connection)
    types = {one.progress.event_type for one in facts.values() if one.progress}
    rows = learner.events(connection, person, window.since, window.until, types)
    told = [_told(row, facts.get(row.vendor), zone) for row in rows]
    asked = [one for one in told if board.module in (None, (one.vendor, one.module_id))]
    return asked[:EVENTS_SHOWN]


def _told(row: learner.EventRow, vendor: VendorFacts | None, zone: str) -> Told:
    """What an event says of a module; a vendor's body may hold anything."""
    at = row.occurred_at.astimezone(ZoneInfo(zone))
    said = vendor and vendor.progress and vendor.progress.read(row.payload)
    return Told(at, row.vendor, row.delivery_id, *(said or ()))


def _placed(frame: pd.DataFrame) -> pd.DataFrame:
    """`2=` for each of two who share the second place, and how far they moved."""
    rank = frame["rank"].astype("Int64").astype("string").fillna("–")  # of a team too small to tell
    place = rank + frame["tied"].map({True: "=", False: ""})
    if "rank_before" not in frame:
        return frame.assign(place=place)
    ranks = zip(frame["rank"], frame["rank_before"], strict=True)
    return frame.assign(place=place, move=[_move(*pair) for pair in ranks])


def _move(rank: float | None, before: float | None) -> str:
    if rank is None or pd.isna(rank):
        return ""
    if before is None or pd.isna(before):
        return "new"
    rise = int(before) - rank
    return "=" if not rise else f"▲ {rise}" if rise > 0 else f"▼ {-rise}"
