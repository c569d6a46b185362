"""The processes of a receiver: what ends is started again, and nothing outlives its parent."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from sqlalchemy import Engine

from receiver.simulator import PARTS
from shared.database import open_engine, write_transaction
from shared.models import Event, Heartbeat, ModuleProgress, Trial
from shared.queries.follower import lag
from shared.queries.trials import ask_for_test
from tests import playing
from tests.programs import Program
from tests.running import Receiver, environment, until
from tests.stores import count, rows


@pytest.fixture
def running(sqlite_url: str, tmp_path: Path) -> Iterator[Receiver]:
    with Receiver(sqlite_url, tmp_path) as receiver:
        yield receiver


@pytest.fixture
def two_workers(store_url: str, tmp_path: Path) -> Iterator[Receiver]:
    with Receiver(store_url, tmp_path, RECEIVER_WORKERS="2") as receiver:
        until(lambda: both_beat(receiver))
        yield receiver


def both_beat(receiver: Receiver) -> bool:
    """Whether both workers receive. One notes its heartbeat when asked, else after 15 seconds."""
    by_itself(receiver, "GET", "/readyz")
    return count(receiver.engine, Heartbeat) == 2


def by_itself(receiver: Receiver, method: str, path: str, **sent: Any) -> httpx.Response:
    """A request over a connection of its own, which any worker may be given."""
    return httpx.request(method, f"{receiver.url}{path}", timeout=60, trust_env=False, **sent)


def deliver_by_itself(receiver: Receiver) -> None:
    body = playing.body_of("module.progress", playing.progress(playing.new_id()))
    headers = playing.signed(body, datetime.now(UTC), playing.new_id())
    answer = by_itself(receiver, "POST", "/webhooks/mindtickle", content=body, headers=headers)
    assert answer.json() == {"received": True}


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


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_port_in_use_is_one_line(
    running: Receiver, sqlite_url: str, tmp_path: Path, workers: str
) -> None:
    second = Receiver(sqlite_url, tmp_path, running.port, RECEIVER_WORKERS=workers)
    assert second.process.wait(60) == 1
    (line,) = second.errors.read_text().splitlines()
    assert line.startswith("RECEIVER_HOST, RECEIVER_PORT: cannot listen on 127.0.0.1, port ")


# Several workers


def test_workers_share_a_port_and_each_has_the_metrics_of_all(two_workers: Receiver) -> None:
    for _ in range(30):
        deliver_by_itself(two_workers)
    sample = 'repboard_deliveries_total{outcome="accepted",vendor="mindtickle"} 30.0'
    for _ in range(10):
        assert sample in by_itself(two_workers, "GET", "/metrics").text.splitlines()
    until(lambda: folded(two_workers.engine))
    assert count(two_workers.engine, Event) == 30


def test_a_killed_worker_comes_back_and_what_it_has_counted_stays(two_workers: Receiver) -> None:
    for _ in range(10):
        deliver_by_itself(two_workers)
    killed, other = two_workers.processes("receiver")
    killed.kill()
    until(lambda: is_over(killed) and len(two_workers.processes("receiver")) == 2)
    assert other in two_workers.processes("receiver")
    for _ in range(10):
        deliver_by_itself(two_workers)
    sample = 'repboard_deliveries_total{outcome="accepted",vendor="mindtickle"} 20.0'
    assert sample in by_itself(two_workers, "GET", "/metrics").text.splitlines()


def test_any_worker_recognises_a_test_that_another_one_sends(two_workers: Receiver) -> None:
    for _ in range(2):
        with write_transaction(two_workers.engine) as connection:
            for vendor in PARTS:
                ask_for_test(connection, vendor, "dana")
        until(lambda: all(one.finished_at for one in rows(two_workers.engine, Trial)))
        assert {one.status for one in rows(two_workers.engine, Trial)} == {200}
    assert count(two_workers.engine, Event) == 0
