"""What the leaderboard shows."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from functools import partial
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import pandas as pd
from sqlalchemy import Connection

from dashboard import access
from dashboard.base import boards
from dashboard.base.outages import down_since
from dashboard.base.paging import WHOLE, Part
from dashboard.base.people import known_as, sees_names
from dashboard.base.percent import columns, rounded
from dashboard.base.store import (
    framed,
    query,
    query_now,
    query_traffic,
    settings,
)
from dashboard.leaderboard.moves import move, placed
from shared.diagnosis import SELDOM
from shared.imports import IMPORTED_PROGRESS
from shared.outages import Outage
from shared.queries import catalog, deliveries, leaderboard, learner, missing, scoring, team_boards
from shared.queries.missing import Toll
from shared.queries.movement import Board
from shared.queries.people import Who
from shared.queries.ranking import (
    CloseCall,
    LearnerRow,
    Ranking,
    Standings,
    Totals,
)
from shared.queries.scoring import Points
from shared.queries.vendors import vendor_facts
from shared.queries.windows import WEEK, Window, week_begins
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


def only_team(who: Who) -> str | None:
    """The team of a board that is about one."""
    return who.teams[0] if who.teams is not None and len(who.teams) == 1 else None


def _standings(metric: str, board: Board) -> Standings:
    return boards.standings(leaderboard.counting(metric, board))


def _ranking(metric: str, board: Board) -> Ranking:
    return _standings(metric, board).by(metric)


def learner_count(metric: str, board: Board, find: str) -> int:
    """How many learners stand on a board."""
    return _ranking(metric, board).how_many(find)


def learner_board(
    metric: str, board: Board, day: Day, find: str = "", part: Part = WHOLE
) -> pd.DataFrame:
    """key, place, rank, rank_before, move, learner, email, team_id, vendors (how many), gained,
    completed, average, time (hours), weeks (points gained in each of the last eight)."""
    rows = _ranking(metric, board).page(part.limit, part.offset, find)
    people = tuple(row.person for row in rows)
    weeks = boards.weekly(board, tuple(week_begins(*day)), people)
    gains = {row.person: [float(gain) for gain in row.gained] for row in weeks}
    compared = was_any(metric, board)
    shown = [_shown(row, compared=compared) | {"weeks": gains.get(row.person)} for row in rows]
    return framed(shown, _floats)


def whole_board(metric: str, board: Board, find: str) -> pd.DataFrame:
    """The same of all learners on a board, without the weeks."""
    rows = _ranking(metric, board).page(None, find=find)
    compared = was_any(metric, board)
    shown = [_shown(row, compared=compared) for row in rows]
    return framed(shown, lambda frame: _floats(frame).round({"time": 2}))


def was_any(metric: str, board: Board) -> bool:
    """Whether there was anything of a metric in the period before. Where all had nothing they
    shared the first place, and those with nothing now would have lost places."""
    before = getattr(_standings(metric, board).totals(), f"{metric}_before", None)
    return before is None or before > 0


def _shown(row: LearnerRow, *, compared: bool) -> dict[str, Any]:
    """A row as tables have it. Addresses are only for viewers who see full names."""
    hidden = {} if sees_names() else {"name": None, "email": None}
    return (
        vars(row)
        | hidden
        | {
            "learner": known_as(row.name, row.email, row.key),
            "place": placed(row),
            "move": move(row.rank, row.rank_before if compared else None),
            "average": None if row.average is None else rounded(row.average),
            "time": row.time / _unit("time"),
            "vendors": len(set(row.vendors.split(","))),
        }
    )


def _floats(frame: pd.DataFrame) -> pd.DataFrame:
    """Averages are numbers also where there is none."""
    return frame.astype({name: float for name in ("average", "average_before") if name in frame})


def own() -> catalog.Own | None:
    """The viewer, where they are a learner too, known by the verified e-mail address of the
    sign-in."""
    address = access.present().address
    return query(catalog.known_by, address) if address else None


def place_of(metric: str, board: Board, key: str) -> int | None:
    """Where a person stands on a board, from 1."""
    return _ranking(metric, board).place_of(key)


def team_board(metric: str, board: Board) -> pd.DataFrame:
    """place, move, team_id, average (a member), average_before, total, members, moved; time in
    hours."""
    figures = ("average", "average_before", "total")
    rows = [
        row._asdict()
        | {name: _in_unit(getattr(row, name), metric) for name in figures}
        | {"place": placed(row), "move": move(row.rank, row.rank_before)}
        for row in boards.teams(metric, board)
    ]
    return framed(rows, lambda frame: _floats(frame).astype({"total": float}))


def module_board(board: Board) -> pd.DataFrame:
    """place, module_name, people, gained, completed, average, time (hours)."""
    rows = [
        row._asdict()
        | {"place": placed(row), "average": rounded(row.average), "time": row.time / _unit("time")}
        for row in query(leaderboard.modules, board)
    ]
    return framed(rows)


def _in_unit(figure: float | None, metric: str) -> float | None:
    """A figure of a metric as it is shown."""
    if figure is None:
        return None
    return rounded(figure) if metric == "average" else figure / _unit(metric)


class Figures(NamedTuple):
    """active, gained, completed and time (hours) over a board, the same of the period before it
    if there is one, how many people it is about, and the same in each of the last eight weeks."""

    now: dict[str, float]
    before: dict[str, float] | None
    people: int
    weeks: Sequence[Mapping[str, float]]


def figures(board: Board, until: datetime) -> Figures:
    """`until` is the end of the last week: weeks are seven days each, so that none is unfinished
    and the last one does not look like a fall."""
    standings = boards.standings(board)
    row = standings.totals()
    before = _totals(row, "_before") if board.window.before else None
    ends = tuple(until - number * WEEK for number in reversed(range(boards.WEEKS)))
    weeks = [_totals(week) for week in boards.weekly_totals(board, ends)]
    return Figures(_totals(row), before, standings.how_many(), weeks)


def _totals(row: Totals, period: str = "") -> dict[str, float]:
    names = ("active", "gained", "completed", "time")
    return {name: getattr(row, f"{name}{period}") / _unit(name) for name in names}


def _unit(metric: str) -> int:
    """Queries count time in seconds, pages in hours."""
    return 3600 if metric == "time" else 1


class Place(NamedTuple):
    """A learner among the first three: what they have of a metric (time in hours), how many others
    have as much, places won since the period before (None without one), and how far the place
    above is. Of the first by progress gained also the module with the largest share of it."""

    key: str
    learner: str
    team: str | None
    rank: int
    figure: float
    equals: int
    rise: int | None
    behind: float
    module: str | None = None
    share: float = 0


class Call(NamedTuple):
    """A learner who is one module from passing another: `gap` points behind, `left` to gain in the
    module."""

    key: str
    learner: str
    ahead: str
    gap: float
    module: str
    left: float


class Headline(NamedTuple):
    """The answers of the first lines by a metric; None for an answer without data."""

    metric: str
    first: Sequence[Place]
    slipped: team_boards.Slipped | None
    call: Call | None


PODIUM = 3
CALLS = CLIMBERS = STILL = 5


def headline(metric: str, board: Board) -> Headline:
    """Only of the progress gained is it known which module brings a learner past the next one."""
    return query(_headline, metric, board)


def _headline(connection: Connection, metric: str, board: Board) -> Headline:
    call = next(iter(close_calls(board)), None) if metric == "gained" else None
    slipped = team_boards.most_slipped(boards.teams(metric, board))
    return Headline(metric, _first(connection, metric, board), slipped, call)


def _first(connection: Connection, metric: str, board: Board) -> Sequence[Place]:
    """At most three, of those who have anything of the metric."""
    rows = _ranking(metric, board).page(PODIUM)
    having = [row for row in rows if (getattr(row, metric) or 0) > 0]
    return [
        _place(connection, metric, board, row, having[number - 1] if number else None)
        for number, row in enumerate(having)
    ]


def _place(
    connection: Connection, metric: str, board: Board, row: LearnerRow, ahead: LearnerRow | None
) -> Place:
    figure = getattr(row, metric)
    rise = row.rank_before - row.rank if row.rank_before and was_any(metric, board) else None
    found = Place(
        row.key,
        known_as(row.name, row.email, row.key),
        row.team_id,
        row.rank,
        figure / _unit(metric),
        row.equals,
        rise if board.window.before else None,
        (getattr(ahead, metric) - figure) / _unit(metric) if ahead else 0,
    )
    if metric != "gained" or ahead:
        return found
    most = leaderboard.by_module(connection, board, row.person)[0]
    return found._replace(module=most.module_name, share=most.gained)


def _calls(rows: Sequence[CloseCall]) -> list[Call]:
    return [
        Call(
            row.key,
            known_as(row.name, row.email, row.key),
            known_as(row.ahead_name, row.ahead_email, row.ahead_key),
            row.gap,
            row.module_name,
            row.left,
        )
        for row in rows
    ]


def close_calls(board: Board) -> list[Call]:
    """None in a period that is over: nothing can be gained in it."""
    return [] if board.window.until else query(_close_calls, board)


def _close_calls(connection: Connection, board: Board) -> list[Call]:
    unfinished = partial(leaderboard.unfinished, connection, of_module=board.module)
    return _calls(_ranking("gained", board).close_calls(unfinished, CALLS))


class Climber(NamedTuple):
    """A learner who won `rise` places against the period before."""

    key: str
    learner: str
    rise: int
    rank: int


def climbers(metric: str, board: Board) -> list[Climber]:
    return [
        Climber(
            row.key, known_as(row.name, row.email, row.key), row.rank_before - row.rank, row.rank
        )
        for row in _ranking(metric, board).climbers(CLIMBERS)
    ]


class Still(NamedTuple):
    """A learner with earlier progress and none in the period; `before` is what they gained in the
    period before it, None without one."""

    key: str
    learner: str
    before: float | None


def still(metric: str, board: Board) -> tuple[int, list[Still]]:
    """How many learners stand still, and a few of them."""
    rows = _standings(metric, board).still(STILL)
    compared = board.window.before is not None
    few = [
        Still(
            row.key,
            known_as(row.name, row.email, row.key),
            row.gained_before if compared else None,
        )
        for row in rows
    ]
    return (rows[0].people if rows else 0), few


class Lag(NamedTuple):
    """Why standings may lag: events that failed in the window, and outages."""

    missing: Toll
    down: Sequence[Outage]
    many: bool
    """Whether more events are missing than on an ordinary day."""


def _missing(connection: Connection, window: Window) -> tuple[Toll, bool]:
    now = datetime.now(UTC)
    hour = (window.since or FIRST).replace(minute=0, second=0, microsecond=0)
    events = missing.missing(connection, window.since, window.until)
    total = deliveries.totals(connection, hour, None, window.until).all
    facts = vendor_facts(connection)
    toll = missing.toll(events, facts, now)
    attempts = sum(one.attempts for one in events)
    return toll, attempts >= SELDOM * total


def _down(window: Window) -> list[Outage]:
    found = query_now(down_since, window.since or FIRST)
    return [one for one in found if not _after(one, window)]


def _after(outage: Outage, window: Window) -> bool:
    return window.until is not None and outage.begin >= window.until


def lag(window: Window) -> Lag:
    toll, many = query_traffic(_missing, window)
    return Lag(toll, _down(window), many)


class ProgressEvent(NamedTuple):
    """An event of progress, on the viewer's clock; None for what cannot be read from it, and for
    a delivery that was deleted by age; below zero an import brought the event."""

    at: datetime
    vendor: str
    delivery_id: int | None
    module_id: str | None = None
    module: str | None = None
    pct: float | None = None


class Explained(NamedTuple):
    """Why a learner has their rank."""

    learner: str
    near: pd.DataFrame
    """place, learner, the metrics (time in hours), `gap` in the unit of the metric, rank, equals
    and `own`: whether it is their row. Empty if they did not move."""
    modules: pd.DataFrame
    """module_id, module_name, gained, completed, pct_before, pct, time (hours)."""
    events: list[ProgressEvent]
    points: Sequence[Points]
    """How a score comes about; empty for other metrics."""
    call: Call | None


def explained(metric: str, board: Board, key: str, zone: str) -> Explained | None:
    """About the person with this account, `vendor/user_id`; None if the board is not about them."""
    return query(_explained, metric, board, key, zone)


def _explained(
    connection: Connection, metric: str, board: Board, key: str, zone: str
) -> Explained | None:
    vendor, _, user_id = key.partition("/")
    person = learner.person_at(connection, vendor, user_id)
    profile = person and learner.profile(connection, person, board.who)
    if not person or not profile:
        return None
    calls = () if board.window.until else leaderboard.close_calls(connection, board, person)
    return Explained(
        known_as(profile.name, profile.email, profile.key),
        _near(connection, metric, board, person),
        _modules(connection, board, person),
        _events(connection, board, person, zone),
        _points(connection, metric, board, person),
        next(iter(_calls(calls)), None),
    )


def _near(connection: Connection, metric: str, board: Board, person: str) -> pd.DataFrame:
    rows = [
        _shown(row, compared=was_any(metric, board))
        | {"gap": row.gap / _unit(metric), "own": row.person == person}
        for row in leaderboard.neighbours(connection, metric, board, person)
    ]
    return framed(rows)


def _modules(connection: Connection, board: Board, person: str) -> pd.DataFrame:
    rows = leaderboard.by_module(connection, board, person)
    return framed(
        rows,
        lambda frame: columns(frame, "pct", "pct_before").assign(
            time=frame["time"] / _unit("time")
        ),
    )


def _events(connection: Connection, board: Board, person: str, zone: str) -> list[ProgressEvent]:
    window = board.window
    facts = vendor_facts(connection)
    types = {one.progress.event_type for one in facts.values() if one.progress}
    rows = learner.events(connection, person, window.since, window.until, types)
    found = [_progress_event(row, facts.get(row.vendor), zone) for row in rows]
    asked = [one for one in found if board.module in (None, (one.vendor, one.module_id))]
    return asked[:EVENTS_SHOWN]


def _progress_event(row: learner.EventRow, vendor: VendorFacts | None, zone: str) -> ProgressEvent:
    """What an event says of a module; a vendor's body may hold anything."""
    at = row.occurred_at.astimezone(ZoneInfo(zone))
    fields = vendor and vendor.progress
    if row.delivery_id is not None and row.delivery_id < 0:
        fields = IMPORTED_PROGRESS
    said = fields and fields.read(row.payload)
    return ProgressEvent(at, row.vendor, row.delivery_id, *(said or ()))


def _points(connection: Connection, metric: str, board: Board, person: str) -> Sequence[Points]:
    if metric != "score":
        return ()
    vendor, module_id = board.who.vendor, board.module
    return scoring.points(connection, board.rules, board.window, person, vendor, module_id)


def by_score(board: Board) -> Board:
    """The board by the rules of the company."""
    now = settings()
    rules = query(scoring.rules, now.coaching_threshold_pct, now.coaching_rule)
    return board._replace(rules=rules)
