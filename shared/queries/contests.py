"""Contests, their boards, their stored results, and what arrived too late for these."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, and_, func, or_, select, true

from shared.bulk import table_of
from shared.models import Contest, ContestResult, ContestTeam, Event, Learner, TeamSpell
from shared.queries import leaderboard, row_of, rows_of
from shared.queries.groups import too_small
from shared.queries.movement import Board
from shared.queries.people import Who, people, same_account
from shared.queries.team_boards import teams as team_board
from shared.queries.windows import Window

MOST_PLACES = 10_000
"""Of a board and of a stored result."""
BATCH = 500

contest = table_of(Contest).c
team = table_of(ContestTeam).c
result = table_of(ContestResult).c
learner = table_of(Learner).c
event = table_of(Event).c


class ContestRow(NamedTuple):
    """A contest; `stored_event` is the newest event in a stored result."""

    id: int
    name: str
    board: str
    metric: str
    first_day: date
    last_day: date
    zone: str
    all_teams: bool
    hidden: bool
    created_by: str
    stored_at: datetime | None
    stored_event: int | None


@dataclass(frozen=True)
class Place:
    """A row of a board: a learner, or a team with its `members`. `key` is vendor and user id, None
    for a team and for a learner who was erased. Without `value`, the team is too small to show."""

    place: int | None
    rank: int | None
    value: float | None
    team_id: str | None
    key: str | None = None
    person: str | None = None
    name: str | None = None
    email: str | None = None
    members: int | None = None
    left_at: datetime | None = None

    def stored(self) -> dict[str, Any]:
        """The columns of `contest_result`."""
        vendor, _, user_id = (self.key or "").partition("/")
        same = {name: getattr(self, name) for name in ("place", "rank", "value", "team_id")}
        return same | {"vendor": vendor or None, "user_id": user_id or None,
                       "members": self.members}  # fmt: skip


class Late(NamedTuple):
    """A learner or a team with events that arrived after the result was stored: the value in the
    result, and what it would be with them."""

    team_id: str | None
    key: str | None
    name: str | None
    email: str | None
    events: int
    value: float
    value_now: float


COLUMNS = [contest[name] for name in ContestRow._fields]


def contests(connection: Connection, teams: tuple[str, ...] | None) -> Sequence[ContestRow]:
    """The contests that a viewer of these teams may see (None: of all), the latest end first."""
    query = select(*COLUMNS).where(contest.removed_at.is_(None), _seen_by(teams))
    ordered = query.order_by(contest.last_day.desc(), contest.id.desc())
    return rows_of(ContestRow, connection.execute(ordered.limit(BATCH)))


def contest_of(
    connection: Connection, contest_id: int, teams: tuple[str, ...] | None
) -> ContestRow | None:
    """One of these contests."""
    query = select(*COLUMNS).where(contest.removed_at.is_(None), _seen_by(teams))
    return row_of(ContestRow, connection.execute(query.where(contest.id == contest_id)))


def without_result(connection: Connection, ended_before: date) -> Sequence[ContestRow]:
    """The contests without a stored result that end before a day."""
    query = select(*COLUMNS).where(
        contest.removed_at.is_(None),
        contest.stored_at.is_(None),
        contest.last_day < ended_before,
    )
    return rows_of(ContestRow, connection.execute(query))


def teams_of(connection: Connection, row: ContestRow) -> tuple[str, ...] | None:
    """The teams of a contest; None for all."""
    query = select(team.team_id).where(team.contest_id == row.id).order_by(team.team_id)
    return None if row.all_teams else tuple(connection.scalars(query))


def _seen_by(teams: tuple[str, ...] | None) -> ColumnElement[bool]:
    if teams is None:
        return true()
    theirs = select(team.contest_id).where(team.contest_id == contest.id, team.team_id.in_(teams))
    return or_(contest.all_teams, theirs.exists())


def board_of(
    connection: Connection, row: ContestRow, window: Window, smallest: int = 1
) -> Sequence[Place]:
    """The board of a contest as it is now, for all its teams. Teams of fewer members than
    `smallest` have no figures."""
    board = Board(Who(teams_of(connection, row)), window)
    if row.board == "teams":
        return _teams(connection, row.metric, board, smallest)
    return _learners(connection, row.metric, board)


def _learners(connection: Connection, metric: str, board: Board) -> Sequence[Place]:
    rows = leaderboard.learners(connection, metric, board, MOST_PLACES)
    return [
        Place(place, one.rank, float(getattr(one, metric)), one.team_id, one.key, one.person,
              one.name, one.email, left_at=one.left_at)
        for place, one in enumerate(rows, start=1)
    ]  # fmt: skip


def _teams(connection: Connection, metric: str, board: Board, smallest: int) -> Sequence[Place]:
    rows = team_board(connection, metric, board, smallest)
    return [
        Place(place, one.rank, None if one.average is None else float(one.average), one.team_id,
              members=one.members)
        for place, one in enumerate(rows, start=1)
    ]  # fmt: skip


def stored_result(connection: Connection, row: ContestRow, smallest: int = 1) -> Sequence[Place]:
    """The stored result of a contest. Learners have the name that they have today."""
    if row.board == "teams":
        return _stored_teams(connection, row, smallest)
    return rows_of(Place, connection.execute(_stored_learners(row)))


def _stored_teams(connection: Connection, row: ContestRow, smallest: int) -> Sequence[Place]:
    columns = (result.place, result.rank, result.value, result.team_id, result.members)
    query = select(*columns).where(result.contest_id == row.id).order_by(result.place)
    every = rows_of(Place, connection.execute(query))
    members = {one.team_id: one.members or 0 for one in every if one.team_id}
    # By name: in the order of their places they would say which did better.
    hidden = sorted(too_small(members, smallest))
    return [one for one in every if one.team_id not in hidden] + [
        Place(None, None, None, team_id, members=members[team_id]) for team_id in hidden
    ]


def _stored_learners(row: ContestRow) -> Any:
    everyone = people(Who(leavers=True)).subquery()
    person = everyone.c
    key = result.vendor + "/" + result.user_id
    account = and_(learner.vendor == result.vendor, learner.user_id == result.user_id)
    return (
        select(result.place, result.rank, result.value, result.team_id, key.label("key"),
               person.person, person.name, person.email)
        .join_from(table_of(ContestResult), table_of(Learner), account, isouter=True)
        .join(everyone, person.person == learner.person, isouter=True)
        .where(result.contest_id == row.id)
        .order_by(result.place)
    )  # fmt: skip


def of_teams(places: Sequence[Place], teams: tuple[str, ...] | None) -> Sequence[Place]:
    """The rows that a viewer of these teams may see, with the ranks among all."""
    return [one for one in places if teams is None or one.team_id in teams]


def late(
    connection: Connection,
    row: ContestRow,
    window: Window,
    teams: tuple[str, ...] | None,
    smallest: int = 1,
) -> Sequence[Late]:
    """What arrived after the result was stored, of the teams that a viewer may see. A change that
    no late event explains, as of a learner who moved to another team, is none."""
    if row.board == "teams":
        return _late_teams(connection, row, window, teams, smallest)
    then = {one.person: one for one in stored_result(connection, row) if one.person}
    of_contest = teams_of(connection, row)
    everyone = _learners(connection, row.metric, Board(Who(leavers=True), window))
    now = {
        one.person: one
        for one in everyone
        if one.person in then or (_was_there(row, one) and _is_of(of_contest, one))
    }
    changed = {
        person: one
        for person, one in now.items()
        if person and (person not in then or then[person].value != one.value)
    }
    counts = _late_events(connection, row, window, changed)
    found = [
        Late(one.team_id, one.key, one.name, one.email, counts[person],
             (then[person].value if person in then else None) or 0.0, one.value or 0.0)
        for person, one in changed.items()
        if person in counts
    ]  # fmt: skip
    return [one for one in found if teams is None or one.team_id in teams]


def _was_there(row: ContestRow, one: Place) -> bool:
    """Whether a learner had not left when the result was stored: who had is on no board of it."""
    return one.left_at is None or row.stored_at is None or one.left_at > row.stored_at


def _is_of(of_contest: Collection[str] | None, one: Place) -> bool:
    return of_contest is None or one.team_id in of_contest


def _late_teams(
    connection: Connection,
    row: ContestRow,
    window: Window,
    teams: tuple[str, ...] | None,
    smallest: int,
) -> Sequence[Late]:
    then = {one.team_id: one.value for one in stored_result(connection, row, smallest)}
    counts = _late_events_of_teams(connection, row, window)
    found = []
    for one in of_teams(board_of(connection, row, window, smallest), teams):
        value = then.get(one.team_id, 0.0)
        if one.team_id is None or value is None or one.value is None or value == one.value:
            continue
        if events := counts.get(one.team_id):
            found.append(Late(one.team_id, None, None, None, events, value, one.value))
    return found


def _late_events_of_teams(
    connection: Connection, row: ContestRow, window: Window
) -> Mapping[str, int]:
    """The same by team: an event is of the team in which the learner was at its time, as on the
    boards."""
    spell = table_of(TeamSpell)
    query = (
        select(spell.c.team_id, func.count(event.id.distinct()).label("events"))
        .join_from(table_of(Event), table_of(Learner), same_account(event, learner))
        .join(spell, spell.c.person == learner.person)
        .where(event.id > (row.stored_event or 0))
        .where(event.occurred_at >= window.since, event.occurred_at < window.until)
        .where(event.occurred_at >= spell.c.credited_from, event.occurred_at < spell.c.ended_at)
        .group_by(spell.c.team_id)
    )
    return {one.team_id: one.events for one in connection.execute(query)}


def _late_events(
    connection: Connection, row: ContestRow, window: Window, persons: Collection[str]
) -> Mapping[str, int]:
    """How many events of the window arrived after the result was stored, by person."""
    counts: dict[str, int] = {}
    for start in range(0, len(persons), BATCH):
        some = list(persons)[start : start + BATCH]
        query = (
            select(learner.person, func.count().label("events"))
            .join_from(table_of(Learner), table_of(Event), same_account(event, learner))
            .where(learner.person.in_(some), event.id > (row.stored_event or 0))
            .where(event.occurred_at >= window.since, event.occurred_at < window.until)
            .group_by(learner.person)
        )
        counts |= {one.person: one.events for one in connection.execute(query)}
    return counts
