"""A dashboard on a read replica: what it shows, and what it cannot do there."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from sqlalchemy import Engine, make_url
from sqlalchemy.exc import InternalError

from shared.audit import note
from shared.database import is_current, migrate, open_engine
from shared.models import AuditLog
from tests.conftest import Postgres
from tests.own_postgres import own_postgres
from tests.running import until
from tests.shared.tables import people
from tests.stores import read_models, rows


class Pair(NamedTuple):
    """One database on its server, and on another server that follows it."""

    primary: Engine
    replica: Engine


@pytest.fixture(scope="module")
def pair(postgres_server: Postgres) -> Iterator[Pair]:
    """After the session's own server, as the first one makes the user for all."""
    with own_postgres() as server, server.database() as url:
        primary = open_engine(url)
        migrate(primary)
        with server.replica() as follower:
            replica = open_engine(follower.url(make_url(url).database or ""))
            yield Pair(primary, replica)
            replica.dispose()
        primary.dispose()


def state(engine: Engine) -> dict[str, list[tuple[Any, ...]]]:
    with engine.connect() as connection:
        return read_models(connection)


def test_a_replica_comes_to_show_what_the_primary_has(pair: Pair) -> None:
    assert is_current(pair.replica)
    people(pair.primary, ("ann", "west"))
    wanted = state(pair.primary)
    assert wanted["learner"]
    until(lambda: state(pair.replica) == wanted)


def test_a_replica_refuses_what_somebody_does_on_a_page(pair: Pair) -> None:
    with pytest.raises(InternalError, match="read-only"), pair.replica.begin() as connection:
        note(connection, "dashboard", "anything", None, "")
    assert rows(pair.primary, AuditLog) == []
