"""Contests: what a valid one is, how one is made and removed, and when its result is stored.

A result is stored once, GRACE after the end, and never changes: the vendors' retries of the last
hours arrive until then. What arrives later is shown apart (`shared.queries.contests.late`).
"""

from collections.abc import Collection, Mapping
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import NamedTuple, Protocol
from zoneinfo import ZoneInfo, available_timezones

from sqlalchemy import Connection, func, insert, select, update

from shared.audit import note
from shared.bulk import table_of
from shared.models import Checkpoint, Contest, ContestResult, ContestTeam, Learner
from shared.queries import contests as read
from shared.queries.leaderboard import METRICS as ALL_METRICS
from shared.queries.windows import Window, midnight

GRACE = timedelta(hours=8)
"""MindTickle's last retry comes 7 h 20 min after the first attempt."""
LONGEST_NAME = 80
LONGEST_DAYS = 366
FARTHEST = timedelta(days=366)
BOARDS = ("learners", "teams")
METRICS = tuple(metric for metric in ALL_METRICS if metric != "score")
"""Not the score: an admin can change its weights while a contest runs."""
DAY = timedelta(days=1)

contest = table_of(Contest)
learner = table_of(Learner).c


class Draft(NamedTuple):
    """A contest as a form gives it. `teams` None is all teams."""

    name: str
    first_day: date
    last_day: date
    zone: str
    metric: str = "gained"
    board: str = "learners"
    teams: tuple[str, ...] | None = None
    hidden: bool = False


class Status(StrEnum):
    """Where a contest stands. `ENDED` waits for late deliveries; `FINAL` has a stored result."""

    COMING = "coming"
    RUNNING = "running"
    ENDED = "ended"
    FINAL = "final"


class Dates(Protocol):
    """The dates of a contest."""

    @property
    def first_day(self) -> date: ...
    @property
    def last_day(self) -> date: ...
    @property
    def zone(self) -> str: ...
    @property
    def stored_at(self) -> datetime | None: ...


def problems(draft: Draft, today: date, known_teams: Collection[str]) -> Mapping[str, str]:
    """What is wrong with a draft, by field; nothing if it is valid. `today` is the day in its
    zone."""
    found = {
        "name": _of_name(draft.name),
        "first_day": "The start is more than a year from now."
        if draft.first_day > today + FARTHEST
        else None,
        "last_day": _of_end(draft, today),
        "zone": None if draft.zone in available_timezones() else "Unknown time zone.",
        "metric": None if draft.metric in METRICS else "Unknown metric.",
        "board": None if draft.board in BOARDS else "Unknown board.",
        "teams": _of_teams(draft, known_teams),
    }
    return {field: words for field, words in found.items() if words}


def _of_name(name: str) -> str | None:
    if not any(sign.isprintable() and not sign.isspace() for sign in name):
        return "Enter a name."
    if len(name.strip()) > LONGEST_NAME:
        return f"The name has more than {LONGEST_NAME} characters."
    return None


def _of_end(draft: Draft, today: date) -> str | None:
    if draft.last_day < draft.first_day:
        return "The end is before the start."
    if draft.last_day < today:
        return "The end is in the past. The Leaderboard shows past periods."
    if (draft.last_day - draft.first_day).days >= LONGEST_DAYS:
        return f"The contest is longer than {LONGEST_DAYS} days."
    return None


def _of_teams(draft: Draft, known: Collection[str]) -> str | None:
    if draft.teams is None:
        return None
    if not draft.teams:
        return "Choose at least one team."
    if unknown := [team for team in draft.teams if team not in known]:
        return f"Unknown team, or not one of yours: {', '.join(unknown)}."
    if draft.board == "teams" and len(set(draft.teams)) == 1:
        return "A contest of teams needs two or more teams."
    return None


def create(
    connection: Connection,
    actor: str,
    draft: Draft,
    now: datetime,
    allowed: tuple[str, ...] | None,
) -> int | Mapping[str, str]:
    """Make a contest, with an entry in the audit log: its id, or what is wrong, by field.
    `allowed` are the teams that the actor may choose; None is all."""
    if draft.teams is None and allowed is not None:
        draft = draft._replace(teams=allowed)
    zone = ZoneInfo(draft.zone) if draft.zone in available_timezones() else UTC
    today = now.astimezone(zone).date()
    if wrong := problems(draft, today, _known(connection, draft.teams or (), allowed)):
        return wrong
    name = draft.name.strip()
    values = draft._asdict() | {"name": name, "all_teams": draft.teams is None,
                                "created_at": now, "created_by": actor}  # fmt: skip
    del values["teams"]
    statement = insert(contest).values(values).returning(contest.c.id)
    contest_id: int = connection.execute(statement).scalar_one()
    if draft.teams:
        rows = [{"contest_id": contest_id, "team_id": team} for team in sorted(set(draft.teams))]
        connection.execute(insert(table_of(ContestTeam)), rows)
    detail = f"{name}, {draft.first_day:%-d %b %Y} to {draft.last_day:%-d %b %Y}"
    note(connection, actor, "create contest", f"contest {contest_id}", detail)
    return contest_id


def _known(
    connection: Connection, wanted: Collection[str], allowed: tuple[str, ...] | None
) -> Collection[str]:
    query = select(learner.team_id).distinct().where(learner.team_id.in_(wanted))
    if allowed is not None:
        query = query.where(learner.team_id.in_(allowed))
    return set(connection.scalars(query))


def remove(connection: Connection, actor: str, contest_id: int, *, of_all: bool) -> bool:
    """Remove a contest from the pages, with an entry in the audit log. False unless the actor made
    it, or may remove those of all."""
    mine = () if of_all else (contest.c.created_by == actor,)
    statement = (
        update(contest)
        .where(contest.c.id == contest_id, contest.c.removed_at.is_(None), *mine)
        .values(removed_at=datetime.now(UTC))
        .returning(contest.c.name)
    )
    name = connection.scalar(statement)
    if name is not None:
        note(connection, actor, "remove contest", f"contest {contest_id}", name)
    return name is not None


def begins(dates: Dates) -> datetime:
    """The begin of a contest: midnight in its zone, in UTC."""
    return midnight(dates.first_day, dates.zone)


def ends(dates: Dates) -> datetime:
    """The end of a contest: the midnight after its last day in its zone, in UTC."""
    return midnight(dates.last_day + DAY, dates.zone)


def window(dates: Dates) -> Window:
    """The whole days of a contest in its zone."""
    return Window(begins(dates), ends(dates))


def stored_from(dates: Dates) -> datetime:
    """When the result of a contest can be stored."""
    return ends(dates) + GRACE


def status(dates: Dates, now: datetime) -> Status:
    """Where a contest stands at a moment."""
    if dates.stored_at is not None:
        return Status.FINAL
    if now < begins(dates):
        return Status.COMING
    return Status.RUNNING if now < ends(dates) else Status.ENDED


def due(connection: Connection, now: datetime) -> list[int]:
    """The contests whose result can be stored. `now` is the moment up to which the read models have
    all events (`shared.queries.follower.followed_to`)."""
    rows = read.without_result(connection, (now - GRACE).date() + DAY)
    return [row.id for row in rows if stored_from(row) <= now]


def store_result(connection: Connection, contest_id: int, now: datetime) -> bool:
    """Store the result of a contest that is due, as its board is now. False if it is stored
    already: the result of the first to do so stays."""
    followed = select(func.coalesce(func.max(table_of(Checkpoint).c.event_id), 0))
    claim = (
        update(contest)
        .where(contest.c.id == contest_id, contest.c.stored_at.is_(None))
        .values(stored_at=now, stored_event=followed.scalar_subquery())
    )
    if connection.execute(claim).rowcount == 0:
        return False
    row = read.contest_of(connection, contest_id, None)
    if row is None:
        return False
    places = read.board_of(connection, row, window(row))
    if places:
        rows = [{"contest_id": contest_id} | place.stored() for place in places]
        connection.execute(insert(table_of(ContestResult)), rows)
    detail = f"{row.name}: result stored, {len(places):,} places"
    note(connection, "dashboard", "store result", f"contest {contest_id}", detail)
    return True
