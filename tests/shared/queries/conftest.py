"""One seeded history a store, for all that recompute its figures. They only read it."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime

import pytest
from sqlalchemy import Connection, Engine

from shared.database import open_engine
from shared.models import Event
from tests import history, stores
from tests.conftest import STORES, FreshStore
from tests.recomputed import Company, Stored


@pytest.fixture(scope="session", params=STORES)
def played(request: pytest.FixtureRequest, fresh_store: FreshStore) -> Iterator[Engine]:
    """A store with the history in it."""
    with fresh_store(request.param) as url:
        engine = open_engine(url)
        history.play(engine)
        yield engine
        engine.dispose()


@pytest.fixture(scope="session")
def events(played: Engine) -> Sequence[Stored]:
    """What is stored, as it came."""
    rows = stores.rows(played, Event)
    return [Stored(*(getattr(row, name) for name in Stored._fields)) for row in rows]


@pytest.fixture(scope="session")
def company(events: Sequence[Stored]) -> Company:
    """The figures of these events."""
    return Company(events, datetime.now(UTC), WEIGHTS, dict([history.OWN_THRESHOLD]))


WEIGHTS: Mapping[str, float] = {
    "progress": 1, "module": 40, "course": 100, "quiz": 30, "first_try": 5.5,
    "deal.won": 500, "meeting.held": 20,
}  # fmt: skip


@pytest.fixture
def reader(played: Engine) -> Iterator[Connection]:
    with played.connect() as connection:
        yield connection
