"""Faulty connections to Postgres: each is dropped in time, and a new one works."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime

import pytest
from sqlalchemy import Engine, insert
from sqlalchemy.exc import DBAPIError, IntegrityError

from shared.bulk import table_of
from shared.database import hold_write_lock, open_engine
from shared.models import AuditLog, Event, Heartbeat
from tests.conftest import FreshStore, Postgres
from tests.load import Load
from tests.receiver.test_replay_requests import ask, finished
from tests.relay import Relay
from tests.running import Receiver, until
from tests.stores import rows

NOW = datetime(2025, 11, 22, 12, tzinfo=UTC)
PATIENCE_SEC = 15
"""MindTickle's timeout, also of the client in these tests."""


@pytest.fixture
def url(fresh_store: FreshStore) -> Iterator[str]:
    with fresh_store("postgres") as url:
        yield url


@pytest.fixture
def relay(url: str) -> Iterator[Relay]:
    with Relay(url) as relay:
        yield relay


@pytest.fixture
def relayed(relay: Relay, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    with Receiver(relay.url, tmp_path_factory.mktemp("receiver")) as running:
        running.client.timeout = PATIENCE_SEC
        yield running


def status(receiver: Receiver, event_id: str) -> int:
    answer = receiver.deliver("badge.earned", {"note": event_id}, event_id)
    assert answer.status_code == 200 or int(answer.headers["retry-after"]) > 0
    return answer.status_code


def takes(receiver: Receiver) -> None:
    """Wait until deliveries are accepted."""
    until(lambda: status(receiver, "later") == 200)


def read_only(server: Postgres, name: str | None, *, on: bool) -> None:
    """A failover: all connections are closed, and new ones reach the new server."""
    server.run(
        f"ALTER DATABASE {name} SET default_transaction_read_only = on"
        if on
        else f"ALTER DATABASE {name} RESET default_transaction_read_only"
    )
    if on:
        server.run(
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
        )


def test_a_receiver_that_connected_to_a_read_only_server_writes_once_it_is_writable(
    postgres_server: Postgres, url: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with Receiver(url, tmp_path_factory.mktemp("receiver")) as receiver:
        name = receiver.engine.url.database
        read_only(postgres_server, name, on=True)
        until(lambda: status(receiver, "meanwhile") == 503)
        assert receiver.client.get("/readyz").status_code == 503
        read_only(postgres_server, name, on=False)
        takes(receiver)
        assert receiver.client.get("/readyz").status_code == 200


def test_a_replay_requested_while_the_server_is_read_only_runs_later(
    postgres_server: Postgres, url: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with Receiver(url, tmp_path_factory.mktemp("receiver")) as receiver:
        name = receiver.engine.url.database
        read_only(postgres_server, name, on=True)
        with receiver.engine.begin() as connection:
            mine = "SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE"
            connection.exec_driver_sql(mine)
        id_ = ask(receiver.engine)
        until(lambda: "chore_failed" in receiver.log.read_text())
        read_only(postgres_server, name, on=False)
        assert finished(receiver.engine, id_).state == "done"


POISONS = {
    "a session that only reads": "SET default_transaction_read_only = on",
    "another search path": "SET search_path = nowhere",
    "a role without rights": "SET ROLE pg_monitor",
    # In a block, so that the driver does not see it.
    "prepared statements that are gone": "DO $$ BEGIN EXECUTE 'DEALLOCATE ALL'; END $$",
    "a time-out of a moment": "SET statement_timeout = '1ms'",
    "a server process that has ended": "SELECT pg_terminate_backend(pg_backend_pid())",
}
"""Faults of a connection that last until it is closed."""


def note_it(engine: Engine) -> None:
    """A transaction like the writer's: it takes the lock, repeats a statement, and writes."""
    with engine.begin() as connection:
        for _ in range(10):  # the driver prepares what is repeated
            connection.execute(insert(table_of(AuditLog)).values(at=NOW, actor="a", action="b"))
        connection.exec_driver_sql("SELECT count(*) FROM generate_series(1, 300000)")


@pytest.mark.parametrize("intake", [True, False])
@pytest.mark.parametrize("poison", POISONS)
def test_a_faulty_connection_is_replaced(url: str, poison: str, intake: bool) -> None:
    engine = open_engine(url, intake=intake)
    note_it(engine)
    with suppress(DBAPIError), engine.begin() as connection:
        connection.exec_driver_sql(POISONS[poison])
    with suppress(DBAPIError):
        note_it(engine)
    note_it(engine)
    engine.dispose()


def test_an_outdated_plan_is_dropped_with_its_connection(url: str) -> None:
    engine = open_engine(url)

    def look() -> None:
        with engine.begin() as connection:
            connection.exec_driver_sql("SELECT * FROM audit_log")

    for _ in range(10):
        look()
    with open_engine(url).begin() as other:
        other.exec_driver_sql("ALTER TABLE audit_log ADD COLUMN more TEXT")
    with pytest.raises(DBAPIError, match="cached plan"):
        look()
    look()
    engine.dispose()


def process(engine: Engine) -> int:
    with engine.connect() as connection:
        return int(connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one())


def test_a_row_that_is_refused_costs_no_connection(url: str) -> None:
    engine = open_engine(url)
    before = process(engine)
    values = {"receiver": "r", "started_at": NOW, "seen_at": NOW}
    for _ in range(2):
        with suppress(IntegrityError), engine.begin() as connection:
            connection.execute(insert(table_of(Heartbeat)).values(values))
    assert process(engine) == before
    engine.dispose()


def test_no_error_repeats_what_was_to_be_written(store: Engine) -> None:
    def write() -> None:
        with store.begin() as connection:
            values = {"receiver": "ann@example.com", "started_at": NOW, "seen_at": NOW}
            connection.execute(insert(table_of(Heartbeat)).values(values))

    write()
    with pytest.raises(IntegrityError) as caught:
        write()
    assert "parameters hidden" in str(caught.value)


# On the way


def test_a_receiver_whose_connections_are_reset_under_load_loses_nothing(
    relayed: Receiver, relay: Relay, url: str
) -> None:
    with Load(relayed.url) as load:
        for _ in range(5):
            enough = len(load.acknowledged) + 10
            until(lambda enough=enough: len(load.acknowledged) >= enough)  # type: ignore[misc]
            relay.reset()
    takes(relayed)
    engine = open_engine(url)
    keys = [one.event_key for one in rows(engine, Event)]
    engine.dispose()
    assert {answer.status_code for answer in load.refused} <= {503}
    assert len(keys) == len(set(keys))
    assert load.acknowledged <= set(keys)


def test_a_database_that_falls_silent_costs_every_delivery_a_503_in_time(
    relayed: Receiver, relay: Relay
) -> None:
    assert status(relayed, "before") == 200
    with relay.silent(), ThreadPoolExecutor(12) as pool:
        first = list(pool.map(lambda n: status(relayed, f"silent-{n}"), range(12)))
        later = list(pool.map(lambda n: status(relayed, f"later-{n}"), range(12)))
        ready = relayed.client.get("/readyz")
    assert {*first, *later} == {503}
    assert (ready.status_code, ready.json()) == (503, {"ready": False})
    assert int(ready.headers["retry-after"]) > 0
    assert relayed.metric('repboard_deliveries_not_stored_total{vendor="mindtickle"}') == 24
    takes(relayed)


def test_a_receiver_stops_on_request_while_its_database_is_silent(
    relayed: Receiver, relay: Relay
) -> None:
    assert status(relayed, "before") == 200
    with relay.silent():
        assert status(relayed, "silent") == 503
        assert relayed.stop() == 0


def test_a_server_releases_the_lock_of_a_receiver_whose_machine_disappears(url: str) -> None:
    gone, other = open_engine(url, intake=True), open_engine(url)
    connection = gone.connect()
    hold_write_lock(connection)
    with other.begin() as waiting:
        hold_write_lock(waiting)
    connection.invalidate()
    gone.dispose()
    other.dispose()
