"""From a delivery to a message: the whole way, through the processes of `serve`."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from shared.models import Notification
from shared.subscriptions import LOCAL, Wanted, save
from tests import stores
from tests.receiver.notify.hooks import Server, serving, status
from tests.running import Receiver
from tests.waiting import until


@pytest.fixture
def hook() -> Iterator[Server]:
    with serving(status(200)) as server:
        yield server


@pytest.fixture
def telling(store_url: str, tmp_path: Path, hook: Server) -> Iterator[Receiver]:
    """A receiver with one channel, `hook`."""
    settings = {
        "NOTIFY_HOOK": hook.address,
        "NOTIFY_PRIVATE_ADDRESSES": "yes",
        "HEARTBEAT_URL": f"http://127.0.0.1:{hook.server_port}/beat",
    }
    with Receiver(store_url, tmp_path, **settings) as running:
        yield running


def subscribe(store: Engine, rule: str) -> None:
    with store.begin() as connection:
        save(connection, LOCAL, "admin", None, Wanted(rule, "hook", "Europe/Berlin"))


def fail(receiver: Receiver, user: str) -> None:
    """A learner joins and fails a graded quiz."""
    joined = {"userId": user, "email": f"{user}@acme.example", "teamId": "west"}
    receiver.deliver("user.provisioned", joined)
    score = {"userId": user, "quizId": "q-1", "quizName": "Pricing", "score": 8, "maxScore": 20}
    receiver.deliver("quiz.submitted", score | {"quizType": "graded"})


def test_a_failed_quiz_is_sent_once_with_a_link_whatever_is_killed(
    telling: Receiver, store: Engine, hook: Server
) -> None:
    subscribe(store, "low-quiz")
    fail(telling, "u-1")
    until(lambda: bool(hook.requests))
    ((_, body),) = hook.requests
    assert body["title"] == "u-1@acme.example scored 40 % at Pricing (pass mark 70 %)"
    assert "/learner?id=mindtickle%2Fu-1" in body["message"]
    assert "/preferences?subscription=" in body["message"]
    until(lambda: stores.row(store, Notification).state == "sent")
    (notifier,) = telling.processes("notifier")
    notifier.send_signal(signal.SIGKILL)
    fail(telling, "u-2")
    until(lambda: len(hook.requests) > 1)
    until(lambda: {one.state for one in stores.rows(store, Notification)} == {"sent"})
    ids = [headers["X-Repboard-Message"] for headers, _ in hook.requests]
    assert len(set(ids)) == len(stores.rows(store, Notification)) == 2
    until(lambda: hook.beats >= 2)  # of the notifier that was killed, and of the next
