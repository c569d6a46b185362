"""Forwards: what is written for which target, and what its server gets. Real HTTP, and signatures
verified by the reference package."""

import json
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
from sqlalchemy import Engine
from standardwebhooks import Webhook, WebhookVerificationError

from receiver.erase import erase_person
from receiver.notify import forwarding, sending
from receiver.notify.channels import note_channels, of_targets
from receiver.notify.forwarding import Target, note_targets, targets
from receiver.notify.notifier import Notifier
from receiver.notify.outbox import FORWARD_WAITS, SINGLE, Failed
from receiver.notify.postman import Postman
from receiver.notify.rules import StoreRules
from receiver.readmodels.rebuild import rebuild
from shared.clock import under
from shared.database import write_transaction
from shared.forwards import TYPES, send_again
from shared.models import AuditLog, Channel, Event, Forwarding, Learner, Notification
from shared.settings import NotifySettings, SettingsError
from tests import stores
from tests.playing import body_of
from tests.receiver.notify.conftest import Post, killed, step_until_heard
from tests.receiver.notify.hooks import Server, serving, status
from tests.receiver.readmodels.test_follower import killed_after
from tests.shared.tables import NOON, V, add, attempts, cases, people
from tests.stores import follow

OLD, NEW = ("whsec_" + letter * 32 for letter in "ab")
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
SET = NOON - HOUR
"""When the target was set."""
NOW = NOON + HOUR


def target(url: str = "http://127.0.0.1:1/", types: str = ",".join(TYPES), *secrets: str) -> Target:
    return Target("lms", url, secrets or [NEW], types.split(","))


def note(store: Engine, *found: Target, at: datetime = SET) -> None:
    """A notifier starts with these targets."""
    with write_transaction(under(store, at)) as connection:
        note_channels(connection, of_targets(found))
        note_targets(connection, found)


def append(store: Engine, kind: str, at: datetime, **data: Any) -> None:
    """An event of u-1 that happened and arrived at this time, in the read models too."""
    append_all(store, [(kind, at, data)])


def append_all(store: Engine, some: list[tuple[str, datetime, dict[str, Any]]]) -> None:
    first = stores.count(store, Event)
    usual = {"userId": "u-1", "email": "u-1@acme.example", "courseId": "c-1", "score": 90}
    add(
        store,
        Event,
        [
            {
                "vendor": V,
                "event_key": f"k-{place}",
                "digest": f"{place:064}",
                "type": kind,
                "user_id": "u-1",
                "occurred_at": at,
                "received_at": at,
                "delivery_id": 1,
                "payload": body_of(kind, usual | data).decode(),
            }
            for place, (kind, at, data) in enumerate(some, first)
        ],
    )
    follow(store)


def notifier(store: Engine, at: datetime = NOW, post: Any = None, **more: Any) -> Notifier:
    settings = NotifySettings(_env_file=None, notify_private_addresses=True, **more)
    return Notifier(under(store, at), "one", StoreRules(settings), post or Post())


def written(store: Engine) -> list[Any]:
    """The bodies of all forwards."""
    return [json.loads(row.payload) for row in stores.rows(store, Notification)]


# What is written


def test_events_become_documented_bodies(store: Engine) -> None:
    note(store, target())
    append(store, "user.provisioned", NOON, role="AE", teamId="west", name="Dana Brooks")
    append(store, "course.completed", NOON, courseName="Security")
    append(store, "certification.expired", NOON, certName="Sales", renewalDeadline="2025-12-01")
    append(store, "user.deprovisioned", NOON)
    append(store, "module.progress", NOON, moduleId="m-1", progressPct=40, timeSpentSec=60)
    notifier(store).step()
    bodies = {one["type"]: one["data"] for one in written(store)}
    learner = {"vendor": V, "user_id": "u-1", "email": "u-1@acme.example"}
    assert bodies["course.completed"] == {
        "learner": learner, "course_id": "c-1", "course": "Security", "score": 90,
    }  # fmt: skip
    assert bodies["learner.provisioned"] == {"learner": learner, "role": "AE", "team": "west"}
    assert set(bodies) == {
        "course.completed", "certificate.expired", "learner.provisioned", "learner.deprovisioned",
    }  # fmt: skip
    assert "Dana" not in str(bodies)


def test_a_low_quiz_and_a_pass_after_coaching_are_forwarded(store: Engine) -> None:
    people(store, ("u-1", "east"), ("u-2", "east"))
    note(store, target())
    cases(store, {"opened_at": NOON})
    attempts(
        store,
        {"user_id": "u-1", "score": 9, "submitted_at": NOON + timedelta(minutes=5)},
        {"user_id": "u-2", "score": 4},
    )
    notifier(store).step()
    found = {one["data"]["learner"]["user_id"]: one for one in written(store)}
    assert found["u-1"]["type"] == "coaching.passed"
    assert found["u-2"]["type"] == "quiz.low"
    assert found["u-2"]["data"]["score_pct"] == 40


def test_only_the_types_of_a_target_are_forwarded(store: Engine) -> None:
    note(store, target(types="learner.deprovisioned"))
    append(store, "course.completed", NOON)
    append(store, "user.deprovisioned", NOON)
    notifier(store).step()
    assert [one["type"] for one in written(store)] == ["learner.deprovisioned"]


def test_hidden_names_leave_a_code_in_place_of_the_person(store: Engine) -> None:
    note(store, target())
    append(store, "course.completed", NOON)
    notifier(store, names_admin="anonymous", names_key="k" * 32).step()
    (body,) = written(store)
    assert set(body["data"]["learner"]) == {"code"}
    assert "u-1" not in json.dumps(body)


def test_nothing_from_before_the_target_was_set_is_forwarded_nor_a_replay_of_it(
    store: Engine,
) -> None:
    note(store, target())
    early = [("course.completed", SET - HOUR, {"courseId": f"c-{n}"}) for n in range(10_000)]
    append_all(store, early)  # as a replay or an import appends them
    attempts(store, {"submitted_at": SET - HOUR})
    one = notifier(store)
    one.step()
    assert not written(store)
    append(store, "course.completed", NOON)
    notifier(store).step()
    assert len(written(store)) == 1


def test_a_target_that_is_set_later_begins_then(store: Engine) -> None:
    append(store, "course.completed", SET - HOUR)
    note(store, target())
    notifier(store).step()
    assert not written(store)


def test_a_rebuild_a_restart_and_a_second_look_forward_nothing_again(store: Engine) -> None:
    note(store, target())
    append(store, "course.completed", NOON)
    people(store, ("u-1", "east"))
    attempts(store, {})
    for _ in range(2):
        note(store, target(), at=NOW)
        notifier(store).step()
        rebuild(store)
        attempts(store, {})
    assert sorted(one["type"] for one in written(store)) == ["course.completed", "quiz.low"]


def test_what_the_settings_have_no_more_is_not_sent(store: Engine) -> None:
    note(store, target())
    append(store, "course.completed", NOON)
    notifier(store, post=Post(Failed("no answer"))).step()
    note(store, target(types="quiz.low"), at=NOW)
    assert stores.row(store, Notification).state == "failed"
    assert {row.type for row in stores.rows(store, Forwarding)} == {"quiz.low"}


def test_an_event_that_cannot_be_read_holds_up_no_other(
    store: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    note(store, target())
    append(store, "course.completed", NOON)
    append(store, "course.completed", NOON, courseId="c-2")
    real = forwarding.facts_of

    def broken(event: Any) -> Any:
        if event.event_key == "k-0":
            raise ValueError("no such thing")
        return real(event)

    monkeypatch.setattr(forwarding, "facts_of", broken)
    notifier(store).step()
    assert [one["data"]["course_id"] for one in written(store)] == ["c-2"]


def test_a_notifier_killed_between_any_two_statements_loses_none_and_repeats_one_by_its_id(
    store: Engine,
) -> None:
    note(store, target())
    post = Post()
    for statements in range(1, 40):
        append(store, "course.completed", NOON, courseId=f"c-{statements}")
        one = notifier(store, post=post)
        with killed_after(one._engine, statements):
            one.step()
        killed(store)
    while notifier(store, post=post).step():
        pass
    rows = stores.rows(store, Notification)
    assert len(rows) == 39
    assert {row.state for row in rows} == {"sent"}
    assert {row.message_id for row in rows} == {one.message_id for one in post.letters}


def test_an_erased_person_leaves_no_forward(store: Engine) -> None:
    note(store, target())
    append(store, "user.provisioned", NOON)
    append(store, "course.completed", NOON)
    notifier(store).step()
    assert len(written(store)) == 2
    erase_person(store, "u-1@acme.example")
    notifier(store).step()
    assert not stores.rows(store, Notification)
    assert not stores.rows(store, Learner)


# What is sent

Deliver = Callable[..., Any]


@pytest.fixture
def server() -> Iterator[Server]:
    with serving(status(200)) as running:
        yield running


@pytest.fixture
def deliver(store: Engine) -> Deliver:
    """`deliver(url, secret, …)`: a completion to a target. The row of the outbox."""

    def deliver(url: str, *secrets: str, private: bool = True, at: datetime = NOW) -> Any:
        found = target(url, ",".join(TYPES), *secrets)
        if not stores.rows(store, Forwarding):
            note(store, found)
            append(store, "course.completed", NOON)
        post = Postman(of_targets([found]), private=private)
        step_until_heard(notifier(store, at, post), post)
        return stores.row(store, Notification)

    return deliver


def url_of(server: Server) -> str:
    return f"http://127.0.0.1:{server.server_port}/hook"


def test_a_target_can_verify_what_it_gets(deliver: Deliver, server: Server) -> None:
    row = deliver(url_of(server))
    ((headers, body),) = server.requests
    verified = Webhook(NEW).verify(row.payload, headers)
    assert verified == body
    assert body["type"] == "course.completed"
    assert headers["webhook-id"] == row.message_id
    assert row.state == "sent"


def test_during_a_rotation_the_old_and_the_new_secret_verify(
    deliver: Deliver, server: Server
) -> None:
    row = deliver(url_of(server), NEW, OLD)
    ((headers, _),) = server.requests
    for secret in (OLD, NEW):
        Webhook(secret).verify(row.payload, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook("whsec_" + "c" * 32).verify(row.payload, headers)


@pytest.mark.parametrize("code", [301, 400, 404, 500])
def test_a_failed_attempt_is_repeated_with_the_same_id_and_body_by_the_schedule(
    deliver: Deliver, code: int
) -> None:
    with serving(status(code)) as failing:
        row = deliver(url_of(failing))
        assert row.next_try_at == NOW + FORWARD_WAITS[0]
        assert row.error == f"the server answered {code}"
        row = deliver(url_of(failing), at=NOW + FORWARD_WAITS[0])
        assert row.next_try_at == NOW + FORWARD_WAITS[0] + FORWARD_WAITS[1]
    first, second = failing.requests
    assert first[0]["webhook-id"] == second[0]["webhook-id"]
    assert first[1] == second[1]


def test_after_the_last_attempt_it_has_failed(store: Engine) -> None:
    note(store, target())
    append(store, "course.completed", NOON)
    at, tried = NOW, 0
    while (tried == 0 or stores.row(store, Notification).state == "waiting") and tried < 20:
        notifier(store, at, Post(Failed("no answer"))).step()
        at, tried = stores.row(store, Notification).next_try_at, tried + 1
        killed(store)
    assert stores.row(store, Notification).state == "failed"
    assert tried == len(FORWARD_WAITS) + 1


def test_many_forwards_are_many_requests_and_none_waits_an_hour(
    store: Engine, server: Server
) -> None:
    found = target(url_of(server))
    note(store, found)
    for number in range(SINGLE + 2):
        append(store, "course.completed", NOON, courseId=f"c-{number}")
        post = Postman(of_targets([found]), private=True)
        step_until_heard(notifier(store, NOW, post), post)
    assert len(server.requests) == SINGLE + 2


def test_410_closes_the_target_and_keeps_what_waits(deliver: Deliver, store: Engine) -> None:
    with serving(status(410)) as gone:
        row = deliver(url_of(gone))
    assert row.state == "waiting"
    assert stores.row(store, Channel).problem == "the server answered 410"


def test_a_target_that_asks_for_a_pause_gets_it(deliver: Deliver) -> None:
    with serving(status(429, Retry_After="600")) as busy:
        assert deliver(url_of(busy)).next_try_at == NOW + timedelta(minutes=10)


def test_no_redirect_inside_is_followed(deliver: Deliver, server: Server) -> None:
    with serving(status(307, Location=url_of(server))) as redirecting:
        assert deliver(url_of(redirecting)).state == "waiting"
    assert not server.requests


def test_a_private_address_is_refused(deliver: Deliver, server: Server) -> None:
    row = deliver(url_of(server).replace("127.0.0.1", "localhost"), private=False)
    assert "private" in row.error
    assert not server.requests


def large(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()
    handler.wfile.write(b"x" * 10_000_000)


def slow(handler: BaseHTTPRequestHandler) -> None:
    """A header at a time, without an end: each read is quick."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        handler.wfile.write(b"x-more: 1\r\n")
        time.sleep(0.1)


def test_an_answer_of_10_mb_is_not_read(deliver: Deliver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "MEMORY_BYTES", 5_000_000)
    with serving(large) as server:
        assert deliver(url_of(server)).state == "sent"


def test_an_answer_without_an_end_is_cut_off(
    deliver: Deliver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "DEADLINE_SEC", 2.0)
    with serving(slow) as server:
        row = deliver(url_of(server))
    assert row.state == "waiting"
    assert row.error


# Again


def test_an_admin_sends_a_forward_again_under_its_id(
    deliver: Deliver, store: Engine, server: Server
) -> None:
    row = deliver(url_of(server))
    with write_transaction(store) as connection:
        assert send_again(connection, "ada@acme.example", row.id)
    deliver(url_of(server), at=NOW + 1000 * DAY)
    first, second = server.requests
    assert first[0]["webhook-id"] == second[0]["webhook-id"]
    noted = stores.row(store, AuditLog)
    assert (noted.actor, noted.action) == ("ada@acme.example", "send again")


def test_a_message_or_one_that_waits_is_not_sent_again(store: Engine) -> None:
    note(store, target())
    append(store, "course.completed", NOON)
    notifier(store, post=Post(Failed("no answer"))).step()
    with write_transaction(store) as connection:
        assert not send_again(connection, "ada", stores.row(store, Notification).id)
        assert not send_again(connection, "ada", 99)
    assert not stores.rows(store, AuditLog)


# The settings


def of_environment(monkeypatch: pytest.MonkeyPatch, **values: str) -> list[Target]:
    for name, value in values.items():
        monkeypatch.setenv(f"FORWARD_{name}", value)
    return targets(NotifySettings.load(_env_file=None))


def test_a_target_is_an_address_secrets_and_types(monkeypatch: pytest.MonkeyPatch) -> None:
    (found,) = of_environment(
        monkeypatch,
        LMS="https://lms.example/hook",
        LMS_SECRET=f"{NEW},{OLD}",
        LMS_TYPES="course.completed, quiz.low",
    )
    assert found == (
        "lms",
        "https://lms.example/hook",
        [NEW, OLD],
        ["course.completed", "quiz.low"],
    )


@pytest.mark.parametrize(
    "wrong",
    [
        {"LMS": "http://lms.example/"},
        {"LMS": "https://"},
        {"LMS_SECRET": "whsec_short"},
        {"LMS_SECRET": ""},
        {"LMS_SECRET": "not-a-secret-of-standard-webhooks"},
        {"LMS_TYPES": "everything"},
        {"LMS_TYPES": ""},
        {"OTHER_SECRET": NEW},
    ],
)
def test_a_wrong_target_stops_the_start_and_shows_no_value(
    monkeypatch: pytest.MonkeyPatch, wrong: dict[str, str]
) -> None:
    good = {"LMS": "https://lms.example/hook", "LMS_SECRET": NEW, "LMS_TYPES": "quiz.low"}
    with pytest.raises(SettingsError, match=f"^FORWARD_{next(iter(wrong))}: ") as raised:
        of_environment(monkeypatch, **(good | wrong))
    assert NEW not in str(raised.value)
    assert "lms.example" not in str(raised.value)
