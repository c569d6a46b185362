"""Who needs coaching, over small tables worked out by hand."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import Connection, Engine

from shared.models import QuizThreshold
from shared.queries import coaching
from tests.shared.tables import NOON, V, add, attempts, people

YESTERDAY = NOON - timedelta(days=1)


@pytest.fixture
def connection(store: Engine) -> Iterator[Connection]:
    with store.connect() as connection:
        yield connection


def low(connection: Connection, default: float = 70) -> list[str]:
    return [row.user_id for row in coaching.low_scorers(connection, default)]


def test_only_the_latest_graded_score_decides(store: Engine, connection: Connection) -> None:
    attempts(
        store,
        {"user_id": "better", "score": 3, "submitted_at": YESTERDAY},
        {"user_id": "better", "score": 9},
        {"user_id": "worse", "score": 9, "submitted_at": YESTERDAY},
        {"user_id": "worse", "score": 3},
    )
    assert low(connection) == ["worse"]


def test_a_row_tells_the_latest_and_the_best_score_and_how_many_tries(
    store: Engine, connection: Connection
) -> None:
    people(store, ("u-1", "west"))
    attempts(
        store,
        {"score": 6, "submitted_at": YESTERDAY - timedelta(days=1)},
        {"score": 2, "submitted_at": YESTERDAY},
        {"score": 4},
        {"quiz_id": "q-2", "score": 10},
    )
    (row,) = coaching.low_scorers(connection, 70)
    assert (row.vendor, row.user_id, row.email, row.team_id) == (V, "u-1", "u-1@x.com", "west")
    assert (row.quiz_id, row.quiz_name, row.tries, row.passed) == ("q-1", "Pricing", 3, None)
    assert (row.latest_pct, row.best_pct, row.threshold_pct) == (40, 60, 70)
    assert row.submitted_at == NOON


@pytest.mark.parametrize(("score", "is_low"), [(6.9, True), (7, False), (7.1, False)])
def test_a_score_is_low_only_under_the_threshold(
    store: Engine, connection: Connection, score: float, is_low: bool
) -> None:
    attempts(store, {"score": score})
    assert bool(low(connection, default=70)) is is_low


def test_a_practice_run_never_counts(store: Engine, connection: Connection) -> None:
    practice = {"graded": False, "score": None, "max_score": None}
    attempts(
        store,
        practice | {"user_id": "only-practice"},
        practice | {"user_id": "practised-later"},
        {"user_id": "practised-later", "score": 3, "submitted_at": YESTERDAY},
        practice | {"user_id": "scored-practice", "score": 1, "max_score": 10, "passed": False},
    )
    (row,) = coaching.low_scorers(connection, 70)
    assert (row.user_id, row.tries) == ("practised-later", 1)


def test_a_quiz_may_have_a_threshold_of_its_own(store: Engine, connection: Connection) -> None:
    strict = {"vendor": V, "quiz_id": "strict", "threshold_pct": 90}
    mild = {"vendor": V, "quiz_id": "mild", "threshold_pct": 40}
    add(store, QuizThreshold, [strict, mild])
    for quiz in ("strict", "mild", "usual"):
        attempts(store, {"quiz_id": quiz, "score": 8, "event_key": quiz, "user_id": f"u-{quiz}"})
    assert low(connection, default=70) == ["u-strict"]
    (row,) = coaching.low_scorers(connection, 70)
    assert row.threshold_pct == 90


def test_what_the_vendor_calls_not_passed_is_low_whatever_the_score(
    store: Engine, connection: Connection
) -> None:
    attempts(
        store,
        {"user_id": "high", "score": 9, "passed": False},
        {"user_id": "none", "score": None, "max_score": None, "passed": False},
        {"user_id": "fine", "score": 9, "passed": True},
    )
    assert low(connection) == ["none", "high"]


def test_a_low_score_counts_even_if_the_vendor_calls_it_passed(
    store: Engine, connection: Connection
) -> None:
    attempts(store, {"score": 6, "passed": True})
    assert low(connection, default=70) == ["u-1"]


def test_of_two_attempts_at_one_moment_one_counts(store: Engine, connection: Connection) -> None:
    attempts(store, {"event_key": "a", "score": 3}, {"event_key": "b", "score": 9})
    assert low(connection) == []


def test_leavers_need_no_coaching_and_the_unrostered_may(
    store: Engine, connection: Connection
) -> None:
    people(store, ("-gone", "west"), ("here", "west"))
    attempts(store, {"user_id": "gone"}, {"user_id": "here"}, {"user_id": "unknown"})
    assert low(connection) == ["here", "unknown"]


def test_the_lowest_score_comes_first(store: Engine, connection: Connection) -> None:
    attempts(
        store,
        {"user_id": "b", "score": 5},
        {"user_id": "a", "score": 6},
        {"user_id": "c", "score": 1},
    )
    assert low(connection) == ["c", "b", "a"]


def test_the_list_can_be_limited_to_a_time_a_team_and_a_quiz(
    store: Engine, connection: Connection
) -> None:
    people(store, ("a", "west"), ("b", "east"))
    attempts(
        store,
        {"user_id": "a"},
        {"user_id": "b", "quiz_id": "q-2", "submitted_at": YESTERDAY},
    )

    def found(**filters: object) -> list[str]:
        rows = coaching.low_scorers(connection, 70, **filters)  # type: ignore[arg-type]
        return [row.user_id for row in rows]

    assert found(since=NOON) == ["a"]
    assert found(since=YESTERDAY) == ["a", "b"]
    assert found(team_id="east") == ["b"]
    assert found(quiz_id="q-1") == ["a"]
    assert found(limit=1) == ["a"]


def test_each_graded_quiz_tells_its_takers_and_how_many_are_low(
    store: Engine, connection: Connection
) -> None:
    people(store, ("-gone", None))
    attempts(
        store,
        {"user_id": "a", "score": 9},
        {"user_id": "b", "score": 9, "submitted_at": YESTERDAY},
        {"user_id": "b", "score": 2},
        {"user_id": "gone", "score": 1},
        {"user_id": "a", "quiz_id": "q-2", "quiz_name": "Closing", "score": 10},
        {"user_id": "a", "quiz_id": "q-3", "graded": False, "score": None, "max_score": None},
    )
    quizzes = [
        (row.quiz_id, row.quiz_name, row.takers, row.low)
        for row in coaching.quizzes(connection, 70)
    ]
    assert quizzes == [("q-2", "Closing", 1, 0), ("q-1", "Pricing", 2, 1)]


def test_a_score_on_the_threshold_is_not_under_it_for_the_noise_of_fractions(
    store: Engine, connection: Connection
) -> None:
    attempts(store, {"score": 0.57, "max_score": 1})
    assert low(connection, default=57) == []


def test_the_counts_are_of_all_even_where_the_list_is_cut_off(
    store: Engine, connection: Connection
) -> None:
    attempts(
        store,
        {"user_id": "a", "quiz_id": "q-1"},
        {"user_id": "a", "quiz_id": "q-2"},
        {"user_id": "b", "quiz_id": "q-1"},
        {"user_id": "c", "score": 9},
    )
    assert len(coaching.low_scorers(connection, 70, limit=1)) == 1
    assert tuple(coaching.low_counts(connection, 70)) == (3, 2, 2)
