"""The digest of a week or a month: the board with its movement, who passed, and who to coach."""

from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from typing import NamedTuple

from sqlalchemy import Connection

from shared.naming import Naming
from shared.queries import coaching, leaderboard
from shared.queries.causes import said
from shared.queries.certifications import totals
from shared.queries.movement import Board
from shared.queries.people import Who
from shared.queries.quiz_standings import Filters
from shared.queries.ranking import LearnerRow
from shared.queries.wall import passed
from shared.queries.windows import Calendar, window_of
from shared.settings import Settings
from shared.wording import number_of

PLACES, NAMES = 5, 3
SHOWN_PASSED = 200
LAST = {"week": "last_week", "month": "last_month"}
METRIC = "gained"
BAR, LONGEST_BAR = "▇", 12


class Digest(NamedTuple):
    """A digest as text: the answer in one sentence, and its lines. `link` is the board."""

    title: str
    lines: Sequence[str]
    link: str


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
    board = Board(who, window)
    rows = leaderboard.learners(connection, METRIC, board, PLACES)
    rows = [row for row in rows if row.gained > 0]
    lines = [
        *(_place(row, rows[0].gained, naming) for row in rows),
        *_risen(connection, board, naming),
        *_passed(connection, who, at, board, naming),
        *_to_coach(connection, who, at, settings, naming),
        *_certificates(connection, who, at),
    ]
    team = f"&team={who.teams[0]}" if who.teams and len(who.teams) == 1 else ""
    link = f"/leaderboard?window={LAST[period]}&metric={METRIC}{team}"
    return Digest(_title(rows, naming, period), lines or ["Nothing to report."], link)


def _title(rows: Sequence[LearnerRow], naming: Naming, period: str) -> str:
    if not rows:
        return f"No progress last {period}"
    return f"{_name(rows[0], naming)} led last {period} with {rows[0].gained:,.0f} points"


def _name(row: LearnerRow, naming: Naming) -> str:
    return said(naming.known_as(row.name, row.email, row.key))


def _place(row: LearnerRow, most: float, naming: Naming) -> str:
    """With a bar after the words, as its length is not the same in each font."""
    bar = BAR * max(1, round(row.gained / most * LONGEST_BAR))
    return f"{row.rank}. {_name(row, naming)}: {row.gained:,.0f} points{_moved(row)} {bar}"


def _moved(row: LearnerRow) -> str:
    if row.rank_before is None:
        return ", new on the board"
    rise = row.rank_before - row.rank
    return f", {'up' if rise > 0 else 'down'} {abs(rise)}" if rise else ""


def _risen(connection: Connection, board: Board, naming: Naming) -> Iterator[str]:
    rows = leaderboard.climbers(connection, METRIC, board, NAMES)
    if rows:
        names = (said(naming.known_as(row.name, row.email, row.key)) for row in rows)
        yield f"Rose most: {', '.join(names)}."


def _passed(
    connection: Connection, who: Who, at: datetime, board: Board, naming: Naming
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
