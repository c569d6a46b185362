"""What the page of contests shows, and how one is made and removed."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta

import pandas as pd
from sqlalchemy import Connection

from dashboard import access
from dashboard.base import filters
from dashboard.base.people import smallest_group, with_people
from dashboard.base.store import actor, framed, query, write
from shared import contests
from shared.contests import Draft, Status
from shared.queries import contests as queries
from shared.queries.contests import ContestRow
from shared.queries.people import Who
from shared.queries.windows import WEEK, Days

__all__ = ["ContestRow", "Draft", "Status"]

Teams = tuple[str, ...] | None
ERASED = "Erased learner"


def viewer_teams() -> Teams:
    """The teams that the viewer is limited to; None is all."""
    return access.who(Who()).teams


def contests_of(teams: Teams) -> Sequence[ContestRow]:
    """The contests that a viewer of these teams may see, the latest end first."""
    return query(queries.contests, teams)


def teams_of(row: ContestRow, teams: Teams) -> Teams:
    """The teams of a contest that a viewer of these teams may see; None for all."""
    found = query(queries.teams_of, row)
    return found if found is None or teams is None else tuple(t for t in found if t in teams)


def status(row: ContestRow) -> Status:
    """Where a contest stands now."""
    return contests.status(row, datetime.now(UTC))


def shows_places(row: ContestRow) -> bool:
    """Whether the places may be shown: a hidden contest shows none before its result is stored."""
    now = status(row)
    return now is Status.FINAL or (now is not Status.COMING and not row.hidden)


def places(row: ContestRow, teams: Teams) -> pd.DataFrame:
    """rank, value, team_id, key, learner, members: the result, or the board as it is now, of the
    teams that the viewer may see. Ranks are those among all."""
    found = query(_places, row, smallest_group()) if shows_places(row) else ()
    return framed(queries.of_teams(found, teams), _named)


def _places(connection: Connection, row: ContestRow, smallest: int) -> Sequence[queries.Place]:
    if status(row) is Status.FINAL:
        return queries.stored_result(connection, row, smallest)
    return queries.board_of(connection, row, contests.window(row), smallest)


def late(row: ContestRow, teams: Teams) -> pd.DataFrame:
    """team_id, key, learner, events, value, value_now: what arrived after the result was stored."""
    return framed(query(queries.late, row, contests.window(row), teams, smallest_group()), _named)


def _named(frame: pd.DataFrame) -> pd.DataFrame:
    known = with_people(frame.assign(key=frame["key"].fillna("")))
    return known.assign(learner=known["learner"].mask(known["key"] == "", ERASED))


def whole_weeks(today: date) -> Days:
    """The days that a new contest has by default: four of the company's weeks, from the next first
    day of one, or from today if it is that."""
    ahead = (filters.calendar().week_begins - today.weekday()) % 7
    first = today + timedelta(days=ahead)
    return Days(first, first + 4 * WEEK - timedelta(days=1))


def create(draft: Draft) -> int | Mapping[str, str]:
    """The id of a new contest, or what is wrong, by field. Managers can only choose their teams."""
    with write("contest") as connection:
        return contests.create(connection, actor(), draft, datetime.now(UTC), viewer_teams())


def may_remove(row: ContestRow) -> bool:
    """Whether the viewer made a contest, or may remove those of all: leads and admins."""
    return row.created_by == actor() or access.may("coach")


def remove(contest_id: int) -> bool:
    """False unless the viewer may remove it."""
    with write("contest") as connection:
        return contests.remove(connection, actor(), contest_id, of_all=access.may("coach"))
