"""The store fails under load and comes back: 503 meanwhile, and nothing acknowledged is lost."""

import resource
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from sqlalchemy import Engine
from sqlmodel import SQLModel

from shared.bulk import table_of
from shared.database import migrate, open_engine
from shared.models import Delivery, Event, ModuleProgress, Quarantine
from tests import playing
from tests.conftest import FreshStore, Postgres
from tests.load import Load
from tests.own_postgres import OwnPostgres, own_postgres
from tests.running import Receiver, until
from tests.stores import rows, write_locked

SMALL_BYTES = 4_096
ROOM_BYTES = 300_000
Fill = Callable[[Receiver, str], httpx.Response]


@pytest.fixture(scope="module")
def own_server(postgres_server: Postgres) -> Iterator[OwnPostgres]:
    """One that may be stopped; after the session's own, as the first makes the user for both."""
    with own_postgres() as server:
        yield server


@contextmanager
def full_disk(receiver: Receiver, room: int = SMALL_BYTES) -> Iterator[None]:
    """Meanwhile no file of the receiver's can grow past `room` bytes, and writes there fail.

    The limit of a process gives the same kind of error as a full disk, and needs no privilege.
    """
    pids, limit = [one.pid for one in receiver.processes()], resource.RLIMIT_FSIZE
    before = resource.prlimit(pids[0], limit)
    for pid in pids:
        resource.prlimit(pid, limit, (room, before[1]))
    yield
    for pid in pids:
        resource.prlimit(pid, limit, before)


def acknowledges(load: Load, more: int = 30) -> None:
    """Wait until the load is taken in."""
    enough = len(load.acknowledged) + more
    until(lambda: len(load.acknowledged) >= enough)


def is_refused(load: Load, more: int = 5) -> None:
    """Wait until the load is refused."""
    enough = len(load.refused) + more
    until(lambda: len(load.refused) >= enough)


def assert_nothing_is_lost(engine: Engine, load: Load) -> None:
    """All that was answered otherwise than 200 was to be sent again, and all else is there."""
    assert {answer.status_code for answer in load.refused} == {503}
    assert all(int(answer.headers["retry-after"]) > 0 for answer in load.refused)
    stored = [one.event_key for one in rows(engine, Event)]
    assert len(stored) == len(set(stored))
    assert load.acknowledged <= set(stored)


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_a_receiver_outlives_its_postgres_being_stopped_and_started_under_load(
    own_server: OwnPostgres, tmp_path: Path, mode: str
) -> None:
    with own_server.database() as url:
        migrate(open_engine(url))
        with Receiver(url, tmp_path) as receiver, Load(receiver.url) as load:
            acknowledges(load)
            own_server.stop(mode)
            is_refused(load)
            own_server.start()
            acknowledges(load)
        assert_nothing_is_lost(receiver.engine, load)


def test_a_receiver_outlives_a_full_disk_under_load(sqlite_url: str, tmp_path: Path) -> None:
    with Receiver(sqlite_url, tmp_path) as receiver, Load(receiver.url) as load:
        acknowledges(load)
        with full_disk(receiver):
            is_refused(load)
        acknowledges(load)
    assert_nothing_is_lost(receiver.engine, load)
    with sqlite3.connect(tmp_path.joinpath(receiver.engine.url.database or "")) as store:
        assert store.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def junk(receiver: Receiver, key: str) -> httpx.Response:
    return receiver.post(b"x" * 50_000, {})


def quarantined(receiver: Receiver, key: str) -> httpx.Response:
    body = playing.body_of("badge.earned", {"note": key, "more": "x" * 50_000})
    return receiver.post(body, playing.signed(body, datetime.now(UTC), key, "wrong"))


def new_learner(receiver: Receiver, key: str) -> httpx.Response:
    return receiver.deliver("module.progress", playing.progress(key), key)


FILLS: dict[str, tuple[Fill, type[SQLModel]]] = {
    "junk": (junk, Delivery),
    "quarantine": (quarantined, Quarantine),
    "events": (new_learner, Event),
}
"""What may fill a store, and the table in which it does."""


def status_of(fill: Fill, receiver: Receiver) -> int:
    answer = fill(receiver, playing.new_id())
    assert answer.status_code != 503 or int(answer.headers["retry-after"]) > 0
    return answer.status_code


@pytest.mark.parametrize("by", FILLS)
def test_a_full_sqlite_store_accepts_deliveries_once_there_is_space(
    sqlite_url: str, tmp_path: Path, by: str
) -> None:
    fill, _ = FILLS[by]
    with Receiver(sqlite_url, tmp_path) as receiver:
        size = Path(receiver.engine.url.database or "").stat().st_size
        with full_disk(receiver, size + ROOM_BYTES):
            until(lambda: status_of(fill, receiver) == 503)
            until(lambda: status_of(new_learner, receiver) == 503)
        until(lambda: status_of(new_learner, receiver) == 200)
        assert status_of(fill, receiver) != 503
        receiver.followed()
        assert_is_whole(receiver.engine)


@contextmanager
def cannot_grow(engine: Engine, table: str) -> Iterator[None]:
    """Meanwhile a table of a Postgres takes no row, with the error of a full disk."""
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "CREATE OR REPLACE FUNCTION is_full() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            "RAISE EXCEPTION 'could not extend file' USING ERRCODE = 'disk_full'; END $$"
        )
        connection.exec_driver_sql(
            f"CREATE TRIGGER is_full BEFORE INSERT OR UPDATE ON {table} EXECUTE FUNCTION is_full()"
        )
    yield
    with engine.begin() as connection:
        connection.exec_driver_sql(f"DROP TRIGGER is_full ON {table}")


@pytest.mark.parametrize("by", FILLS)
def test_a_postgres_with_a_full_table_accepts_deliveries_once_it_can_grow(
    fresh_store: FreshStore, tmp_path: Path, by: str
) -> None:
    fill, model = FILLS[by]
    with fresh_store("postgres") as url, Receiver(url, tmp_path) as receiver:
        with cannot_grow(receiver.engine, table_of(model).name):
            assert [status_of(fill, receiver) for _ in range(3)] == [503] * 3
        assert status_of(fill, receiver) != 503
        assert status_of(new_learner, receiver) == 200
        receiver.followed()
        assert len(rows(receiver.engine, Event)) == len(rows(receiver.engine, ModuleProgress))


def test_read_models_that_cannot_grow_cost_no_delivery_and_follow_once_they_can(
    fresh_store: FreshStore, tmp_path: Path
) -> None:
    with fresh_store("postgres") as url, Receiver(url, tmp_path) as receiver:
        with cannot_grow(receiver.engine, table_of(ModuleProgress).name):
            assert [status_of(new_learner, receiver) for _ in range(3)] == [200] * 3
            until(lambda: "could not extend file" in receiver.log.read_text())
            assert not rows(receiver.engine, ModuleProgress)
        receiver.followed()
        assert len(rows(receiver.engine, ModuleProgress)) == 3


def assert_is_whole(engine: Engine) -> None:
    """Every accepted delivery has its event and read model, and the file no fault."""
    accepted = rows(engine, Delivery, outcome="accepted")
    assert len(accepted) == len(rows(engine, Event)) == len(rows(engine, ModuleProgress))
    with engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA integrity_check").scalar_one() == "ok"


def test_a_receiver_outlives_another_process_that_keeps_the_store_locked_under_load(
    receiver: Receiver,
) -> None:
    with Load(receiver.url) as load:
        acknowledges(load)
        with write_locked(receiver.engine):
            is_refused(load, 1)
        acknowledges(load)
    assert_nothing_is_lost(receiver.engine, load)
