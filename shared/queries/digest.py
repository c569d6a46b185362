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
from shared.wording import number_of, rewritten

PLACES, NAMES = 5, 3
SHOWN_PASSED = 200
LAST = {"week": "last_week", "month": "last_month"}
METRIC = "gained"
BAR, LONGEST_BAR = "▇", 12


class Asked(NamedTuple):
    """What is asked for: the digest of the week or month before `at`, for people of `who`, named in
    this way. `zone` is that of days, `numbers` how numbers are written."""

    period: str
    who: Who
    at: datetime
    zone: str
    naming: Naming
    numbers: str = "comma"

    @property
    def day(self) -> date:
        return self.at.astimezone(ZoneInfo(self.zone)).date()

    def name(self, name: str | None, email: str | None, key: str) -> str:
        return said(self.naming.known_as(name, email, key))

    def number(self, count: int, noun: str) -> str:
        return rewritten(number_of(count, noun), self.numbers)


class Place(NamedTuple):
    """A place of a board: what a person gained, also in words, and their rank in the period before;
    None if they were not on the board."""

    rank: int
    name: str
    points: float
    gained: str
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


def digest(connection: Connection, asked: Asked, settings: Settings) -> Digest:
    """The digest that is asked for."""
    calendar = Calendar.of(settings.week_begins, settings.fiscal_year_begins)
    name, who = LAST[asked.period], asked.who
    board = movement.Board(who, window_of(name, asked.at, asked.zone, calendar))
    rows = leaderboard.learners(connection, METRIC, board, PLACES)
    places = [_place(row, asked) for row in rows if row.gained > 0]
    days = days_of(name, asked.day, calendar)
    lines = [
        f"{_span(days)}, {_of_teams(who)}:",
        *(_line(place, places[0].points) for place in places),
        *_risen(connection, asked, board),
        *_passed(connection, asked, board),
        *_to_coach(connection, asked, settings),
        *_certificates(connection, asked),
    ]
    team = f"&team={quote(who.teams[0], safe='')}" if who.teams and len(who.teams) == 1 else ""
    link = f"/leaderboard?window={name}&metric={METRIC}{team}"
    drawn = _board(places, asked.period, days) if places else None
    said_so = lines if len(lines) > 1 else [*lines, "Nothing to report."]
    return Digest(_title(places, asked.period), said_so, link, drawn)


def _span(days: Days) -> str:
    return f"{days.first:%-d %b} – {days.last:%-d %b %Y}"


def _of_teams(who: Who) -> str:
    """So that who gets it from another does not take it for the board of all."""
    if who.teams is None:
        return "all teams"
    if not who.teams:
        return "no team"
    some = [said(team) for team in who.teams[:NAMES]]
    return f"{'team' if len(who.teams) == 1 else 'teams'} {_listed(some, len(who.teams))}"


def _title(places: Sequence[Place], period: str) -> str:
    if not places:
        return f"No progress last {period}"
    return f"{places[0].name} led last {period} with {places[0].gained} points"


def _board(places: Sequence[Place], period: str, days: Days) -> Board:
    others = ", ".join(f"{one.name} {one.gained}" for one in places[1:])
    about = _title(places, period) + (f", then {others}." if others else ".")
    return Board(f"Points gained last {period}", _span(days), places, about)


def _place(row: LearnerRow, asked: Asked) -> Place:
    name = asked.name(row.name, row.email, row.key)
    gained = rewritten(f"{row.gained:,.0f}", asked.numbers)
    return Place(row.rank, name, row.gained, gained, row.rank_before)


def _line(place: Place, most: float) -> str:
    """With a bar after the words, as its length is not the same in each font."""
    bar = BAR * max(1, round(place.points / most * LONGEST_BAR))
    return f"{place.rank}. {place.name}: {place.gained} points{_moved(place)} {bar}"


def _moved(place: Place) -> str:
    if place.before is None:
        return ", new on the board"
    rise = place.before - place.rank
    return f", {'up' if rise > 0 else 'down'} {abs(rise)}" if rise else ""


def _risen(connection: Connection, asked: Asked, board: movement.Board) -> Iterator[str]:
    rows = leaderboard.climbers(connection, METRIC, board, NAMES)
    if rows:
        names = (asked.name(row.name, row.email, row.key) for row in rows)
        yield f"Rose most: {', '.join(names)}."


def _passed(connection: Connection, asked: Asked, board: movement.Board) -> Iterator[str]:
    rows = passed(connection, asked.who, board.window, asked.at, SHOWN_PASSED)
    if rows:
        some = [
            f"{asked.name(row.name, row.email, row.key)} ({said(row.what)})" for row in rows[:NAMES]
        ]
        yield f"Congratulate: {_listed(some, len(rows))}."


def _to_coach(connection: Connection, asked: Asked, settings: Settings) -> Iterator[str]:
    filters = Filters(
        asked.who,
        default_pct=settings.coaching_threshold_pct,
        rule=settings.coaching_rule,
        today=asked.day,
    )
    found = coaching.counts(connection, filters, asked.at - timedelta(days=7), asked.day)
    if found.new:
        rows = coaching.items(connection, filters, "new", NAMES)
        some = [
            f"{asked.name(row.name, row.email, row.key)} ({said(row.quiz_name)})" for row in rows
        ]
        verb = "needs" if found.people == 1 else "need"
        who = asked.number(found.people, "learner")
        yield f"{who} {verb} coaching: {_listed(some, found.new)}."
    if found.overdue:
        yield f"{asked.number(found.overdue, 'case')} of coaching overdue."


def _listed(some: Sequence[str], count: int) -> str:
    more = f" and {count - len(some)} more" if count > len(some) else ""
    return ", ".join(some) + more


def _certificates(connection: Connection, asked: Asked) -> Iterator[str]:
    found = totals(connection, asked.who, asked.at)
    if found.overdue or found.due_soon:
        yield (
            f"Certificates: {found.overdue} past the deadline for renewal, {found.due_soon} due "
            "within 30 days."
        )
