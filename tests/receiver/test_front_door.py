"""The same cases for every vendor, over real HTTP on both stores."""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from receiver.vendors import ADAPTERS
from shared.models import CourseCompletion, Delivery, Event, Learner, Quarantine, QuizAttempt
from tests import playing
from tests.conftest import FreshStore
from tests.playing import new_id
from tests.running import Receiver, command
from tests.stores import row, rows

SECRETS = ("secret-one", "value-one", "value-two", playing.WHSEC, "another-secret")


def now() -> datetime:
    return datetime.now(UTC)


class Door(NamedTuple):
    """How deliveries of a vendor are made."""

    body: Callable[[str], bytes]
    """A delivery about the learner or item with this ID."""
    headers: Callable[[bytes], Mapping[str, Any]]
    forged: Callable[[bytes], Mapping[str, Any]] | None
    """From another sender. None if only the address identifies the vendor."""
    wrong: str = "bad_signature"


DOORS = {
    "mindtickle": Door(
        lambda id_: playing.body_of("module.progress", playing.progress(id_)),
        lambda body: playing.signed(body, now(), new_id()),
        lambda body: playing.signed(body, now(), new_id(), "another-secret"),
    ),
    "innovative-educators": Door(
        lambda id_: playing.course(id=id_, userDetail__id=id_), lambda _: {}, None
    ),
    "lessonly": Door(
        lambda id_: playing.lesson(user__id=id_),
        lambda _: {"authorization": playing.AUTHORIZATION},
        lambda _: {"authorization": "Bearer another-secret"},
        "wrong_credentials",
    ),
    "standard-webhooks": Door(
        lambda id_: json.dumps({"type": "contact.created", "id": id_}).encode(),
        lambda body: playing.standard(body, now()),
        lambda body: playing.standard(body, now(), secret="whsec_c29tZWJvZHk="),
    ),
}
WITH_A_HEADER = [slug for slug, door in DOORS.items() if door.forged]

each_vendor = pytest.mark.parametrize("slug", DOORS)
each_with_a_header = pytest.mark.parametrize("slug", WITH_A_HEADER)


def test_every_vendor_of_the_table_is_tried_here() -> None:
    assert DOORS.keys() == ADAPTERS.keys()


@each_vendor
def test_a_delivery_is_accepted_once(lasting_receiver: Receiver, slug: str) -> None:
    door = DOORS[slug]
    body = door.body(new_id())
    headers = door.headers(body)
    assert lasting_receiver.post(body, headers, slug).json() == {"received": True}
    assert lasting_receiver.post(body, headers, slug).json() == {"duplicate": True}
    assert row(lasting_receiver.engine, Event, payload=body.decode()).vendor == slug


@each_with_a_header
def test_a_delivery_of_another_sender_is_refused_and_quarantined_without_its_secret(
    lasting_receiver: Receiver, slug: str
) -> None:
    door = DOORS[slug]
    assert door.forged
    body = door.body(new_id())
    answer = lasting_receiver.post(body, door.forged(body), slug)
    assert (answer.status_code, answer.json()["error"]) == (403, door.wrong)
    held = row(lasting_receiver.engine, Quarantine, body=body)
    assert (held.state, held.kind) == ("held", "well_formed")
    assert not [secret for secret in SECRETS if secret in held.headers]


@each_with_a_header
def test_a_delivery_without_a_credential_is_answered_401(
    lasting_receiver: Receiver, slug: str
) -> None:
    answer = lasting_receiver.post(DOORS[slug].body(new_id()), {}, slug)
    assert (answer.status_code, answer.json()["error"]) == (401, "missing_credentials")


@each_with_a_header
@pytest.mark.parametrize("value", [b"\xff\xfe", b"x" * 20_000, "ü".encode() * 99])
def test_odd_bytes_for_a_credential_are_refused_like_any_others(
    lasting_receiver: Receiver, slug: str, value: bytes
) -> None:
    body = DOORS[slug].body(new_id())
    headers = dict.fromkeys(DOORS[slug].headers(body), value)
    odd: Any = {name.encode(): one for name, one in headers.items() if name != "content-type"}
    assert lasting_receiver.post(body, odd, slug).status_code == 403


@each_with_a_header
def test_a_repeated_header_is_refused(lasting_receiver: Receiver, slug: str) -> None:
    body = DOORS[slug].body(new_id())
    headers: Any = [*DOORS[slug].headers(body).items()] * 2
    assert lasting_receiver.post(body, headers, slug).status_code == 403


@each_vendor
def test_an_authentic_body_that_is_not_json_is_acknowledged_and_quarantined(
    lasting_receiver: Receiver, slug: str
) -> None:
    body = f"not JSON: {new_id()}".encode()
    answer = lasting_receiver.post(body, DOORS[slug].headers(body), slug)
    assert (answer.status_code, answer.json()) == (200, {"received": True, "quarantined": True})
    held = row(lasting_receiver.engine, Quarantine, body=body)
    assert held.kind == "authentic"
    assert not [secret for secret in SECRETS if secret in held.headers]


def test_no_secret_reaches_the_log(lasting_receiver: Receiver) -> None:
    for slug, door in DOORS.items():
        body = door.body(new_id())
        lasting_receiver.post(body, (door.forged or door.headers)(body), slug)
    log = lasting_receiver.log.read_text() + lasting_receiver.errors.read_text()
    assert not [secret for secret in SECRETS if secret in log]


def test_a_completed_lesson_and_a_completed_course_are_of_one_person(
    lasting_receiver: Receiver,
) -> None:
    email, lesson_by, course_by = f"{new_id()}@example.com", new_id(), new_id()
    lesson = playing.lesson(user__id=lesson_by, user__email=email.upper())
    course = playing.course(id=new_id(), userDetail__id=course_by, user=email)
    lasting_receiver.post(lesson, DOORS["lessonly"].headers(lesson), "lessonly")
    lasting_receiver.post(course, {}, "innovative-educators")
    lasting_receiver.followed()
    engine = lasting_receiver.engine
    people = {row(engine, Learner, user_id=one).person for one in (lesson_by, course_by)}
    assert people == {email}
    assert row(engine, QuizAttempt, user_id=lesson_by).score == 72.5
    link = row(engine, CourseCompletion, user_id=lesson_by).report_url
    assert link == "https://acme.lessonly.com/lesson/4411/report?user=88"
    assert row(engine, CourseCompletion, user_id=course_by).course_name == "Writing for the web"


@pytest.mark.parametrize("kept", ADAPTERS)
def test_a_vendor_without_its_setting_gets_a_404(
    fresh_store: FreshStore, tmp_path: Path, kept: str
) -> None:
    others = {slug: adapter for slug, adapter in ADAPTERS.items() if slug != kept}
    unset = {adapter.setting.upper(): "" for adapter in others.values()}
    with fresh_store("sqlite") as url, Receiver(url, tmp_path, **unset) as receiver:
        for slug in others:
            body = DOORS[slug].body(new_id())
            assert receiver.post(body, DOORS[slug].headers(body), slug).status_code == 404
        body = DOORS[kept].body(new_id())
        assert receiver.post(body, DOORS[kept].headers(body), kept).status_code == 200
        assert {one.vendor for one in rows(receiver.engine, Delivery)} == {kept}


def test_behind_a_proxy_the_address_that_it_saw_decides(
    fresh_store: FreshStore, tmp_path: Path
) -> None:
    settings = {
        "TRUSTED_PROXY_HOPS": "1",
        "INNOVATIVE_EDUCATORS_ALLOWED_IPS": "54.243.7.71,2001:db8::/32",
    }
    slug = "innovative-educators"
    with fresh_store("sqlite") as url, Receiver(url, tmp_path, **settings) as receiver:

        def status(*forwarded_for: str) -> int:
            headers: Any = [("x-forwarded-for", one) for one in forwarded_for]
            return receiver.post(playing.course(id=new_id()), headers, slug).status_code

        assert status("198.51.100.7, 54.243.7.71") == 200
        assert status("::ffff:54.243.7.71") == 200
        assert status("198.51.100.7", "2001:db8::9") == 200
        assert status("54.243.7.71, 198.51.100.7") == 403
        assert status("54.243.7.71", "198.51.100.7") == 403
        assert status("54.243.7.71,") == 403
        assert status() == 403
        refused = row(receiver.engine, Delivery, remote_ip=None, id=7)
        assert (refused.outcome, refused.event_type) == ("ip_not_allowed", "course.completed")


def test_deliveries_refused_by_a_wrong_setting_are_replayed_once_it_is_right(
    store_url: str, tmp_path: Path
) -> None:
    wrong = {
        "LESSONLY_AUTHORIZATION": "Bearer retired",
        "INNOVATIVE_EDUCATORS_ALLOWED_IPS": "54.243.7.71",
    }
    with Receiver(store_url, tmp_path, **wrong) as receiver:
        for slug in ("lessonly", "innovative-educators"):
            body = DOORS[slug].body(new_id())
            assert receiver.post(body, DOORS[slug].headers(body), slug).status_code == 403
        body = DOORS["lessonly"].body(new_id())
        receiver.post(body, {"authorization": "Bearer another-secret"}, "lessonly")
    right = {
        "LESSONLY_AUTHORIZATION": playing.AUTHORIZATION,
        "INNOVATIVE_EDUCATORS_ALLOWED_IPS": "127.0.0.1",
        "DATABASE_URL": store_url,
    }
    said = [
        command("replay", "--vendor", slug, folder=tmp_path, **right).stdout
        for slug in ("lessonly", "innovative-educators")
    ]
    assert said == [
        "1 accepted, 0 already delivered, 1 still refused (1 wrong_credentials)\n",
        "1 accepted, 0 already delivered, 0 still refused\n",
    ]
