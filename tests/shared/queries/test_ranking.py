"""A whole board in memory says what the same questions to the store say."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import Connection, Engine

from shared.facts import Completed
from shared.queries import leaderboard
from shared.queries.movement import Board
from shared.queries.people import Who
from shared.queries.ranking import standings
from shared.queries.windows import WEEK, Window, window_of
from shared.scoring import DEFAULT, Rules, Weight, rules_of
from tests.shared.tables import V, fold, progress

TODAY = date(2025, 11, 22)
EVENING = datetime(2025, 11, 22, 20, tzinfo=UTC)
WITH_COURSES = rules_of([Weight("progress", "", 1), Weight("course", "", 10)])
ENDS = [EVENING - number * WEEK for number in (3, 0, 1)]


@pytest.fixture
def connection(store: Engine) -> Iterator[Connection]:
    progress(
        store,
        *(
            (f"u-{user}", f"m-{user % 3}", TODAY - timedelta(days=days), 10 + user + 3 * days, days)
            for user in range(8)
            for days in (1, 4, 9, 16, 23)
            if (user + days) % 3
        ),
    )
    fold(store, [Completed(V, "evt-1", "u-9", "c-1", "Course", None, EVENING)])
    with store.connect() as connection:
        yield connection


@pytest.mark.parametrize("rules", [DEFAULT, WITH_COURSES], ids=["by progress", "by courses too"])
@pytest.mark.parametrize("window", ["7d", "30d", "all"])
def test_its_totals_are_those_of_the_store(
    connection: Connection, window: str, rules: Rules
) -> None:
    board = Board(Who(), window_of(window, EVENING, "UTC"), rules=rules)
    found = standings(connection, board).totals()
    assert found.active
    assert found == pytest.approx(leaderboard.totals(connection, board))


@pytest.mark.parametrize("rules", [DEFAULT, WITH_COURSES], ids=["by progress", "by courses too"])
def test_weeks_looked_up_together_are_those_of_each_alone(
    connection: Connection, rules: Rules
) -> None:
    board = Board(rules=rules)
    weeks = [board._replace(window=Window(end - WEEK, end)) for end in ENDS]
    alone = [leaderboard.totals(connection, week) for week in weeks]
    assert any(week.active for week in alone)
    for together, week in zip(
        leaderboard.weekly_totals(connection, board, ENDS), alone, strict=True
    ):
        assert tuple(together) == pytest.approx(tuple(week))


def test_people_are_looked_at_on_and_on_until_enough_are_close(connection: Connection) -> None:
    ranking = standings(connection, Board()).by("gained")
    asked: list[str] = []

    def of_the_last(persons: tuple[str, ...]) -> dict[str, leaderboard.Unfinished]:
        asked.extend(persons)
        return {}

    assert ranking.close_calls(of_the_last, limit=1) == []
    assert len(asked) == len(set(asked)) == ranking.how_many() - 1
