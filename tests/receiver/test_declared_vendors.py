"""Vendors that are declared in a file: bytes in, an event or a refusal out."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

import jmespath
import pytest
from hypothesis import given, strategies as st

from receiver.pipeline import joined, judge
from receiver.vendors import adapters, vendor_facts
from receiver.vendors.base import Incoming, Unreadable, VendorEvent
from receiver.vendors.declared.places import in_body
from shared.facts import Acted, Attempted, Completed, Deprovisioned, Progressed
from shared.outcomes import Outcome
from tests import playing
from tests.receiver.declared_senders import (
    AT,
    DEAL,
    DONE,
    FILE,
    GENUINE,
    HEX_KEY,
    HOUSE,
    LESSON,
    PARTS_KEY,
    QUIZ,
    SECRETS,
    VENDORS,
    hexed,
    inside,
    lesson,
    parts,
    problems,
    several,
    vendor,
    with_password,
)
from tests.receiver.vendor_cases import (
    ALMOST,
    NOW,
    HeaderCases,
    SecurityCases,
    SigningCases,
    json_values,
    kept,
    only_refuses,
    settings,
)

# The security cases of all vendors


class TestHeader(HeaderCases):
    slug = "lessons"
    house = HOUSE
    settings: ClassVar = {"lessons_authorization": playing.AUTHORIZATION}
    wrong = Outcome.WRONG_CREDENTIALS
    credential = "authorization"

    def genuine(self) -> Incoming:
        return lesson(playing.lesson())

    def forged(self) -> Incoming:
        return lesson(playing.lesson(), b"Bearer value-of-another")

    def misconfigured(self) -> Mapping[str, str]:
        return {"lessons_authorization": "Bearer retired"}


class TestPassword(HeaderCases):
    slug = "password"
    house = HOUSE
    settings: ClassVar = {"password_secret": SECRETS["password_secret"]}
    wrong = Outcome.WRONG_CREDENTIALS
    credential = "authorization"

    def genuine(self) -> Incoming:
        return with_password(SECRETS["password_secret"])

    def forged(self) -> Incoming:
        return with_password("another")

    def misconfigured(self) -> Mapping[str, str]:
        return {"password_secret": "retired-password"}


class TestHexSignature(SigningCases):
    slug = "hex"
    house = HOUSE
    settings: ClassVar = {"hex_secret": SECRETS["hex_secret"]}
    wrong = Outcome.BAD_SIGNATURE
    credential = "x-hex-signature"
    signed = ("x-hex-timestamp",)

    def genuine(self) -> Incoming:
        return hexed(QUIZ)

    def forged(self) -> Incoming:
        return hexed(QUIZ, "another-secret")

    def misconfigured(self) -> Mapping[str, str]:
        return {"hex_secret": "a-retired-secret"}


class TestSeveralSignatures(SigningCases):
    slug = "several"
    house = HOUSE
    settings: ClassVar = {"several_secret": playing.WHSEC}
    wrong = Outcome.BAD_SIGNATURE
    credential = "x-several-signature"
    signed = ("x-several-id", "x-several-timestamp")

    def genuine(self) -> Incoming:
        return several(DEAL)

    def forged(self) -> Incoming:
        return several(DEAL, "whsec_YW5vdGhlciBrZXk=")

    def misconfigured(self) -> Mapping[str, str]:
        return {"several_secret": "whsec_YSByZXRpcmVkIGtleQ=="}


class TestPartsOfAHeader(SigningCases):
    slug = "parts"
    house = HOUSE
    settings: ClassVar = {"parts_secret": PARTS_KEY}
    wrong = Outcome.BAD_SIGNATURE
    credential = "x-parts-signature"
    signed = ()

    def genuine(self) -> Incoming:
        return parts(LESSON)

    def forged(self) -> Incoming:
        return parts(LESSON, base64.b64encode(b"another key of this sender").decode())

    def misconfigured(self) -> Mapping[str, str]:
        return {"parts_secret": base64.b64encode(b"a retired key of this one").decode()}

    @pytest.mark.parametrize("spoil", ALMOST.values(), ids=ALMOST)
    def test_a_credential_that_is_only_almost_right_is_refused(
        self, spoil: Callable[[bytes], bytes]
    ) -> None:
        """Without the part that has the time, it is a missing one."""
        good = self.genuine().headers[self.credential]
        assert self.refusal(self.sent_as(spoil(good))) in (self.wrong, self.missing)

    def test_a_repeated_credential_is_refused_whichever_of_them_is_right(self) -> None:
        good = self.genuine().headers[self.credential]
        for other in (good, b"another", b"v1=another", b""):
            for raw in ([good, other], [other, good]):
                pairs = [(self.credential.encode(), one) for one in raw]
                delivery = self.genuine()._replace(headers=joined(pairs))
                assert self.refusal(delivery) in (self.wrong, self.missing)


class TestSignatureOverTheBodyAlone(SigningCases):
    slug = "inside"
    house = HOUSE
    settings: ClassVar = {"inside_secret": HEX_KEY}
    wrong = Outcome.BAD_SIGNATURE
    credential = "x-inside-signature"
    signed = ()

    def genuine(self) -> Incoming:
        return inside()

    def forged(self) -> Incoming:
        return inside("bb" * 32)

    def misconfigured(self) -> Mapping[str, str]:
        return {"inside_secret": "cc" * 32}


class TestAllowlist(SecurityCases):
    slug = "addresses"
    house = HOUSE
    settings: ClassVar = {"addresses_allowed_ips": "54.243.7.71"}
    wrong = missing = Outcome.IP_NOT_ALLOWED

    def genuine(self) -> Incoming:
        return Incoming({}, DONE, "54.243.7.71", NOW)

    def bare(self) -> Incoming:
        return self.genuine()._replace(peer=None)

    def forged(self) -> Incoming:
        return self.genuine()._replace(peer="10.0.0.1")

    def misconfigured(self) -> Mapping[str, str]:
        return {"addresses_allowed_ips": "3.83.213.76"}


# MindTickle under other names


def tickled(body: bytes, secret: str = playing.SECRET) -> Incoming:
    text = b".".join((b"evt-1", AT.encode(), body))
    token = base64.b64encode(hmac.new(secret.encode(), text, "sha256").digest())
    headers = {
        "x-tickle-signature": b"v1=" + token,
        "x-tickle-id": b"evt-1",
        "x-mt-webhook-timestamp": AT.encode(),
    }
    return Incoming(headers, body, None, NOW)


def progress(**fields: Any) -> bytes:
    payload = {"learner": {"id": "u-1"}, "moduleId": "m-1", "percent": 40} | fields
    return json.dumps(
        {"meta": {"type": "progress", "company": "acme"}, "payload": payload}
    ).encode()


class TestRenamedMindTickle(SigningCases):
    slug = "mindtickle"
    house = HOUSE
    settings: ClassVar = {
        "mindtickle_webhook_secret": playing.SECRET,
        "mindtickle_company_id": playing.COMPANY,
    }
    wrong = Outcome.BAD_SIGNATURE
    credential = "x-tickle-signature"
    signed = ("x-mt-webhook-timestamp",)

    def genuine(self) -> Incoming:
        return tickled(progress())

    def forged(self) -> Incoming:
        return tickled(progress(), "another-secret")

    def misconfigured(self) -> Mapping[str, str]:
        return {"mindtickle_webhook_secret": "retired-secret"}


def test_renamed_fields_are_read_where_the_account_has_them_and_named_as_there() -> None:
    vendor = TestRenamedMindTickle().vendor()
    event = vendor.parse(tickled(progress(timeSpentSec=[], moduleName="Calls")))
    assert (event.type, event.company_id, event.event_key) == ("progress", "acme", "evt-1")
    assert event.facts == (Progressed("mindtickle", "u-1", "m-1", "Calls", 40, 0, NOW),)
    assert [one.field for one in event.ignored] == ["timeSpentSec"]
    with pytest.raises(Unreadable, match=r"progress: learner\.id: is missing"):
        vendor.parse(tickled(progress(learner={})))
    with pytest.raises(Unreadable, match=r"meta\.type: should be the name"):
        vendor.parse(tickled(playing.body_of("module.progress", playing.progress())))
    again = adapters(settings(**HOUSE))["mindtickle"].facts(kept(event))
    assert tuple(again) == event.facts


def test_names_that_are_not_changed_stay_as_published() -> None:
    body = {"meta": {"type": "quiz.submitted", "company": "acme"},
            "payload": {"userId": "u-1", "quizId": "q", "score": 7, "maxScore": 10}}  # fmt: skip
    event = TestRenamedMindTickle().vendor().parse(tickled(json.dumps(body).encode()))
    (fact,) = event.facts
    assert isinstance(fact, Attempted)
    assert (fact.user_id, fact.score) == ("u-1", 7)


def test_what_the_pages_say_of_the_account_has_its_names() -> None:
    facts = vendor_facts(settings(**HOUSE))["mindtickle"]
    assert facts.secret_headers == ("x-tickle-signature",)
    assert facts.timed_by_signing == ("progress", "quiz.submitted")
    assert facts.set_up.events[4] == "progress"
    assert facts.progress is not None
    assert facts.progress.read(progress().decode()) == ("m-1", "m-1", 40)


@pytest.mark.parametrize(
    ("table", "line"),
    [
        ('[mindtickle.headers]\nsignatur = "x"', "headers.signatur is not known here; there are "
         "signature, timestamp, event_id"),
        ('[mindtickle.events."quiz.done"]\ntype = "x"', "events.quiz.done is not known here; "
         "there are course.completed, quiz.submitted, user.provisioned, user.deprovisioned, "
         "module.progress, certification.expired"),
        ('[mindtickle.events."quiz.submitted"]\nscore = "a["', "events.quiz.submitted.fields: "
         "score: is no JMESPath: its end is missing"),
        ('[mindtickle.signature]\nsigned = "{timestamp}.{body}"', "signature.signed: . after "
         "{timestamp} could be a part of a time in ISO 8601, unless it is in seconds or "
         "milliseconds; set signature.time"),
        ('[mindtickle.headers]\nsignature = "x y"', "headers.signature: should be the name of a "
         "header"),
        ('[mindtickle.events."quiz.submitted"]\ntype = "module.progress"', "events: two have the "
         "type module.progress"),
        ('[mindtickle]\nbody = 7', "body should be a table"),
    ],
)  # fmt: skip
def test_a_wrong_name_is_a_line_that_says_where(tmp_path: Path, table: str, line: str) -> None:
    assert problems(table, tmp_path) == [f"mindtickle: {line}"]


# What a declared vendor says


def parsed(slug: str, delivery: Incoming) -> VendorEvent:
    VENDORS[slug].authenticate(delivery)
    return VENDORS[slug].parse(delivery)


def test_an_event_has_its_id_and_type_from_headers_and_its_time_from_the_signature() -> None:
    at = str(int(NOW.timestamp()) - 60)
    event = parsed("hex", hexed(QUIZ, at=at))
    assert (event.event_key, event.type, event.user_id) == ("evt-1", "quiz.done", "u-1")
    assert event.occurred_at == NOW - timedelta(seconds=60)
    (fact,) = event.facts
    assert fact == Attempted(
        "hex", "evt-1", "u-1", "the quiz", None, 7, 10, None, True, event.occurred_at
    )
    assert event.digest == hashlib.sha256(at.encode() + b":" + QUIZ).hexdigest()


def test_a_practice_is_not_graded_by_what_a_path_finds() -> None:
    (fact,) = parsed("hex", hexed(b'{"who": 1, "score": 7, "of": 10, "kind": "practice"}')).facts
    assert isinstance(fact, Attempted)
    assert not fact.graded


def test_one_of_several_signatures_is_enough_and_two_headers_are_no_list() -> None:
    both = several(DEAL, "whsec_YW5vdGhlciBrZXk=", playing.WHSEC)
    (fact,) = parsed("several", both).facts
    assert fact == Acted("several", "evt-1", "dana@example.com", "deal.won", NOW)
    joined = both.headers["x-several-signature"].replace(b" ", b", ")
    apart = both._replace(headers={**both.headers, "x-several-signature": joined})
    assert judge(VENDORS["several"], apart).outcome is Outcome.BAD_SIGNATURE


def test_a_time_that_is_a_part_of_the_signatures_header_is_held_against_the_tolerance() -> None:
    (fact,) = parsed("parts", parts(LESSON)).facts
    assert fact == Completed("parts", "e-1", "7", "l-1", None, None, NOW)
    late = str(int(AT) - 90_000)
    assert judge(VENDORS["parts"], parts(LESSON, at=late)).outcome is Outcome.STALE_TIMESTAMP


@pytest.mark.parametrize(
    ("header", "outcome"),
    [
        ("v1={1};t={0}", Outcome.ACCEPTED),
        ("t={0};v1=AAAA;v1={1}", Outcome.ACCEPTED),
        ("t={0};t=1;v1={1}", Outcome.MISSING_CREDENTIALS),
        ("v1={1}", Outcome.MISSING_CREDENTIALS),
        ("t=;v1={1}", Outcome.MISSING_CREDENTIALS),
        ("T={0};v1={1}", Outcome.MISSING_CREDENTIALS),
        ("t={0};v1=", Outcome.BAD_SIGNATURE),
        ("t={0};v0={1}", Outcome.BAD_SIGNATURE),
        ("t={0};v1={1};", Outcome.BAD_SIGNATURE),
        ("t={0}; v1={1}", Outcome.ACCEPTED),
        ("t={0} ;\tv1={1}", Outcome.ACCEPTED),
        ("t={0};v1= {1}", Outcome.BAD_SIGNATURE),
        ("t={0};v1={1}, v1={1}", Outcome.BAD_SIGNATURE),
    ],
)
def test_each_part_of_a_header_is_there_once(header: str, outcome: Outcome) -> None:
    assert judge(VENDORS["parts"], parts(LESSON, header=header)).outcome is outcome


@pytest.mark.parametrize(
    ("header", "outcome"),
    [
        ("t={0},v1={1}", Outcome.ACCEPTED),
        ("t={0}, v1={1}", Outcome.ACCEPTED),
        ("t={0}, v1=AAAA, v1={1}", Outcome.ACCEPTED),
        ("t={0}, t=1, v1={1}", Outcome.MISSING_CREDENTIALS),
        ("t={0}, v1=AAAA", Outcome.BAD_SIGNATURE),
        ("t={0}, , v1={1}", Outcome.BAD_SIGNATURE),
        ("t={0}; v1={1}", Outcome.BAD_SIGNATURE),
    ],
)
def test_a_space_may_follow_the_comma_between_parts(
    tmp_path: Path, header: str, outcome: Outcome
) -> None:
    house = tmp_path / "vendors.toml"
    house.write_text(FILE.read_text().replace('separator = ";"', 'separator = ","'))
    with_commas = vendor("parts", {"vendors_file": str(house)})
    assert judge(with_commas, parts(LESSON, header=header)).outcome is outcome


def test_an_id_with_what_ends_it_in_the_signed_text_is_refused_with_the_reason() -> None:
    entry = judge(VENDORS["several"], several(DEAL, event_id=b"evt.1"))
    assert entry.outcome is Outcome.BAD_SIGNATURE
    assert "contains '.'" in (entry.reason or "")


def test_what_is_announced_happens_at_its_own_time() -> None:
    event = parsed("inside", inside())
    assert event.event_key == "e-1"
    assert event.facts == (Deprovisioned("inside", "7", None, NOW),)
    later = (NOW + timedelta(days=9)).isoformat()
    body = json.loads(inside().body) | {"leaves": later}
    event = VENDORS["inside"].parse(inside()._replace(body=json.dumps(body).encode()))
    assert event.facts == (Deprovisioned("inside", "7", None, NOW, None, NOW + timedelta(days=9)),)


@pytest.mark.parametrize(
    ("at", "outcome"),
    [(timedelta(hours=-24), "accepted"), (timedelta(hours=-25), "stale_timestamp"),
     (timedelta(minutes=5), "accepted"), (timedelta(minutes=6), "stale_timestamp")],
)  # fmt: skip
def test_a_time_within_the_signed_body_is_held_against_the_tolerance(
    at: timedelta, outcome: str
) -> None:
    assert judge(VENDORS["inside"], inside(at=(NOW + at).isoformat())).outcome == outcome


@pytest.mark.parametrize("at", [None, "yesterday", 1763800200, "", [], "2025-11-22"])
def test_a_signed_body_without_a_plausible_time_is_refused(at: Any) -> None:
    assert judge(VENDORS["inside"], inside(at=at)).outcome is Outcome.STALE_TIMESTAMP


def test_an_event_of_another_type_is_kept_and_says_nothing() -> None:
    event = parsed("several", several(b'{"type": "deal.lost", "owner": "dana@example.com"}'))
    assert (event.type, event.facts) == ("deal.lost", ())


def test_an_event_without_an_id_is_one_with_each_repeat() -> None:
    body = b'{"type": "course.done", "user": "u-1", "course": "c"}'
    events = [parsed("addresses", Incoming({}, body, "127.0.0.1", NOW)) for _ in range(2)]
    assert events[0].event_key == events[1].event_key == f"digest:{events[0].digest}"
    assert events[0].facts == (Completed("addresses", events[0].event_key, "u-1", "c", None, None,
                                         NOW),)  # fmt: skip


@pytest.mark.parametrize("slug", GENUINE)
@given(data=st.data())
def test_no_bytes_raise_anything_but_a_refusal(slug: str, data: st.DataObject) -> None:
    delivery = GENUINE[slug]
    body = json.dumps(data.draw(st.dictionaries(
        st.sampled_from(["type", "id", "event", "user", "who", "owner", "kind", "score"]),
        json_values)), ensure_ascii=True).encode()  # fmt: skip
    name = data.draw(st.sampled_from([*delivery.headers, "x-other"]))
    headers = {**delivery.headers, name: data.draw(st.binary())}
    only_refuses(VENDORS[slug], delivery._replace(body=body))
    only_refuses(VENDORS[slug], delivery._replace(body=body, headers=headers))


@given(json_values, st.sampled_from(["user", "a.b", "type", "a.b.c"]))
def test_a_plain_path_finds_what_jmespath_finds(body: Any, path: str) -> None:
    for value in (body, {"user": body, "a": {"b": body}, "type": [body]}):
        assert in_body(path).find(value) == jmespath.search(path, value)
