"""kill -9 under load: every acknowledged event is stored exactly once."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import pytest
from sqlalchemy import Engine

from shared.database import open_engine
from shared.models import Event, ModuleProgress, QuizAttempt
from tests.conftest import STORES, FreshStore
from tests.crash import Proof, killed_under_load
from tests.load import SENDERS, Load
from tests.running import Receiver
from tests.stores import rows

KILLS = 10
"""On each kind of store."""


class Crashed(NamedTuple):
    """A store whose receiver was killed and restarted several times under load."""

    url: str
    folder: Path
    engine: Engine
    loads: list[Load]


@pytest.fixture(scope="module", params=STORES)
def crashed(
    request: pytest.FixtureRequest,
    fresh_store: FreshStore,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Crashed]:
    folder = tmp_path_factory.mktemp("crash")
    with fresh_store(request.param) as url:
        engine = open_engine(url)
        loads = [killed_under_load(url, folder, f"run{n}") for n in range(KILLS)]
        yield Crashed(url, folder, engine, loads)
        engine.dispose()


def event_keys(engine: Engine) -> list[str]:
    return [one.event_key for one in rows(engine, Event)]


def test_every_acknowledged_event_is_stored_once_and_the_read_models_equal_a_rebuild(
    crashed: Crashed,
) -> None:
    proof = Proof.of(crashed.engine, crashed.loads)
    assert (proof.kills, proof.lost, proof.doubled, proof.rebuilt_alike) == (KILLS, 0, 0, True)
    assert proof.acknowledged > KILLS


def test_every_event_has_its_delivery_and_none_is_accepted_without_its_event(
    crashed: Crashed,
) -> None:
    with crashed.engine.connect() as connection:
        accepted = connection.exec_driver_sql(
            "SELECT id FROM delivery WHERE outcome = 'accepted' ORDER BY id"
        ).all()
        events = connection.exec_driver_sql("SELECT delivery_id FROM event ORDER BY 1").all()
    assert accepted == events


def test_a_vendor_that_then_retries_everything_gives_each_event_exactly_once(
    crashed: Crashed,
) -> None:
    sent = {key: delivery for load in crashed.loads for key, delivery in load.sent.items()}
    with (
        Receiver(crashed.url, crashed.folder) as receiver,
        ThreadPoolExecutor(SENDERS) as vendor,
    ):
        answers = list(vendor.map(lambda delivery: receiver.post(*delivery), sent.values()))
        receiver.followed()
    assert {answer.status_code for answer in answers} == {200}
    assert sorted(event_keys(crashed.engine)) == sorted(sent)
    quizzes = [key for key, (body, _) in sent.items() if b"quiz.submitted" in body]
    assert sorted(one.event_key for one in rows(crashed.engine, QuizAttempt)) == sorted(quizzes)
    progressed = {one.user_id for one in rows(crashed.engine, ModuleProgress)}
    assert progressed == {
        json.loads(body)["data"]["userId"]
        for body, _ in sent.values()
        if b"module.progress" in body
    }
