"""Who a person is, whose figures a page shows and how long its lists are, recomputed from raw
payloads."""

import pytest
from sqlalchemy import Connection

from shared.queries import catalog, leaderboard, rows_of
from shared.queries.movement import Board
from shared.queries.people import PersonRow, Who, people
from shared.queries.scoring import points
from shared.queries.windows import Window
from tests.history import END, FIRST
from tests.recomputed import NEVER, Company, Spans
from tests.shared.queries.test_recomputed_boards import RULES, board_of, shown

OCTOBER = Window(FIRST.replace(month=10), END)
TEAMS = [None, ("west",), ("east",), ("north", "west"), ()]


@pytest.mark.parametrize("leavers", [True, False])
@pytest.mark.parametrize("teams", TEAMS)
def test_each_person_is_who_the_latest_entry_says(
    reader: Connection, company: Company, teams: tuple[str, ...] | None, leavers: bool
) -> None:
    who = Who(teams, leavers=leavers)
    rows = rows_of(PersonRow, reader.execute(people(who)))
    assert {
        row.person: (row.team_id, row.role, row.name, row.active, row.left_at) for row in rows
    } == {
        key: (one.team, one.role, one.name, one.active, one.left_at)
        for key, one in company.people.items()
        if key in company.asked(teams, leavers=leavers)
    }
    assert len(rows) == catalog.learners(reader, who)


def test_the_stories_of_the_history_are_read_as_they_were_meant(company: Company) -> None:
    """Else both could be wrong alike."""
    seen = {key.partition("@")[0]: (one.team, one.active) for key, one in company.people.items()}
    expected = {"ann": ("east", True), "bob": ("east", True), "cy": ("north", False),
                "eve": ("east", False), "hal": ("west", True), "ida": ("west", False),
                "kim": ("north", True), "mindtickle joe": ("west", True), "gus": (None, True),
                "fay": (None, True)}  # fmt: skip
    assert expected.items() <= seen.items()
    assert company.people["gus@x.com"].name == "Gus New"
    assert company.people["bob@x.com"].name == "Bob Older"


@pytest.mark.parametrize("teams", TEAMS)
@pytest.mark.parametrize("leavers", [True, False])
def test_a_board_of_some_teams_is_whole_and_of_their_people_alone(
    reader: Connection, company: Company, teams: tuple[str, ...] | None, leavers: bool
) -> None:
    board = Board(Who(teams, leavers=leavers), OCTOBER, rules=RULES)
    assert OCTOBER.since
    asked = company.asked(teams, leavers=leavers)
    expected = board_of(company, asked, Spans((OCTOBER.since, END), NEVER), "score")
    rows = leaderboard.learners(reader, "score", board, limit=None)
    assert {row.person: shown(row, "score") for row in rows} == expected
    assert leaderboard.how_many(reader, "score", board) == len(expected)


def test_the_pages_of_a_board_are_the_whole_board(reader: Connection) -> None:
    board = Board(window=OCTOBER)
    rows = leaderboard.learners(reader, "gained", board, limit=None)
    pages = [
        row.person
        for offset in range(0, len(rows) + 7, 7)
        for row in leaderboard.learners(reader, "gained", board, limit=7, offset=offset)
    ]
    assert pages == [row.person for row in rows]


@pytest.mark.parametrize("metric", ["average", "score"])
def test_a_person_is_found_in_the_place_that_they_have_among_all(
    reader: Connection, metric: str
) -> None:
    board = Board(window=OCTOBER, rules=RULES)
    rows = leaderboard.learners(reader, metric, board, limit=None)
    assert [row.place for row in rows] == list(range(1, len(rows) + 1))
    found = leaderboard.learners(reader, metric, board, find="P-0")
    assert [row.key for row in found] == [row.key for row in rows if "p-0" in row.person]
    assert set(found) <= set(rows)
    assert leaderboard.place_of(reader, metric, board, found[-1].key) == found[-1].place


def test_totals_are_the_sums_over_all_people(reader: Connection, company: Company) -> None:
    row = leaderboard.totals(reader, Board(window=OCTOBER))
    assert OCTOBER.since
    by_progress = company.by_progress
    gains = [by_progress.gains(one, (OCTOBER.since, END)) for one in company.asked()]
    seen = (row.active, round(row.gained, 6), row.completed, row.time)
    assert seen == (
        sum(one.moved for one in gains),
        round(sum(one.gained for one in gains), 6),
        sum(one.completed for one in gains),
        sum(one.time for one in gains),
    )


def test_the_explained_points_of_each_person_are_their_score(
    reader: Connection, company: Company
) -> None:
    assert OCTOBER.since
    for person in company.asked():
        rows = points(reader, RULES, OCTOBER, person)
        score = company.gains(person, (OCTOBER.since, END)).score
        assert round(sum(row.points for row in rows), 6) == score, person
