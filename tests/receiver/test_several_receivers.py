"""Several receivers on one store, all given the same deliveries at once."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Engine

from receiver.pipeline import judge
from receiver.readmodels.rebuild import rebuild
from receiver.store import write_batch
from shared.database import write_transaction
from shared.models import Delivery, DeliveryHourly, Event, LearnerStanding, QuizAttempt
from tests import holding, playing
from tests.conftest import STORES, FreshStore
from tests.running import Receiver
from tests.stores import read_models, row, rows

EVENTS = 60
SENDERS_EACH = 2


@pytest.fixture(scope="module", params=STORES)
def four(
    request: pytest.FixtureRequest,
    fresh_store: FreshStore,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[list[Receiver]]:
    """Four receivers on one store."""
    folder = tmp_path_factory.mktemp("several")
    with fresh_store(request.param) as url, ExitStack() as running, ThreadPoolExecutor(4) as pool:
        receivers = [Receiver(url, folder) for _ in range(4)]
        for receiver in receivers:
            running.push(receiver)
        yield list(pool.map(Receiver.__enter__, receivers))


def event(number: int) -> tuple[str, dict[str, Any]]:
    """Four of each learner in a row, so that receivers sum up the same learner at once."""
    user = f"u-{number // 4}"
    if number % 4:
        module = {"moduleId": f"m-{number % 11}", "progressPct": number, "note": playing.new_id()}
        return "module.progress", playing.progress(user, **module)
    quiz = {"userId": user, "quizId": "q-1", "score": number % 11, "maxScore": 10}
    return "quiz.submitted", quiz | {"note": playing.new_id()}


def send_to_all(receivers: list[Receiver]) -> tuple[list[str], Counter[str]]:
    """The ids of new events, and how often each answer came. Each receiver is one event ahead of
    the next, so that they handle the same events, and other events of the same learner, at once."""
    sent = {}
    for number in range(EVENTS):
        event_id, body = playing.new_id(), playing.body_of(*event(number))
        sent[event_id] = (body, playing.signed(body, datetime.now(UTC), event_id))
    deliveries = list(sent.values())
    work = [
        (receiver, deliveries[(number + place) % EVENTS])
        for number in range(EVENTS)
        for place, receiver in enumerate(receivers)
    ]
    with ThreadPoolExecutor(SENDERS_EACH * len(receivers)) as vendor:
        answers = list(vendor.map(lambda one: one[0].post(*one[1]).text, work))
    return list(sent), Counter(answers)


def counted(engine: Engine) -> Counter[str]:
    total: Counter[str] = Counter()
    for one in rows(engine, DeliveryHourly):
        total[one.outcome] += one.deliveries
    return total


@pytest.mark.parametrize("many", [2, 4])
def test_an_event_that_is_sent_to_every_receiver_at_once_counts_once(
    four: list[Receiver], many: int
) -> None:
    store = four[0].engine
    before = counted(store)
    sent, answers = send_to_all(four[:many])
    repeats = EVENTS * (many - 1)
    assert answers == {'{"received":true}': EVENTS, '{"duplicate":true}': repeats}
    four[0].followed()
    stored = [one.event_key for one in rows(store, Event) if one.event_key in set(sent)]
    assert sorted(stored) == sorted(sent)
    assert len([q for q in rows(store, QuizAttempt) if q.event_key in set(sent)]) == EVENTS / 4
    assert counted(store) - before == {"accepted": EVENTS, "duplicate": repeats}
    outcomes = Counter(one.outcome for one in rows(store, Delivery))
    assert outcomes == counted(store)


def test_the_read_models_that_several_receivers_made_without_a_deadlock_are_those_of_a_rebuild(
    four: list[Receiver],
) -> None:
    send_to_all(four)
    four[0].followed()
    assert [one.metric("repboard_store_failures_total") for one in four] == [0] * 4
    store = four[0].engine
    with store.connect() as connection:
        live = read_models(connection)
    assert live["learner_standing"]
    rebuild(store)
    with store.connect() as connection:
        assert read_models(connection) == live


def test_two_transactions_about_one_learner_do_not_miss_each_other(store: Engine) -> None:
    vendor = holding.vendor("s")
    first, second, third = (
        holding.incoming(f"e-{n}", "s", moduleId=f"m-{n}", progressPct=10) for n in range(3)
    )
    holding.take(store, [first], vendor)
    with ThreadPoolExecutor(1) as other:
        with write_transaction(store) as connection:
            write_batch(connection, [judge(vendor, second)])
            meanwhile = other.submit(holding.take, store, [third], vendor)
            wait([meanwhile], timeout=0.3)
        meanwhile.result()
    assert row(store, LearnerStanding).points == 30
