"""SQLite's write lock between real processes: it passes on, also from one that is killed."""

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager

import pytest
from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError

from shared import database
from shared.database import write_transaction
from tests.waiting import START_SEC

HOLD = """
import sqlite3, sys
store = sqlite3.connect(sys.argv[1], isolation_level=None)
store.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.read()
store.execute("COMMIT")
sys.stdin.close()
"""


@pytest.fixture
def engine(sqlite_url: str) -> Iterator[Engine]:
    opened = database.open_engine(sqlite_url, intake=True)
    yield opened
    opened.dispose()


@contextmanager
def foreign_holder(engine: Engine) -> Iterator[subprocess.Popen[bytes]]:
    """A program that knows nothing of Repboard and has the write lock until its input ends."""
    command = [sys.executable, "-c", HOLD, str(engine.url.database)]
    holder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert holder.stdout
    assert holder.stdout.readline() == b"held\n"
    try:
        yield holder
    finally:
        holder.kill()
        holder.communicate()


def write(engine: Engine) -> None:
    with write_transaction(engine) as connection:
        connection.exec_driver_sql("DELETE FROM heartbeat")


@pytest.mark.parametrize("end", ["kill", "commit"])
def test_a_transaction_gets_the_lock_of_a_program_that_commits_or_is_killed(
    engine: Engine, end: str
) -> None:
    with foreign_holder(engine) as holder, ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(write, engine)
        assert not wait([waiting], timeout=0.2).done
        if end == "kill":
            holder.kill()
        else:
            holder.communicate()
        waiting.result(START_SEC)


def test_a_lock_that_another_program_keeps_is_an_error_and_not_one_for_the_next_transaction(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "INTAKE_TIMEOUT_SEC", 1)
    hurried = database.open_engine(engine.url.render_as_string(), intake=True)
    with foreign_holder(engine), pytest.raises(OperationalError) as raised:
        write(hurried)
    assert isinstance(raised.value.orig, sqlite3.OperationalError)
    assert raised.value.orig.sqlite_errorname == "SQLITE_BUSY"
    write(hurried)
    with hurried.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar() == 1000
    hurried.dispose()


def test_a_reader_starts_while_another_program_has_the_write_lock(engine: Engine) -> None:
    with foreign_holder(engine), engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM event").scalar() == 0
