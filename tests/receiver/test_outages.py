"""The store fails under load and comes back: 503 meanwhile, and nothing acknowledged is lost."""

import resource
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Engine

from shared.database import migrate, open_engine
from shared.models import Event
from tests.conftest import Postgres
from tests.load import Load
from tests.own_postgres import OwnPostgres, own_postgres
from tests.running import Receiver, until
from tests.stores import held, rows

SMALL_BYTES = 4_096


@pytest.fixture(scope="module")
def own_server(postgres_server: Postgres) -> Iterator[OwnPostgres]:
    """One that may be stopped; after the session's own, as the first makes the user for both."""
    with own_postgres() as server:
        yield server


@contextmanager
def full_disk(receiver: Receiver) -> Iterator[None]:
    """Meanwhile no file of the receiver's can grow, and writes past its first pages fail.

    The limit of a process gives the same kind of error as a full disk, and needs no privilege.
    """
    pid, limit = receiver.process.pid, resource.RLIMIT_FSIZE
    before = resource.prlimit(pid, limit)
    resource.prlimit(pid, limit, (SMALL_BYTES, before[1]))
    yield
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


def test_a_receiver_outlives_another_process_that_keeps_the_store_locked_under_load(
    receiver: Receiver,
) -> None:
    with Load(receiver.url) as load:
        acknowledges(load)
        with held(receiver.engine):
            is_refused(load, 1)
        acknowledges(load)
    assert_nothing_is_lost(receiver.engine, load)
