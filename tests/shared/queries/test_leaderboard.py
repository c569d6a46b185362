"""Boards over small tables, worked out by hand."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import Connection, Engine

from shared.facts import Deprovisioned, Identified, Progressed
from shared.queries import catalog, leaderboard, team_boards
from shared.queries.movement import Board
from shared.queries.people import Who
from shared.queries.windows import WINDOWS, Days, week_begins, window_of
from tests.shared.tables import V, fold, noon, people, progress

TODAY = date(2025, 11, 22)
EVENING = datetime(2025, 11, 22, 20, tzinfo=UTC)
WEEK = Board(window=window_of("7d", EVENING, "UTC"))
EVER = Board()
LAST_WEEK = TODAY - timedelta(days=8)


def of_teams_only(*team_ids: str) -> Board:
    return WEEK._replace(who=Who(teams=team_ids))


LEAVERS = WEEK._replace(who=Who(leavers=True))


@pytest.fixture
def connection(store: Engine) -> Iterator[Connection]:
    with store.connect() as connection:
        yield connection


def ranks(connection: Connection, metric: str, board: Board = WEEK) -> list[tuple[int, str, float]]:
    rows = leaderboard.learners(connection, metric, board)
    return [(row.rank, row.key.removeprefix("mindtickle/"), getattr(row, metric)) for row in rows]


def test_a_gain_is_only_the_rise_since_before_the_window(
    store: Engine, connection: Connection
) -> None:
    progress(
        store,
        ("a", "m-1", LAST_WEEK, 60, 100),
        ("a", "m-1", TODAY, 90, 160),
        ("b", "m-1", TODAY, 80, 50),
        ("c", "m-1", LAST_WEEK, 100, 100),
    )
    assert ranks(connection, "gained") == [(1, "b", 80), (2, "a", 30)]
    assert ranks(connection, "time") == [(1, "a", 60), (2, "b", 50)]


def test_over_all_time_everything_is_a_gain(store: Engine, connection: Connection) -> None:
    progress(store, ("a", "m-1", LAST_WEEK, 60, 100), ("a", "m-1", TODAY, 90, 160))
    assert ranks(connection, "gained", EVER) == [(1, "a", 90)]
    assert ranks(connection, "time", EVER) == [(1, "a", 160)]


def test_the_first_day_of_a_window_belongs_to_it(store: Engine, connection: Connection) -> None:
    first = TODAY - timedelta(days=6)
    progress(store, ("a", "m-1", first - timedelta(days=1), 10, 1), ("a", "m-1", first, 30, 1))
    assert ranks(connection, "gained") == [(1, "a", 20)]


def test_gains_add_up_over_modules_and_days(store: Engine, connection: Connection) -> None:
    progress(
        store,
        ("a", "m-1", TODAY - timedelta(days=2), 20, 10),
        ("a", "m-1", TODAY, 50, 30),
        ("a", "m-2", TODAY, 5, 5),
    )
    assert ranks(connection, "gained") == [(1, "a", 55)]
    assert ranks(connection, "time") == [(1, "a", 35)]


def test_a_day_with_a_lower_total_than_before_the_window_is_no_loss(
    store: Engine, connection: Connection
) -> None:
    progress(store, ("a", "m-1", LAST_WEEK, 60, 100), ("a", "m-1", TODAY, 40, 60))
    assert ranks(connection, "gained") == [(1, "a", 0)]
    assert ranks(connection, "time") == [(1, "a", 0)]


def test_only_a_module_completed_inside_the_window_counts_as_completed(
    store: Engine, connection: Connection
) -> None:
    progress(
        store,
        ("a", "m-1", LAST_WEEK, 100, 100),
        ("a", "m-1", TODAY, 100, 150),
        ("a", "m-2", LAST_WEEK, 90, 100),
        ("a", "m-2", TODAY, 100, 110),
        ("b", "m-1", TODAY, 99.9, 10),
    )
    assert ranks(connection, "completed") == [(1, "a", 1), (2, "b", 0)]
    assert ranks(connection, "completed", EVER) == [(1, "a", 2), (2, "b", 0)]


def test_ties_share_a_rank_are_marked_and_leave_a_gap_in_a_stable_order(
    store: Engine, connection: Connection
) -> None:
    people(store, ("d", None), ("b", None), ("c", None), ("a", None))
    for user, pct in (("d", 20), ("c", 40), ("b", 40), ("a", 90)):
        progress(store, (user, "m-1", TODAY, pct, 1))
    board = leaderboard.learners(connection, "gained", WEEK)
    assert [(row.rank, bool(row.tied), row.email) for row in board] == [
        (1, False, "a@x.com"),
        (2, True, "b@x.com"),
        (2, True, "c@x.com"),
        (4, False, "d@x.com"),
    ]


def test_a_limited_board_still_ranks_all_people(store: Engine, connection: Connection) -> None:
    for user in "abc":
        progress(store, (user, "m-1", TODAY, 40, 1))
    (row,) = leaderboard.learners(connection, "gained", WEEK, limit=1)
    assert (row.rank, bool(row.tied)) == (1, True)


def test_the_average_is_over_the_modules_begun_as_of_now(
    store: Engine, connection: Connection
) -> None:
    progress(
        store,
        ("a", "m-1", LAST_WEEK, 80, 10),
        ("a", "m-2", TODAY, 20, 10),
        ("b", "m-1", LAST_WEEK, 90, 10),
    )
    assert ranks(connection, "average") == [(1, "a", 50)]


def test_leavers_are_out_unless_asked_for(store: Engine, connection: Connection) -> None:
    people(store, ("a", "west"), ("-b", "west"))
    progress(store, ("a", "m-1", TODAY, 10, 1), ("b", "m-1", TODAY, 20, 1))
    assert ranks(connection, "gained") == [(1, "a", 10)]
    asked = LEAVERS
    assert ranks(connection, "gained", asked) == [(1, "b", 20), (2, "a", 10)]
    board = leaderboard.learners(connection, "gained", asked)
    assert [bool(row.active) for row in board] == [False, True]


def test_a_learner_without_a_roster_event_is_shown(store: Engine, connection: Connection) -> None:
    progress(store, ("a", "m-1", TODAY, 10, 1))
    (row,) = leaderboard.learners(connection, "gained", WEEK)
    assert (row.key, row.email, row.team_id) == (f"{V}/a", None, None)
    assert row.active


def test_a_team_filter_leaves_only_its_people(store: Engine, connection: Connection) -> None:
    people(store, ("a", "west"), ("b", "east"), ("c", None))
    for user in "abcd":
        progress(store, (user, "m-1", TODAY, 10, 1))
    assert ranks(connection, "gained", of_teams_only("west")) == [(1, "a", 10)]


def test_a_module_filter_leaves_only_its_progress(store: Engine, connection: Connection) -> None:
    progress(
        store,
        ("a", "m-1", LAST_WEEK, 10, 10),
        ("a", "m-1", TODAY, 30, 20),
        ("a", "m-2", TODAY, 90, 90),
        ("b", "m-2", TODAY, 50, 50),
    )
    only = WEEK._replace(module=(V, "m-1"))
    assert ranks(connection, "gained", only) == [(1, "a", 20)]
    assert ranks(connection, "average", only) == [(1, "a", 30)]
    assert ranks(connection, "time", only) == [(1, "a", 10)]


def of_teams(
    connection: Connection, metric: str = "gained", board: Board = WEEK
) -> list[tuple[int, str, int, int, float, float]]:
    return [
        (row.rank, row.team_id, row.members, row.moved, row.total, round(row.average, 6))
        for row in team_boards.teams(connection, metric, board)
    ]


def test_a_team_is_ranked_by_its_average_per_active_member_so_that_size_does_not_win(
    store: Engine, connection: Connection
) -> None:
    people(store, ("a", "big"), ("b", "big"), ("c", "big"), ("d", "big"), ("-x", "big"))
    people(store, ("e", "small"))
    for user, pct in (("a", 30), ("b", 30), ("x", 90), ("e", 20)):
        progress(store, (user, "m-1", TODAY, pct, 1))
    assert of_teams(connection) == [(1, "small", 1, 1, 20, 20), (2, "big", 4, 2, 60, 15)]


def test_by_todays_team_leavers_are_members_when_they_are_asked_for(
    store: Engine, connection: Connection
) -> None:
    people(store, ("a", "west"), ("-b", "west"))
    progress(store, ("a", "m-1", TODAY, 10, 1), ("b", "m-1", TODAY, 30, 1))
    assert of_teams(connection, board=LEAVERS._replace(credit="today")) == [
        (1, "west", 2, 2, 40, 20)
    ]


def test_the_average_progress_of_a_team_is_over_the_members_who_moved(
    store: Engine, connection: Connection
) -> None:
    people(store, ("a", "west"), ("b", "west"), ("c", "west"))
    progress(store, ("a", "m-1", TODAY, 40, 1), ("b", "m-1", TODAY, 60, 1))
    assert of_teams(connection, "average") == [(1, "west", 3, 2, 100, 50)]


def test_tied_teams_share_a_rank_and_leave_a_gap(store: Engine, connection: Connection) -> None:
    people(store, ("a", "east"), ("b", "west"), ("c", "north"))
    for user, pct in (("a", 40), ("b", 40), ("c", 10)):
        progress(store, (user, "m-1", TODAY, pct, 1))
    board = team_boards.teams(connection, "gained", WEEK)
    assert [(row.rank, bool(row.tied), row.team_id) for row in board] == [
        (1, True, "east"),
        (1, True, "west"),
        (3, False, "north"),
    ]


@pytest.mark.parametrize("metric", ["gained", "completed", "average", "time"])
def test_a_store_without_progress_has_empty_boards(connection: Connection, metric: str) -> None:
    assert leaderboard.learners(connection, metric, WEEK) == []
    assert team_boards.teams(connection, metric, WEEK) == []
    assert tuple(leaderboard.totals(connection, WEEK)) == (0, 0, 0, 0) * 2


def test_the_totals_are_those_of_the_board(store: Engine, connection: Connection) -> None:
    people(store, ("-x", "west"))
    progress(
        store,
        ("a", "m-1", LAST_WEEK, 60, 100),
        ("a", "m-1", TODAY, 100, 160),
        ("b", "m-1", TODAY, 20, 50),
        ("x", "m-1", TODAY, 90, 90),
    )
    totals = leaderboard.totals(connection, WEEK)
    assert (totals.active, totals.gained, totals.completed, totals.time) == (2, 60, 1, 110)


def test_filters_offer_every_team_and_every_module_that_was_begun(
    store: Engine, connection: Connection
) -> None:
    people(store, ("a", "west"), ("b", "east"), ("-c", "gone"), ("d", None))
    progress(store, ("a", "m-2", TODAY, 1, 1), ("b", "m-1", TODAY, 1, 1), ("a", "m-1", TODAY, 1, 1))
    assert catalog.teams(connection) == ["east", "gone", "west"]
    modules = [tuple(row) for row in catalog.modules(connection)]
    assert modules == [(V, "m-1", "M-1"), (V, "m-2", "M-2")]
    assert catalog.learners(connection, Who()) == 3


def test_equal_gains_in_fractions_are_ties(store: Engine, connection: Connection) -> None:
    progress(
        store,
        ("a", "m-1", TODAY, 10.1, 0),
        ("a", "m-2", TODAY, 20.2, 0),
        ("b", "m-1", TODAY, 30.3, 0),
    )
    assert ranks(connection, "gained") == [(1, "a", 30.3), (1, "b", 30.3)]


def test_a_team_in_which_nothing_moved_is_last_with_zero(
    store: Engine, connection: Connection
) -> None:
    people(store, ("a", "west"), ("b", "idle"))
    progress(store, ("a", "m-1", TODAY, 50, 0))
    board = team_boards.teams(connection, "gained", WEEK)
    assert [(row.rank, row.team_id, row.moved, row.average) for row in board] == [
        (1, "west", 1, 50),
        (2, "idle", 0, 0),
    ]


def test_more_time_than_fits_into_32_bits_adds_up(store: Engine, connection: Connection) -> None:
    longest = 1_000_000_000
    progress(store, *(("a", f"m-{n}", TODAY, 1, longest) for n in range(3)))
    assert ranks(connection, "time") == [(1, "a", 3 * longest)]


def test_the_parts_of_a_board_are_the_whole_board(store: Engine, connection: Connection) -> None:
    progress(store, *((user, "m-1", TODAY, 10, 0) for user in "abcde"))
    whole = ranks(connection, "gained")
    parts = [leaderboard.learners(connection, "gained", WEEK, 2, offset) for offset in (0, 2, 4)]
    assert [row.key for part in parts for row in part] == [f"{V}/{user}" for user in "abcde"]
    assert leaderboard.how_many(connection, "gained", WEEK) == len(whole) == 5
    assert leaderboard.place_of(connection, "gained", WEEK, f"{V}/d") == 4
    assert leaderboard.place_of(connection, "gained", WEEK, f"{V}/absent") is None


@pytest.mark.parametrize(
    ("words", "found"), [("ANA", ["ana"]), ("b", ["bo"]), ("%", []), ("o", []), ("mindt", [])]
)
def test_a_learner_is_found_with_the_place_among_all(
    store: Engine, connection: Connection, words: str, found: list[str]
) -> None:
    progress(store, ("ana", "m-1", TODAY, 10, 0), ("bo", "m-1", TODAY, 20, 0))
    rows = leaderboard.learners(connection, "gained", WEEK, find=words)
    assert [row.key for row in rows] == [f"{V}/{user}" for user in found]
    assert leaderboard.how_many(connection, "gained", WEEK, words) == len(found)
    assert [row.rank for row in rows] == [{"ana": 2, "bo": 1}[user] for user in found]


@pytest.mark.parametrize("words", ["élodie", "ÉLODIE", "Élod"])
def test_a_learner_is_found_in_upper_and_lower_case_of_any_letter(
    store: Engine, connection: Connection, words: str
) -> None:
    progress(store, ("e", "m-1", TODAY, 10, 0))
    fold(store, [Identified(V, "e", None, "Élodie Martin", EVENING)])
    (row,) = leaderboard.learners(connection, "gained", WEEK, find=words)
    assert row.name == "Élodie Martin"


def test_a_rank_is_compared_with_that_of_the_period_before(
    store: Engine, connection: Connection
) -> None:
    progress(
        store,
        ("a", "m-1", LAST_WEEK, 50, 0),
        ("b", "m-1", LAST_WEEK, 40, 0),
        ("away", "m-1", LAST_WEEK, 45, 0),
        ("a", "m-1", TODAY, 60, 0),
        ("b", "m-1", TODAY, 90, 0),
        ("new", "m-1", TODAY, 20, 0),
    )
    board = leaderboard.learners(connection, "gained", WEEK)
    found = [(row.rank, row.rank_before, row.key, row.gained, row.gained_before) for row in board]
    assert found == [
        (1, 3, f"{V}/b", 50, 40),
        (2, None, f"{V}/new", 20, 0),
        (3, 1, f"{V}/a", 10, 50),
    ]


def test_over_all_time_there_is_nothing_to_compare_with(
    store: Engine, connection: Connection
) -> None:
    progress(store, ("a", "m-1", LAST_WEEK, 50, 0))
    (row,) = leaderboard.learners(connection, "gained", EVER)
    assert (row.rank_before, row.gained_before) == (None, 0)


def test_what_comes_after_a_window_does_not_count_in_it(
    store: Engine, connection: Connection
) -> None:
    progress(store, ("a", "m-1", LAST_WEEK, 30, 10), ("a", "m-1", TODAY, 90, 20))
    past = Board(window=window_of("custom", EVENING, "UTC", custom=Days(LAST_WEEK, LAST_WEEK)))
    assert ranks(connection, "gained", past) == [(1, "a", 30)]
    assert ranks(connection, "average", past) == [(1, "a", 30)]
    assert ranks(connection, "time", past) == [(1, "a", 10)]


def test_the_most_improved_are_the_people_who_rose_by_most_places(
    store: Engine, connection: Connection
) -> None:
    for place, user in enumerate("abcd"):
        progress(store, (user, "m-1", LAST_WEEK, 50 - place, 0))
    for user, pct in (("d", 90), ("b", 80), ("a", 60), ("c", 49)):
        progress(store, (user, "m-1", TODAY, pct, 0))
    found = leaderboard.climbers(connection, "gained", WEEK)
    assert [(row.key, row.rank, row.rank_before) for row in found] == [(f"{V}/d", 1, 4)]


def test_who_stands_still_has_earlier_progress_and_none_in_the_window_and_has_not_left(
    store: Engine, connection: Connection
) -> None:
    people(store, ("never", None), ("left", None))
    for user, pct in (("a", 10), ("b", 40), ("left", 90), ("moves", 20)):
        progress(store, (user, "m-1", LAST_WEEK, pct, 0))
    progress(store, ("moves", "m-1", TODAY, 21, 0))
    fold(store, [Deprovisioned(V, "left", None, noon(TODAY))])
    found = leaderboard.still(connection, "gained", WEEK, limit=5)
    assert [(row.key, row.gained_before, row.people) for row in found] == [
        (f"{V}/b", 40, 2),
        (f"{V}/a", 10, 2),
    ]
    assert [row.people for row in leaderboard.still(connection, "gained", WEEK, limit=1)] == [2]
    assert not leaderboard.still(connection, "gained", EVER)


def test_the_neighbours_of_a_person_are_the_rows_above_and_below(
    store: Engine, connection: Connection
) -> None:
    for user, pct in zip("abcde", (50, 40, 30, 20, 10), strict=True):
        progress(store, (user, "m-1", TODAY, pct, 0))

    def around(user: str) -> list[str]:
        rows = leaderboard.neighbours(connection, "gained", WEEK, f"{V} {user}", around=1)
        return [row.key.removeprefix(f"{V}/") for row in rows]

    assert around("c") == ["b", "c", "d"]
    assert around("a") == ["a", "b"]
    assert around("e") == ["d", "e"]
    assert around("unknown") == []


def test_neighbours_tell_who_stands_before_and_after_a_group_of_equals_and_by_how_much(
    store: Engine, connection: Connection
) -> None:
    for user, pct in zip("abcdefg", (50, 30, 30, 30, 30, 30, 20), strict=True):
        progress(store, (user, "m-1", TODAY, pct, 0))
    rows = leaderboard.neighbours(connection, "gained", WEEK, f"{V} d", around=1)
    assert [(row.rank, row.key.removeprefix(f"{V}/"), row.gap, row.equals) for row in rows] == [
        (1, "a", 20, 0),
        (2, "c", 0, 4),
        (2, "d", 0, 4),
        (2, "e", 0, 4),
        (7, "g", -10, 0),
    ]


def test_a_person_can_be_one_module_from_passing_the_next_one_above(
    store: Engine, connection: Connection
) -> None:
    progress(
        store,
        ("ahead", "m-1", TODAY, 100, 0),
        ("near", "m-1", TODAY, 50, 0),
        ("near", "m-2", TODAY, 45, 0),
        ("far", "m-1", TODAY, 99, 0),
        ("far", "m-2", LAST_WEEK, 99, 0),
    )
    # near has 95 points, 4 behind far; far has 99, 1 behind, and 1 left in each of its modules.
    (call,) = leaderboard.close_calls(connection, WEEK)
    assert (call.key, call.ahead_key, call.gap) == (f"{V}/near", f"{V}/far", 4)
    assert (call.module_name, call.left) == ("M-2", 55)


def test_of_equals_the_next_one_above_is_the_one_before_all_of_them(
    store: Engine, connection: Connection
) -> None:
    progress(
        store,
        ("top", "m-1", TODAY, 60, 0),
        ("b", "m-1", TODAY, 50, 0),
        ("c", "m-1", TODAY, 50, 0),
    )
    calls = leaderboard.close_calls(connection, WEEK)
    assert [(call.key, call.ahead_key) for call in calls] == [
        (f"{V}/b", f"{V}/top"),
        (f"{V}/c", f"{V}/top"),
    ]


def test_the_board_of_modules_tells_who_moved_in_each_and_by_how_much(
    store: Engine, connection: Connection
) -> None:
    people(store, ("-x", None))
    progress(
        store,
        ("a", "m-1", LAST_WEEK, 60, 100),
        ("a", "m-1", TODAY, 100, 160),
        ("b", "m-1", TODAY, 20, 50),
        ("b", "m-2", TODAY, 90, 10),
        ("c", "m-3", LAST_WEEK, 90, 10),
        ("x", "m-2", TODAY, 100, 90),
    )
    found = [
        (row.rank, row.module_name, row.people, row.gained, row.completed, row.time, row.average)
        for row in leaderboard.modules(connection, WEEK)
    ]
    assert found == [(1, "M-2", 1, 90, 0, 10, 90), (2, "M-1", 2, 60, 1, 110, 60)]


def test_a_rank_is_explained_module_by_module(store: Engine, connection: Connection) -> None:
    progress(
        store,
        ("a", "m-1", LAST_WEEK, 60, 100),
        ("a", "m-1", TODAY, 100, 160),
        ("a", "m-2", TODAY, 50, 30),
        ("a", "m-3", LAST_WEEK, 50, 30),
        ("b", "m-1", TODAY, 20, 50),
    )
    found = [
        (row.module_name, row.gained, row.completed, row.time, row.pct_before, row.pct)
        for row in leaderboard.by_module(connection, WEEK, f"{V} a")
    ]
    assert found == [("M-2", 50, 0, 30, 0, 50), ("M-1", 40, 1, 60, 60, 100)]


def test_eight_weeks_of_gains_end_today(store: Engine, connection: Connection) -> None:
    progress(
        store,
        ("a", "m-1", TODAY - timedelta(days=60), 10, 0),
        ("a", "m-1", TODAY - timedelta(days=55), 30, 0),
        ("a", "m-1", TODAY - timedelta(days=6), 45, 0),
        ("a", "m-1", TODAY, 50, 0),
    )
    (row,) = leaderboard.weekly(connection, WEEK, week_begins(TODAY, "UTC"), [f"{V} a"])
    assert row.gained == [20, 0, 0, 0, 0, 0, 0, 20]


def test_one_person_at_two_vendors_is_one_row(store: Engine, connection: Connection) -> None:
    people(store, ("dana", "west"))
    other = "lessonly"
    fold(
        store,
        [
            Identified(other, "7", " Dana@X.com", "Dana Brooks", noon(TODAY)),
            Progressed(other, "7", "m-9", "Nine", 30, 60, noon(TODAY)),
        ],
    )
    progress(store, ("dana", "m-1", TODAY, 50, 40))
    (row,) = leaderboard.learners(connection, "gained", WEEK)
    assert (row.name, row.team_id, row.gained, row.time) == ("Dana Brooks", "west", 80, 100)
    assert set(row.vendors.split(",")) == {V, other}
    (only,) = leaderboard.learners(connection, "gained", WEEK._replace(who=Who(vendor=other)))
    assert (only.name, only.gained) == ("Dana Brooks", 30)


def test_two_people_without_an_address_are_never_one(store: Engine, connection: Connection) -> None:
    fold(
        store,
        [
            Progressed(vendor, "7", "m-1", None, 30, 0, noon(TODAY))
            for vendor in (V, "lessonly")
        ],
    )  # fmt: skip
    assert len(leaderboard.learners(connection, "gained", WEEK)) == 2


def test_a_person_has_left_when_every_roster_that_lists_them_says_so(
    store: Engine, connection: Connection
) -> None:
    people(store, ("-dana", "west"))
    fold(store, [Identified("lessonly", "7", "dana@x.com", "Dana", noon(TODAY))])
    progress(store, ("dana", "m-1", TODAY, 50, 40))
    assert leaderboard.learners(connection, "gained", WEEK) == []


def test_a_team_is_compared_with_the_period_before(store: Engine, connection: Connection) -> None:
    people(store, ("a", "east"), ("b", "west"), ("c", "west"))
    progress(
        store,
        ("a", "m-1", LAST_WEEK, 10, 0),
        ("b", "m-1", LAST_WEEK, 60, 0),
        ("a", "m-1", TODAY, 30, 0),
        ("c", "m-1", TODAY, 10, 0),
    )
    board = team_boards.teams(connection, "gained", WEEK)
    assert [(r.rank, r.rank_before, r.team_id, r.average, r.average_before) for r in board] == [
        (1, 2, "east", 20, 10),
        (2, 1, "west", 5, 30),
    ]


def test_the_totals_of_the_period_before_stand_beside_those_of_the_window(
    store: Engine, connection: Connection
) -> None:
    progress(store, ("a", "m-1", LAST_WEEK, 100, 60), ("b", "m-1", TODAY, 20, 30))
    totals = leaderboard.totals(connection, WEEK)
    assert tuple(totals) == (1, 20, 0, 30, 1, 100, 1, 60)


def test_the_team_that_slipped_is_the_one_whose_average_fell_most(
    store: Engine, connection: Connection
) -> None:
    people(store, ("a", "east"), ("b", "west"), ("c", "west"), ("d", "north"))
    progress(
        store,
        ("a", "m-1", LAST_WEEK, 50, 0),
        ("b", "m-1", LAST_WEEK, 90, 0),
        ("a", "m-1", TODAY, 70, 0),
        ("c", "m-1", TODAY, 10, 0),
        ("d", "m-1", TODAY, 10, 0),
    )
    row = team_boards.slipped(connection, "gained", WEEK)
    assert row is not None
    assert tuple(row) == ("west", 5, 45)


def test_no_team_slipped_where_all_have_gained_more(store: Engine, connection: Connection) -> None:
    people(store, ("a", "east"))
    progress(store, ("a", "m-1", LAST_WEEK, 10, 0), ("a", "m-1", TODAY, 70, 0))
    assert team_boards.slipped(connection, "gained", WEEK) is None


def test_people_are_counted_as_they_are_asked_about(store: Engine, connection: Connection) -> None:
    people(store, ("a", "west"), ("b", "east"), ("-c", "west"))
    asked = (Who(), Who(teams=("west",)), Who(teams=("west",), leavers=True))
    assert [catalog.learners(connection, who) for who in asked] == [2, 1, 2]


MONDAY = datetime(2025, 11, 24, tzinfo=UTC)


def steady(weeks: int) -> Iterator[Progressed]:
    """The same gain in each working hour, Monday to Friday, in Berlin's winter and in UTC alike."""
    hours = range(weeks * 7 * 24)
    begin = MONDAY + timedelta(days=7) - timedelta(hours=len(hours))
    working = [begin + timedelta(hours=n, minutes=5) for n in hours]
    working = [at for at in working if at.weekday() < 5 and 8 <= at.hour < 17]
    for number, at in enumerate(working, 1):
        yield Progressed(V, "a", "m-1", None, number / 100, number, at)


# Which moments a window compares is worked out before a store is asked.
@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
def test_a_company_with_a_steady_rhythm_has_changed_by_nothing_at_any_hour(
    store: Engine, connection: Connection
) -> None:
    people(store, ("a", "west"))
    fold(store, steady(weeks=30))
    for hour in range(0, 24 * 7, 13):  # many hours of the day, on every day of the week
        now = MONDAY + timedelta(hours=hour, minutes=30)
        for name in set(WINDOWS) - {"all", "custom"}:
            window = window_of(name, now, "UTC")
            board = Board(window=window._replace(until=window.until or now))
            row = leaderboard.totals(connection, board)
            assert (row.gained, row.time) == (row.gained_before, row.time_before), (name, now)
            assert team_boards.slipped(connection, "gained", board) is None, (name, now)
