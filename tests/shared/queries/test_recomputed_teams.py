"""Boards of teams, by the team then and by today's, recomputed from raw payloads."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection

from shared.queries import leaderboard, team_boards
from shared.queries.movement import GAINS, Board
from shared.queries.people import Who
from shared.queries.windows import Window, window_of
from tests.history import BERLIN, END, KOLKATA, NEW_YORK
from tests.recomputed import Company, Spans, spans
from tests.shared.queries.test_recomputed_boards import RULES, as_at

VIEWS = [(KOLKATA, "last_month"), (BERLIN, "30d"), (NEW_YORK, "week")]


def board_of(zone: str, name: str, who: Who = Who(), **more: Any) -> tuple[Board, Spans]:  # noqa: B008
    now = END.replace(minute=30)
    board = Board(who, as_at(window_of(name, now, zone), now), rules=RULES, **more)
    return board, spans(name, now, zone)


@pytest.mark.parametrize("metric", GAINS)
@pytest.mark.parametrize(("zone", "name"), VIEWS)
def test_a_team_has_what_its_members_gained_while_they_were_in_it(
    reader: Connection, company: Company, zone: str, name: str, metric: str
) -> None:
    board, of = board_of(zone, name)
    company = company if metric == "score" else company.by_progress
    now, before = (company.teams_then(metric, span) for span in of)
    rows = team_boards.teams(reader, metric, board)
    assert {
        row.team_id: (row.members, row.moved, row.total, row.members_before) for row in rows
    } == {
        team: (len(one.members), len(one.moved), one.total,
               len(before[team].members) if team in before else 0)
        for team, one in now.items()
    }  # fmt: skip
    averages = {team: one.total / len(one.members) for team, one in now.items()}
    assert {row.team_id: row.average for row in rows} == pytest.approx(averages, abs=1e-6)
    averages = {team: one.total / len(one.members) for team, one in before.items() if team in now}
    seen = {row.team_id: row.average_before for row in rows if row.average_before is not None}
    assert seen == pytest.approx(averages, abs=1e-6)


@pytest.mark.parametrize("metric", ["time", "score", "average"])
@pytest.mark.parametrize(("zone", "name"), VIEWS[:2])
def test_by_todays_team_all_figures_move_along(
    reader: Connection, company: Company, zone: str, name: str, metric: str
) -> None:
    board, of = board_of(zone, name, credit="today")
    values = defaultdict(list)
    for person in company.asked():
        value = getattr(company.gains(person, of.now), metric)
        values[company.people[person].team].append(value)
    values.pop(None, None)
    rows = team_boards.teams(reader, metric, board)
    assert {row.team_id: row.members for row in rows} == {
        team: len(several) for team, several in values.items()
    }
    assert {row.team_id: row.average for row in rows} == pytest.approx(
        {team: average(several, metric) for team, several in values.items()}, abs=1e-6
    )


def average(values: Sequence[float | None], metric: str) -> float:
    """A member's; an average progress is over those who have begun a module."""
    known = [one for one in values if one is not None]
    return sum(known) / (len(known) if metric == "average" else len(values))


def test_a_manager_sees_what_their_teams_gained_then(reader: Connection, company: Company) -> None:
    board, of = board_of(KOLKATA, "last_month", Who(teams=("west", "north")))
    expected = company.by_progress.teams_then("gained", of.now)
    rows = team_boards.teams(reader, "gained", board)
    assert {row.team_id: (row.members, row.total) for row in rows} == {
        team: (len(expected[team].members), expected[team].total) for team in ("west", "north")
    }


def test_ann_gained_for_both_of_her_teams(company: Company) -> None:
    """She changed in October: a comparison that never meets a change would prove little."""
    _, of = board_of(KOLKATA, "last_month")
    teams = company.by_progress.teams_then("gained", of.now)
    assert [team for team, one in teams.items() if "ann@x.com" in one.members] != ["east"]
    assert {"ann@x.com"} <= teams["west"].members & teams["east"].members


def test_weeks_add_up_to_the_window(reader: Connection, company: Company) -> None:
    begins = [END - number * timedelta(weeks=1) for number in (3, 2, 1)]
    persons = sorted(company.asked())
    rows = leaderboard.weekly(reader, Board(window=Window()), begins, persons)
    edges = [*begins, END + timedelta(days=1)]
    assert {row.person: tuple(row.gained) for row in rows} == {
        person: tuple(
            company.gains(person, (edges[n], edges[n + 1])).gained for n in range(len(begins))
        )
        for person in persons
    }
