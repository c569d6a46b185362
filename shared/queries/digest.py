"""The digest of a week or a month: the board with its movement, who passed, and who to coach."""

from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from typing import NamedTuple
from urllib.parse import quote
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from shared.naming import Naming
from shared.queries import coaching, leaderboard, movement
from shared.queries.causes import said
from shared.queries.certifications import totals
from shared.queries.people import Who
from shared.queries.quiz_standings import Filters
from shared.queries.ranking import LearnerRow
from shared.queries.wall import passed
from shared.queries.windows import Calendar, Days, days_of, window_of
from shared.settings import Settings
from shared.wording import number_of

PLACES, NAMES = 5, 3
SHOWN_PASSED = 200
LAST = {"week": "last_week", "month": "last_month"}
METRIC = "gained"
BAR, LONGEST_BAR = "▇", 12


class Place(NamedTuple):
    """A place of a board: what a person gained, and their rank in the period before; None if they
    were not on the board."""

    rank: int
    name: str
    points: float
    before: int | None


class Board(NamedTuple):
    """The first places of a week or month, as a picture shows them. `about` says the same in a
    sentence."""

    title: str
    period: str
    places: Sequence[Place]
    about: str


class Digest(NamedTuple):
    """A digest as text: the answer in one sentence, and its lines. `link` is the board. Of a period
    with a board, `board` is what the first lines of `lines` say."""

    title: str
    lines: Sequence[str]
    link: str
    board: Board | None


def digest(
    connection: Connection,
    period: str,
    who: Who,
    at: datetime,
    zone: str,
    settings: Settings,
    naming: Naming,
) -> Digest:
    """The digest of the week or month before `at`, for people of `who`."""
    calendar = Calendar.of(settings.week_begins, settings.fiscal_year_begins)
    window = window_of(LAST[period], at, zone, calendar)
    over = movement.Board(who, window)
    rows = leaderboard.learners(connection, METRIC, over, PLACES)
    places = [_place(row, naming) for row in rows if row.gained > 0]
    lines = [
        *(_line(place, places[0].points) for place in places),
        *_risen(connection, over, naming),
        *_passed(connection, who, at, over, naming),
        *_to_coach(connection, who, at, settings, naming),
        *_certificates(connection, who, at),
    ]
    team = f"&team={quote(who.teams[0], safe='')}" if who.teams and len(who.teams) == 1 else ""
    link = f"/leaderboard?window={LAST[period]}&metric={METRIC}{team}"
    days = days_of(LAST[period], at.astimezone(ZoneInfo(zone)).date(), calendar)
    board = _board(places, period, days) if places else None
    return Digest(_title(places, period), lines or ["Nothing to report."], link, board)


def _title(places: Sequence[Place], period: str) -> str:
    if not places:
        return f"No progress last {period}"
    return f"{places[0].name} led last {period} with {places[0].points:,.0f} points"


def _board(places: Sequence[Place], period: str, days: Days) -> Board:
    others = ", ".join(f"{one.name} {one.points:,.0f}" for one in places[1:])
    about = _title(places, period) + (f", then {others}." if others else ".")
    words = f"{days.first:%-d %b} – {days.last:%-d %b %Y}"
    return Board(f"Points gained last {period}", words, places, about)


def _place(row: LearnerRow, naming: Naming) -> Place:
    name = said(naming.known_as(row.name, row.email, row.key))
    return Place(row.rank, name, row.gained, row.rank_before)


def _line(place: Place, most: float) -> str:
    """With a bar after the words, as its length is not the same in each font."""
    bar = BAR * max(1, round(place.points / most * LONGEST_BAR))
    return f"{place.rank}. {place.name}: {place.points:,.0f} points{_moved(place)} {bar}"


def _moved(place: Place) -> str:
    if place.before is None:
        return ", new on the board"
    rise = place.before - place.rank
    return f", {'up' if rise > 0 else 'down'} {abs(rise)}" if rise else ""


def _risen(connection: Connection, board: movement.Board, naming: Naming) -> Iterator[str]:
    rows = leaderboard.climbers(connection, METRIC, board, NAMES)
    if rows:
        names = (said(naming.known_as(row.name, row.email, row.key)) for row in rows)
        yield f"Rose most: {', '.join(names)}."


def _passed(
    connection: Connection, who: Who, at: datetime, board: movement.Board, naming: Naming
) -> Iterator[str]:
    rows = passed(connection, who, board.window, at, SHOWN_PASSED)
    if rows:
        some = (
            f"{said(naming.known_as(row.name, row.email, row.key))} ({said(row.what)})"
            for row in rows[:NAMES]
        )
        more = f" and {len(rows) - NAMES} more" if len(rows) > NAMES else ""
        yield f"Congratulate: {', '.join(some)}{more}."


def _to_coach(
    connection: Connection, who: Who, at: datetime, settings: Settings, naming: Naming
) -> Iterator[str]:
    today = _day(at)
    filters = Filters(
        who,
        default_pct=settings.coaching_threshold_pct,
        rule=settings.coaching_rule,
        today=today,
    )
    found = coaching.counts(connection, filters, at - timedelta(days=7), today)
    if found.new:
        rows = coaching.items(connection, filters, "new", NAMES)
        some = (
            f"{said(naming.known_as(row.name, row.email, row.key))} ({said(row.quiz_name)})"
            for row in rows
        )
        verb = "needs" if found.people == 1 else "need"
        yield f"{number_of(found.people, 'learner')} {verb} coaching: {', '.join(some)}."
    if found.overdue:
        yield f"{number_of(found.overdue, 'case')} of coaching overdue."


def _certificates(connection: Connection, who: Who, at: datetime) -> Iterator[str]:
    found = totals(connection, who, at)
    if found.overdue or found.due_soon:
        yield (
            f"Certificates: {found.overdue} past the deadline for renewal, {found.due_soon} due "
            "within 30 days."
        )


def _day(at: datetime) -> date:
    return at.date()
