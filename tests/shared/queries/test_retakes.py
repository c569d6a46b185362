"""Results of retakes, over small tables worked out by hand."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, Engine

from shared.queries import retakes
from shared.queries.people import Who
from shared.queries.quiz_standings import Filters
from tests.shared.tables import NOON, V, attempts, cases, people


def day(number: float) -> datetime:
    return NOON + timedelta(days=number)


@pytest.fixture
def connection(store: Engine) -> Iterator[Connection]:
    with store.connect() as connection:
        yield connection


def tried(store: Engine, user: str, *scores: tuple[float, float], **more: Any) -> None:
    """Attempts of one: (day, score out of 10)."""
    rows = ({"user_id": user, "submitted_at": day(at), "score": score, "event_key": f"{user}{at}"}
            for at, score in scores)  # fmt: skip
    attempts(store, *(row | more for row in rows))


def achieved(connection: Connection, **filters: Any) -> list[tuple[Any, ...]]:
    found = [tuple(row) for row in retakes.achieved(connection, Filters(**filters))]
    connection.rollback()  # the next look sees what was written meanwhile
    return found


def test_lift_and_time_to_pass_have_counts_for_coached_and_not(
    store: Engine, connection: Connection
) -> None:
    tried(store, "coached", (0, 4), (9, 8.5))
    cases(store, {"user_id": "coached", "opened_at": day(1)})
    tried(store, "alone", (0, 5), (2, 6), (4, 7))
    tried(store, "still-low", (0, 5), (3, 6))
    assert achieved(connection) == [(True, 1, 1, 45, 9), (False, 2, 1, 15, 4)]


def test_a_median_is_the_middle_one_and_of_two_their_mean(
    store: Engine, connection: Connection
) -> None:
    for user, score in (("a", 7), ("b", 8), ("c", 10)):
        tried(store, user, (0, 4), (1, score))
    assert achieved(connection) == [(False, 3, 3, 40, 1)]
    tried(store, "d", (0, 4), (9, 9))
    assert achieved(connection) == [(False, 4, 4, 45, 1)]


def test_without_a_fail_or_a_second_try_there_is_no_retake(
    store: Engine, connection: Connection
) -> None:
    tried(store, "once", (0, 4))
    tried(store, "fine", (0, 8), (1, 9))
    tried(store, "practised", (0, 4))
    tried(store, "practised", (1, 9), graded=False)
    assert achieved(connection) == []


def test_a_fail_after_a_pass_begins_another_retake(store: Engine, connection: Connection) -> None:
    tried(store, "a", (0, 5), (1, 8), (10, 3), (13, 9))
    assert achieved(connection) == [(False, 2, 2, 45, 2)]


@pytest.mark.parametrize(
    ("case", "coached"),
    [
        ({"opened_at": day(1)}, True),
        ({"opened_at": day(1), "status": "resolved", "closed_at": day(2)}, True),
        ({"opened_at": day(1), "status": "dismissed", "closed_at": day(9)}, False),
        ({"opened_at": day(6)}, False),
        ({"opened_at": day(-3), "status": "resolved", "closed_at": day(-1)}, False),
        ({"opened_at": day(1), "quiz_id": "q-2"}, False),
    ],
)
def test_a_case_between_the_fail_and_the_last_attempt_makes_a_retake_coached(
    store: Engine, connection: Connection, case: dict[str, Any], coached: bool
) -> None:
    tried(store, "u-1", (0, 4), (5, 8))
    cases(store, case)
    assert [row[0] for row in achieved(connection)] == [coached]


def test_retakes_are_limited_as_the_queue_is(store: Engine, connection: Connection) -> None:
    people(store, ("a", "west"), ("-gone", "west"))
    tried(store, "a", (0, 4), (1, 8))
    tried(store, "gone", (0, 4), (1, 8))
    tried(store, "b", (0, 4), (5, 8), quiz_id="q-2")
    assert [row[1] for row in achieved(connection)] == [2]
    assert [row[1] for row in achieved(connection, since=day(5))] == [1]
    assert [row[1] for row in achieved(connection, quiz=(V, "q-1"))] == [1]
    assert [row[1] for row in achieved(connection, who=Who(teams=("west",)))] == [1]
    assert achieved(connection, default_pct=30) == []
