"""The processes of a receiver: what ends is started again, and nothing outlives its parent."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest
from sqlalchemy import Engine

from shared.database import open_engine
from shared.models import Event, ModuleProgress
from shared.queries.follower import lag
from tests import playing
from tests.programs import Program
from tests.running import Receiver, environment, until
from tests.stores import count


@pytest.fixture
def running(sqlite_url: str, tmp_path: Path) -> Iterator[Receiver]:
    with Receiver(sqlite_url, tmp_path) as receiver:
        yield receiver


def deliver(receiver: Receiver) -> None:
    answer = receiver.deliver("module.progress", playing.progress(playing.new_id()))
    assert answer.json() == {"received": True}


def is_over(process: psutil.Process) -> bool:
    """Whether a process has ended; where nothing waits for it, its number may stay."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def folded(engine: Engine) -> bool:
    return count(engine, ModuleProgress) == count(engine, Event) > 0


def test_a_killed_follower_is_started_again_and_folds_what_arrived_meanwhile(
    running: Receiver,
) -> None:
    (follower,) = running.processes("follower")
    follower.kill()
    deliver(running)
    until(lambda: is_over(follower) and len(running.processes("follower")) == 1)
    until(lambda: folded(running.engine))


def test_a_killed_child_that_receives_is_started_again_and_new_connections_wait_for_it(
    running: Receiver,
) -> None:
    (child,) = running.processes("receiver")
    child.kill()
    answer = httpx.get(f"{running.url}/healthz", timeout=60, trust_env=False)
    assert answer.is_success
    assert running.processes("receiver") != [child]


def test_the_children_of_a_killed_receiver_end_and_its_port_is_free(
    running: Receiver, sqlite_url: str, tmp_path: Path
) -> None:
    parent, *children = running.processes()
    parent.kill()
    until(lambda: all(map(is_over, children)))
    with Receiver(sqlite_url, tmp_path, running.port) as again:
        deliver(again)


def test_a_stopped_receiver_ends_all_its_processes_with_code_0(running: Receiver) -> None:
    _, *children = running.processes()
    deliver(running)
    assert running.stop() == 0
    assert all(map(is_over, children))


def test_without_a_follower_of_its_own_one_that_runs_apart_follows(
    sqlite_url: str, tmp_path: Path
) -> None:
    with Receiver(sqlite_url, tmp_path, RECEIVER_FOLLOWER="no") as receiver:
        assert len(receiver.processes()) == 2
        deliver(receiver)
        assert receiver.client.get("/readyz").json() == {"ready": True, "behind": 1}
        until(lambda: receiver.metric("repboard_events_behind") == 1)
        assert receiver.metric("repboard_seconds_behind") > 0
        with (tmp_path / "follower.log").open("wb") as log:
            apart = Program(
                "receiver", "follow",
                cwd=tmp_path, env=environment(DATABASE_URL=sqlite_url), stdout=log, stderr=log,
            )  # fmt: skip
        until(lambda: folded(receiver.engine))
        assert receiver.client.get("/readyz").json() == {"ready": True, "behind": 0}
        apart.send_signal(15)
        assert apart.wait(60) == 0
        with open_engine(sqlite_url).connect() as connection:
            assert not lag(connection).alive


def test_a_port_in_use_is_one_line(running: Receiver, sqlite_url: str, tmp_path: Path) -> None:
    second = Receiver(sqlite_url, tmp_path, running.port)
    assert second.process.wait(60) == 1
    (line,) = second.errors.read_text().splitlines()
    assert line.startswith("RECEIVER_HOST, RECEIVER_PORT: cannot listen on 127.0.0.1, port ")
