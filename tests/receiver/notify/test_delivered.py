"""From a delivery to a message: the whole way, through the processes of `serve`."""

import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from psutil import NoSuchProcess
from sqlalchemy import Engine
from standardwebhooks import Webhook

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


WHSEC = "whsec_" + "a" * 32


@pytest.fixture
def system() -> Iterator[Server]:
    """The other system, to which is forwarded."""
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


def forwarding_to(system: Server) -> dict[str, str]:
    return {
        "FORWARD_LMS": f"http://127.0.0.1:{system.server_port}/hook",
        "FORWARD_LMS_SECRET": WHSEC,
        "FORWARD_LMS_TYPES": "learner.provisioned,quiz.low",
        "NOTIFY_PRIVATE_ADDRESSES": "yes",
    }


def test_facts_are_forwarded_once_though_all_of_serve_is_killed_between(
    store_url: str, tmp_path: Path, store: Engine, system: Server
) -> None:
    with Receiver(store_url, tmp_path, **forwarding_to(system)) as receiver:
        fail(receiver, "u-1")
        until(lambda: len(system.requests) >= 2)
        fail(receiver, "u-2")
        for process in receiver.processes():
            with suppress(NoSuchProcess):
                process.kill()
        receiver.process.wait()
    with Receiver(store_url, tmp_path, **forwarding_to(system)) as receiver:
        until(lambda: [one.state for one in stores.rows(store, Notification)] == 4 * ["sent"])
        sent = 'repboard_messages{rule="quiz.low",state="sent"}'
        until(lambda: receiver.metric(sent) == 2)
    by_id = {headers["webhook-id"]: (headers, body) for headers, body in system.requests}
    assert set(by_id) == {row.message_id for row in stores.rows(store, Notification)}
    # What the last step had sent, and not noted, is sent a second time under the same ID.
    times = Counter(headers["webhook-id"] for headers, _ in system.requests)
    assert max(times.values()) <= 2
    for row in stores.rows(store, Notification):
        assert Webhook(WHSEC).verify(row.payload, by_id[row.message_id][0])["type"] == row.rule
