"""Boards over small tables, worked out by hand."""

from collections.abc import Iterator
from datetime import date, timedelta

import pytest
from sqlalchemy import Connection, Engine

from shared.queries import catalog, leaderboard
from shared.queries.leaderboard import Filters
from shared.queries.windows import first_day
from tests.shared.tables import V, people, progress

TODAY = date(2025, 11, 22)
WEEK = Filters(since=TODAY - timedelta(days=6))
LAST_WEEK = TODAY - timedelta(days=8)


@pytest.fixture
def connection(store: Engine) -> Iterator[Connection]:
    with store.connect() as connection:
        yield connection


def ranks(
    connection: Connection, metric: str, filters: Filters = WEEK
) -> list[tuple[int, str, float]]:
    board = leaderboard.learners(connection, metric, filters)
    return [(row.rank, row.user_id, round(getattr(row, metric), 6)) for row in board]


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
    assert ranks(connection, "gained", Filters()) == [(1, "a", 90)]
    assert ranks(connection, "time", Filters()) == [(1, "a", 160)]


def test_the_first_day_of_a_window_belongs_to_it(store: Engine, connection: Connection) -> None:
    first = first_day("7d", TODAY)
    assert first == TODAY - timedelta(days=6)
    progress(
        store,
        ("a", "m-1", first - timedelta(days=1), 10, 1),
        ("a", "m-1", first, 30, 1),
    )
    assert ranks(connection, "gained", Filters(since=first)) == [(1, "a", 20)]


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
    assert ranks(connection, "completed", Filters()) == [(1, "a", 2), (2, "b", 0)]


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


def test_a_limited_board_still_ranks_everybody(store: Engine, connection: Connection) -> None:
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
    asked = WEEK._replace(leavers=True)
    assert ranks(connection, "gained", asked) == [(1, "b", 20), (2, "a", 10)]
    board = leaderboard.learners(connection, "gained", asked)
    assert [bool(row.active) for row in board] == [False, True]


def test_somebody_whose_roster_event_never_came_is_shown(
    store: Engine, connection: Connection
) -> None:
    progress(store, ("a", "m-1", TODAY, 10, 1))
    (row,) = leaderboard.learners(connection, "gained", WEEK)
    assert (row.vendor, row.user_id, row.email, row.team_id) == (V, "a", None, None)
    assert row.active


def test_a_team_filter_leaves_only_its_people(store: Engine, connection: Connection) -> None:
    people(store, ("a", "west"), ("b", "east"), ("c", None))
    for user in "abcd":
        progress(store, (user, "m-1", TODAY, 10, 1))
    assert ranks(connection, "gained", WEEK._replace(team_id="west")) == [(1, "a", 10)]


def test_a_module_filter_leaves_only_its_progress(store: Engine, connection: Connection) -> None:
    progress(
        store,
        ("a", "m-1", LAST_WEEK, 10, 10),
        ("a", "m-1", TODAY, 30, 20),
        ("a", "m-2", TODAY, 90, 90),
        ("b", "m-2", TODAY, 50, 50),
    )
    only = WEEK._replace(module_id="m-1")
    assert ranks(connection, "gained", only) == [(1, "a", 20)]
    assert ranks(connection, "average", only) == [(1, "a", 30)]
    assert ranks(connection, "time", only) == [(1, "a", 10)]


def of_teams(
    connection: Connection, metric: str = "gained", filters: Filters = WEEK
) -> list[tuple[int, str, int, int, float, float]]:
    return [
        (row.rank, row.team_id, row.members, row.moved, row.total, round(row.average, 6))
        for row in leaderboard.teams(connection, metric, filters)
    ]


def test_a_team_is_ranked_by_its_average_per_active_member_so_that_size_does_not_win(
    store: Engine, connection: Connection
) -> None:
    people(store, ("a", "big"), ("b", "big"), ("c", "big"), ("d", "big"), ("-x", "big"))
    people(store, ("e", "small"))
    for user, pct in (("a", 30), ("b", 30), ("x", 90), ("e", 20)):
        progress(store, (user, "m-1", TODAY, pct, 1))
    assert of_teams(connection) == [(1, "small", 1, 1, 20, 20), (2, "big", 4, 2, 60, 15)]


def test_a_team_counts_its_leavers_as_members_when_they_are_asked_for(
    store: Engine, connection: Connection
) -> None:
    people(store, ("a", "west"), ("-b", "west"))
    progress(store, ("a", "m-1", TODAY, 10, 1), ("b", "m-1", TODAY, 30, 1))
    assert of_teams(connection, filters=WEEK._replace(leavers=True)) == [(1, "west", 2, 2, 40, 20)]


def test_the_average_progress_of_a_team_is_over_those_who_moved(
    store: Engine, connection: Connection
) -> None:
    people(store, ("a", "west"), ("b", "west"), ("c", "west"))
    progress(store, ("a", "m-1", TODAY, 40, 1), ("b", "m-1", TODAY, 60, 1))
    assert of_teams(connection, "average") == [(1, "west", 3, 2, 100, 50)]


def test_tied_teams_share_a_rank_and_leave_a_gap(store: Engine, connection: Connection) -> None:
    people(store, ("a", "east"), ("b", "west"), ("c", "north"))
    for user, pct in (("a", 40), ("b", 40), ("c", 10)):
        progress(store, (user, "m-1", TODAY, pct, 1))
    board = leaderboard.teams(connection, "gained", WEEK)
    assert [(row.rank, bool(row.tied), row.team_id) for row in board] == [
        (1, True, "east"),
        (1, True, "west"),
        (3, False, "north"),
    ]


@pytest.mark.parametrize("metric", ["gained", "completed", "average", "time"])
def test_a_store_without_progress_has_empty_boards(connection: Connection, metric: str) -> None:
    assert leaderboard.learners(connection, metric, WEEK) == []
    assert leaderboard.teams(connection, metric, WEEK) == []
    assert tuple(leaderboard.totals(connection, WEEK)) == (0, 0, 0, 0)


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


def test_each_day_counts_a_person_once(store: Engine, connection: Connection) -> None:
    people(store, ("-x", None))
    progress(
        store,
        ("a", "m-1", LAST_WEEK, 10, 1),
        ("a", "m-1", TODAY - timedelta(days=1), 20, 1),
        ("a", "m-1", TODAY, 30, 1),
        ("a", "m-2", TODAY, 30, 1),
        ("b", "m-1", TODAY, 30, 1),
        ("x", "m-1", TODAY, 30, 1),
    )
    days = [(row.day, row.people) for row in leaderboard.by_day(connection, WEEK)]
    assert days == [(TODAY - timedelta(days=1), 1), (TODAY, 2)]


def test_filters_offer_every_team_and_every_module_that_was_begun(
    store: Engine, connection: Connection
) -> None:
    people(store, ("a", "west"), ("b", "east"), ("-c", "gone"), ("d", None))
    progress(store, ("a", "m-2", TODAY, 1, 1), ("b", "m-1", TODAY, 1, 1), ("a", "m-1", TODAY, 1, 1))
    assert catalog.teams(connection) == ["east", "gone", "west"]
    assert [tuple(row) for row in catalog.modules(connection)] == [("m-1", "M-1"), ("m-2", "M-2")]
    assert catalog.learners(connection) == 3


def test_equal_gains_in_fractions_are_ties(store: Engine, connection: Connection) -> None:
    progress(
        store,
        ("a", "m-1", TODAY, 10.1, 0),
        ("a", "m-2", TODAY, 20.2, 0),
        ("b", "m-1", TODAY, 30.3, 0),
    )
    assert ranks(connection, "gained") == [(1, "a", 30.3), (1, "b", 30.3)]


def test_a_team_where_nobody_moved_stands_last_with_nothing(
    store: Engine, connection: Connection
) -> None:
    people(store, ("a", "west"), ("b", "idle"))
    progress(store, ("a", "m-1", TODAY, 50, 0))
    board = leaderboard.teams(connection, "gained", WEEK)
    assert [(row.rank, row.team_id, row.moved, row.average) for row in board] == [
        (1, "west", 1, 50),
        (2, "idle", 0, 0),
    ]


def test_more_time_than_fits_into_32_bits_adds_up(store: Engine, connection: Connection) -> None:
    longest = 1_000_000_000
    progress(store, *(("a", f"m-{n}", TODAY, 1, longest) for n in range(3)))
    assert ranks(connection, "time") == [(1, "a", 3 * longest)]


def test_a_cut_off_board_says_how_many_there_are(store: Engine, connection: Connection) -> None:
    progress(store, *((user, "m-1", TODAY, 10, 0) for user in "abc"))
    board = leaderboard.learners(connection, "gained", WEEK, limit=2)
    assert [row.of for row in board] == [3, 3]
