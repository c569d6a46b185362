"""kill -9 under load: what was acknowledged stays, exactly once."""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from sqlalchemy import Engine

from receiver.rebuild import rebuild
from shared.database import open_engine
from shared.models import Event, ModuleProgress, QuizAttempt
from tests.conftest import STORES, FreshStore
from tests.load import Load
from tests.running import Receiver, until
from tests.stores import read_models, rows

KILLS = 3


class Crashed(NamedTuple):
    """A store whose receiver was killed several times under load, each time started anew."""

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


def killed_under_load(url: str, folder: Path, prefix: str) -> Load:
    moment = random.randint(20, 150)
    with Receiver(url, folder) as receiver, Load(receiver.url, prefix) as load:
        until(lambda: len(load.acknowledged) >= moment)
        receiver.kill()
    return load


def event_keys(engine: Engine) -> list[str]:
    return [one.event_key for one in rows(engine, Event)]


def test_every_acknowledged_event_is_there_exactly_once(crashed: Crashed) -> None:
    stored = event_keys(crashed.engine)
    assert len(stored) == len(set(stored))
    for load in crashed.loads:
        assert len(load.acknowledged) >= 20
        assert load.acknowledged <= set(stored)


def test_the_read_models_are_those_of_a_rebuild(crashed: Crashed) -> None:
    with crashed.engine.connect() as connection:
        live = read_models(connection)
    assert live["module_progress"]
    rebuild(crashed.engine)
    with crashed.engine.connect() as connection:
        assert read_models(connection) == live


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
    with Receiver(crashed.url, crashed.folder) as receiver:
        answers = [receiver.post(*delivery) for delivery in sent.values()]
    assert {answer.status_code for answer in answers} == {200}
    assert sorted(event_keys(crashed.engine)) == sorted(sent)
    quizzes = [key for key, (body, _) in sent.items() if b"quiz.submitted" in body]
    assert sorted(one.event_key for one in rows(crashed.engine, QuizAttempt)) == sorted(quizzes)
    progressed = {one.user_id for one in rows(crashed.engine, ModuleProgress)}
    assert progressed == {f"u-{n}" for n in range(11)}
