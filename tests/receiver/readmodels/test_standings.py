"""Where people stood and when, worked out by hand; the property test is in test_projections."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Connection, Engine

from receiver.readmodels.projections import project
from receiver.readmodels.standings import slot_of
from shared.bulk import table_of
from shared.facts import Attempted, Fact, Progressed
from shared.models import LearnerStanding, ModuleStanding, QuizStanding

V = "mindtickle"
NINE = datetime(2025, 11, 17, 9, 0, tzinfo=UTC)
TEN, ELEVEN = NINE + timedelta(hours=1), NINE + timedelta(hours=2)


@pytest.fixture
def connection(store: Engine) -> Iterator[Connection]:
    with store.begin() as connection:
        yield connection


def arrive(connection: Connection, *facts: Fact) -> None:
    """One by one, in this order."""
    for fact in facts:
        project(connection, [fact])


def moved(at: datetime, pct: float, seconds: int = 0, module: str = "m-1") -> Progressed:
    return Progressed(V, "u-1", module, None, pct, seconds, at)


def of_module(connection: Connection) -> list[tuple[datetime, float, int]]:
    table = table_of(ModuleStanding)
    return [tuple(row[3:]) for row in connection.execute(table.select().order_by(table.c.slot))]


def of_learner(connection: Connection) -> list[tuple[datetime, float, int, int, int]]:
    table = table_of(LearnerStanding)
    return [tuple(row[2:]) for row in connection.execute(table.select().order_by(table.c.slot))]


@pytest.mark.parametrize(
    ("minute", "begin"), [(0, 0), (14, 0), (15, 15), (29, 15), (30, 30), (59, 45)]
)
def test_a_quarter_hour_holds_its_first_moment_and_not_its_end(minute: int, begin: int) -> None:
    at = NINE.replace(minute=minute, second=59, microsecond=999_999)
    assert slot_of(at) == NINE.replace(minute=begin)


def test_a_quarter_hour_keeps_the_larger_totals_of_its_events(connection: Connection) -> None:
    arrive(connection, moved(NINE, 40, 100), moved(NINE + timedelta(minutes=5), 30, 200))
    assert of_module(connection) == [(NINE, 40, 200)]


def test_a_lower_total_of_a_later_hour_leaves_the_standing_as_it_was(
    connection: Connection,
) -> None:
    arrive(connection, moved(NINE, 40, 300), moved(TEN, 10, 100))
    assert of_module(connection) == [(NINE, 40, 300), (TEN, 40, 300)]


def test_a_late_event_lifts_the_later_standings_that_are_below_it(connection: Connection) -> None:
    arrive(connection, moved(TEN, 20, 100), moved(ELEVEN, 90, 900), moved(NINE, 50, 500))
    assert of_module(connection) == [(NINE, 50, 500), (TEN, 50, 500), (ELEVEN, 90, 900)]
    assert [row[1] for row in of_learner(connection)] == [50, 50, 90]


def test_a_learner_stands_at_the_sum_over_all_modules_begun_by_then(
    connection: Connection,
) -> None:
    arrive(
        connection,
        moved(NINE, 40, 100, "m-1"),
        moved(TEN, 100, 200, "m-2"),
        moved(ELEVEN, 100, 300, "m-1"),
    )
    assert of_learner(connection) == [
        (NINE, 40, 1, 0, 100),
        (TEN, 140, 2, 1, 300),
        (ELEVEN, 200, 2, 2, 500),
    ]


def test_a_late_event_of_another_module_lifts_all_that_came_after_it(
    connection: Connection,
) -> None:
    arrive(connection, moved(TEN, 40, 100, "m-1"), moved(NINE, 100, 50, "m-2"))
    assert of_learner(connection) == [(NINE, 100, 1, 1, 50), (TEN, 140, 2, 1, 150)]


def tried(at: datetime, score: float | None, key: str, graded: bool = True) -> Attempted:
    return Attempted(V, key, "u-1", "q-1", "Pricing", score, 20, None, graded, at)


def test_a_quiz_stands_at_its_latest_and_best_graded_attempt(
    connection: Connection,
) -> None:
    arrive(
        connection,
        tried(ELEVEN, 12, "c"),
        tried(TEN, 18, "b"),
        tried(NINE, 4, "a"),
        tried(ELEVEN + timedelta(hours=1), None, "practice", graded=False),
    )
    row = connection.execute(table_of(QuizStanding).select()).one()
    assert (row.tries, row.practice_runs) == (3, 1)
    assert (row.latest_pct, row.best_pct) == (60, 90)
    assert (row.passed, row.submitted_at) == (None, ELEVEN)
