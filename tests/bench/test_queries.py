"""The benchmark asks everything that pages ask."""

from datetime import UTC, datetime

from sqlalchemy import Engine

from tests.bench.queries import all_asked
from tests.bench.seed import seed


def test_every_query_of_a_page_can_be_asked(store_url: str, store: Engine) -> None:
    now = datetime.now(UTC)
    seed(store_url, 2_000, now)
    with store.connect() as connection:
        asked = all_asked(connection, now)
        names = {one.name for one in asked}
        assert {"leaderboard.learners", "quizzes.quizzes", "contests.late"} <= names
        for one in asked:
            one.ask(connection)
