"""From a delivery to a message: the whole way, through the processes of `serve`."""

import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
from psutil import NoSuchProcess
from sqlalchemy import Engine
from standardwebhooks import Webhook

from shared.models import Notification, Subscription
from shared.rules import TEST
from shared.subscriptions import LOCAL, Wanted, save
from tests import stores
from tests.receiver.notify.hooks import Server, serving, status
from tests.running import Receiver
from tests.shared.tables import add
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
    assert len(system.requests) <= len(by_id) + 1
    for row in stores.rows(store, Notification):
        assert Webhook(WHSEC).verify(row.payload, by_id[row.message_id][0])["type"] == row.rule


KILLS, MESSAGES = 3, 30


def test_each_kill_repeats_at_most_one_message_of_a_channel_and_loses_none(
    store_url: str, tmp_path: Path, store: Engine, hook: Server, system: Server
) -> None:
    channels = {"hook": hook, "mail": system}
    settings = {f"NOTIFY_{name.upper()}": one.address for name, one in channels.items()}
    with Receiver(store_url, tmp_path, **settings, NOTIFY_PRIVATE_ADDRESSES="yes") as receiver:
        subscribe(store, "low-quiz")
        (to,) = stores.rows(store, Subscription)
        at = datetime.now(UTC)
        rows = [
            {"rule": TEST, "round": "1", "subscription_id": to.id, "channel": name,
             "recipient": f"{n} via {name}", "subject": "1", "urgent": False, "state": "waiting",
             "attempts": 0, "caused_at": at, "next_try_at": at}
            for name in channels for n in range(MESSAGES)
        ]  # fmt: skip
        add(store, Notification, rows)
        for _ in range(KILLS):
            heard = len(hook.requests)
            until(lambda: len(hook.requests) > heard + 3)  # noqa: B023 (called at once)
            for notifier in receiver.processes("notifier"):
                notifier.kill()
        until(lambda: {one.state for one in stores.rows(store, Notification)} == {"sent"})
    for name, server in channels.items():
        times = Counter(headers["X-Repboard-Message"] for headers, _ in server.requests)
        noted = {one.message_id for one in stores.rows(store, Notification) if one.channel == name}
        assert set(times) == noted
        assert len(noted) == MESSAGES
        assert sum(times.values()) <= MESSAGES + KILLS
