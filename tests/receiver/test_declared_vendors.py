"""Vendors that are declared in a file: bytes in, an event or a refusal out. And on a receiver."""

import base64
import hashlib
import hmac
import json
import subprocess
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

import jmespath
import pytest
from hypothesis import given, strategies as st
from typer.testing import CliRunner

from receiver.__main__ import cli
from receiver.pipeline import joined, judge
from receiver.vendors import ADAPTERS, adapters, note_vendors, vendor_facts
from receiver.vendors.base import Incoming, SecretDigest, Unreadable, Vendor, VendorEvent
from receiver.vendors.declared.places import in_body
from shared.database import open_engine, write_transaction
from shared.facts import Acted, Attempted, Completed, Deprovisioned, Fact, Progressed
from shared.models import Event, Learner, Trial
from shared.outcomes import Outcome
from shared.queries.trials import ask_for_test
from shared.queries.vendors import configured
from shared.settings import SettingsError
from tests import playing
from tests.conftest import FreshStore
from tests.receiver.test_lessonly import SAMPLES, bodies
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
from tests.running import Receiver, command, environment, until
from tests.stores import row, rows

FILE = playing.SAMPLES / "declared" / "vendors.toml"
HOUSE = {"vendors_file": str(FILE)}
HEX_KEY = "aa" * 32
PARTS_KEY = base64.b64encode(b"a key of the sender of parts").decode()
SECRETS = {
    "lessons_authorization": playing.AUTHORIZATION,
    "hex_secret": "a-secret-of-the-hex-sender",
    "several_secret": playing.WHSEC,
    "parts_secret": PARTS_KEY,
    "inside_secret": HEX_KEY,
    "password_secret": "päss-word-of-some-length",
    "addresses_allowed_ips": "127.0.0.1",
}
AT = str(int(NOW.timestamp()))


def vendor(slug: str) -> Vendor:
    found = settings(**HOUSE, **SECRETS)
    made = found.of_vendor(adapters(found)[slug].settings).vendor()
    assert made is not None
    return made


BUILT_INS = adapters(settings()).keys()
VENDORS = {slug: vendor(slug) for slug in adapters(settings(**HOUSE)).keys() - BUILT_INS}
LESSONLY = ADAPTERS["lessonly"]
BUILT_IN = settings(lessonly_authorization=playing.AUTHORIZATION).of_vendor(LESSONLY.settings)


def lesson(body: bytes, value: bytes | None = playing.AUTHORIZATION.encode()) -> Incoming:
    headers = {} if value is None else {"authorization": value}
    return Incoming(headers, body, "127.0.0.1", NOW)


def signature(body: bytes, secret: str, *, at: str = AT) -> bytes:
    signed = at.encode() + b":" + body
    return hmac.new(secret.encode(), signed, "sha256").hexdigest().encode()


def hexed(body: bytes, secret: str = SECRETS["hex_secret"], at: str = AT) -> Incoming:
    headers = {
        "x-hex-event": b"quiz.done",
        "x-hex-id": b"evt-1",
        "x-hex-timestamp": at.encode(),
        "x-hex-signature": signature(body, secret, at=at),
    }
    return Incoming(headers, body, None, NOW)


def several(body: bytes, *secrets: str, event_id: bytes = b"evt-1") -> Incoming:
    text = b".".join((event_id, AT.encode(), body))
    tokens = [
        hmac.new(base64.b64decode(secret.removeprefix("whsec_")), text, "sha256").digest()
        for secret in secrets or (playing.WHSEC,)
    ]
    headers = {
        "x-several-id": event_id,
        "x-several-timestamp": AT.encode(),
        "x-several-signature": b" ".join(b"v1," + base64.b64encode(one) for one in tokens),
    }
    return Incoming(headers, body, None, NOW)


def parts(
    body: bytes, key: str = PARTS_KEY, at: str = AT, header: str = "t={0};kid=k7;v1={1}"
) -> Incoming:
    digest = hmac.new(base64.b64decode(key), at.encode() + b"." + body, "sha256").digest()
    sent = header.format(at, base64.b64encode(digest).decode())
    return Incoming({"x-parts-signature": sent.encode()}, body, None, NOW)


def inside(key: str = HEX_KEY, **fields: Any) -> Incoming:
    at = {"type": "user.left", "id": "e-1", "at": NOW.isoformat()}
    body = json.dumps({"event": at | fields, "user": 7}).encode()
    text = hmac.new(bytes.fromhex(key), body, "sha512").hexdigest().encode()
    return Incoming({"x-inside-signature": b"sha512=" + text}, body, None, NOW)


QUIZ = b'{"who": "u-1", "score": 7, "of": 10}'
DEAL = b'{"type": "deal.won", "owner": "Dana@Example.com"}'
LESSON = (
    b'{"event": {"id": "e-1", "kind": "lesson.finished"}, "actor": {"ref": 7}, "lesson": "l-1"}'
)
DONE = b'{"type": "course.done", "id": "c-1", "user": "u-1", "course": "c"}'


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

    def sent_with(self, password: str) -> Incoming:
        token = base64.b64encode(f"repboard:{password}".encode())
        return lesson(b'{"type": "ping", "id": "p-1"}', b"Basic " + token)

    def genuine(self) -> Incoming:
        return self.sent_with(SECRETS["password_secret"])

    def forged(self) -> Incoming:
        return self.sent_with("another")

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


# The built-in adapter of Lessonly, and the same from a declaration


def told(fact: Fact) -> Fact:
    return fact._replace(vendor="lessonly")


def seen(one: Vendor, delivery: Incoming) -> Any:
    """What becomes of a delivery, but for the vendor's slug, salts and the words of a reason."""
    entry = judge(one, delivery)
    event, held = entry.event, entry.quarantined
    return (
        entry.outcome,
        entry.claims,
        entry.sender,
        held and (held.kind, held.digest, held.headers.keys(), held.body),
        event and (event.event_key, event.digest, event.type, event.company_id, event.user_id,
                   event.occurred_at, event.payload, list(map(told, event.facts)), event.ignored,
                   entry.reason),
    )  # fmt: skip


def same(delivery: Incoming) -> None:
    built_in = BUILT_IN.vendor()
    assert built_in is not None
    assert seen(VENDORS["lessons"], delivery) == seen(built_in, delivery)


@pytest.mark.parametrize("name", SAMPLES)
def test_a_declared_lessonly_reads_every_sample_as_the_built_in_one_does(name: str) -> None:
    body = playing.sample("lessonly", name)
    same(lesson(body))
    event = VENDORS["lessons"].parse(lesson(body))
    declared, built_in = adapters(settings(**HOUSE))["lessons"], LESSONLY
    facts = [told(one) for one in declared.facts(kept(event))]
    assert facts == list(built_in.facts(kept(event)))


EVERY_SAMPLE = {
    f"{path.parent.name}/{path.stem}-{number}": body
    for path in sorted(playing.SAMPLES.glob("*/*.json*"))
    for number, body in enumerate(
        path.read_bytes().splitlines() if path.suffix == ".jsonl" else [path.read_bytes()]
    )
}


@pytest.mark.parametrize("name", EVERY_SAMPLE)
def test_a_declared_lessonly_makes_of_every_vendors_sample_what_the_built_in_one_makes(
    name: str,
) -> None:
    for value in (None, b"", b"Bearer value-of-another", playing.AUTHORIZATION.encode()):
        same(lesson(EVERY_SAMPLE[name], value))


@pytest.mark.parametrize("spoil", ALMOST.values(), ids=ALMOST)
def test_a_declared_lessonly_refuses_what_the_built_in_one_refuses(spoil: Any) -> None:
    body = playing.lesson()
    same(lesson(body, spoil(playing.AUTHORIZATION.encode())))
    for value in (None, b"", b"Bearer value-of-another", playing.AUTHORIZATION.encode()):
        same(lesson(b"<html>", value))
        same(lesson(spoil(body), value))
        same(lesson(b"x" * 70_000, value))
    digest = SecretDigest.of(playing.AUTHORIZATION.encode(), b"salt")
    same(lesson(body, None)._replace(digests={"authorization": digest}))


@given(st.binary() | bodies, st.just(playing.AUTHORIZATION.encode()) | st.binary() | st.none())
def test_a_declared_lessonly_makes_of_any_bytes_what_the_built_in_one_makes(
    body: bytes, value: bytes | None
) -> None:
    same(lesson(body, value))


def test_a_declared_lessonly_has_the_schedule_of_the_built_in_one() -> None:
    facts = vendor_facts(settings(**HOUSE))
    assert facts["lessons"].schedule == facts["lessonly"].schedule
    assert facts["lessons"].secret_headers == facts["lessonly"].secret_headers


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
        ("t={0}; v1={1}", Outcome.BAD_SIGNATURE),
    ],
)
def test_each_part_of_a_header_is_there_once(header: str, outcome: Outcome) -> None:
    assert judge(VENDORS["parts"], parts(LESSON, header=header)).outcome is outcome


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


GENUINE = {"lessons": lesson(playing.lesson()), "hex": hexed(QUIZ), "several": several(DEAL),
           "parts": parts(LESSON), "inside": inside(), "password": TestPassword().genuine(),
           "addresses": Incoming({}, DONE, "127.0.0.1", NOW)}  # fmt: skip


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


# The file


GOOD = """
[[vendors]]
slug = "acme"
name = "Acme"
event_type = "type"
event_id = { header = "x-id" }
retry_delays = [60]
[vendors.authentication]
kind = "hmac"
secret = "ACME_SECRET"
header = "x-signature"
signed = "{id}.{body}"
[[vendors.events]]
type = "done"
user_id = "user"
[[vendors.events.facts]]
kind = "completed"
course_id = "course"
"""


def problems(text: str, folder: Path) -> list[str]:
    file = folder / "vendors.toml"
    file.write_text(text)
    with pytest.raises(SettingsError) as wrong:
        adapters(settings(vendors_file=str(file)))
    lines = str(wrong.value).splitlines()
    assert all(line.startswith(f"{file}: ") for line in lines)
    return [line.removeprefix(f"{file}: ") for line in lines]


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ('name = "Acme"', "", "acme: name: is missing"),
        ('slug = "acme"', 'slug = "Acme Co"', "Acme Co: slug: should be one to three short words "
         "in lower case, joined by hyphens"),
        ('"ACME_SECRET"', '"MY_SECRET"', "acme: authentication: the name of its variable should "
         "begin with ACME_"),
        ('slug = "acme"', 'slug = acme', "is not TOML: Invalid value (at line 3, column 8). A text "
         "stands in quotes"),
        ('[[vendors.events]]', '[vendors.events]', "acme: events: should be a list of tables: each "
         "begins with [[vendors.events]], in two brackets"),
        ('retry_delays', 'keys = "x"\nretry_delays', "acme: keys does not belong here"),
        ('retry_delays', 'colour = "x"\nretry_delays', "acme: colour is not known here; remove it"),
        ('retry_delays', 'suspend_failures = 5\nretry_delays', "acme: suspend_failures, "
         "suspend_timeouts and suspend_after belong together"),
        ('[60]', '["5m"]', "acme: retry_delays.1: should be a whole number of seconds"),
        ('"ACME_SECRET"', '"whsec_hidden"', "acme: authentication.secret: should be the name of a "
         "variable, such as ACME_SECRET; the secret itself belongs into the environment or .env"),
        ('slug = "acme"', 'slug = "database"', "database: slug: database is how the setting "
         "DATABASE_URL begins; use another"),
        ('slug = "acme"', 'slug = "oidc"', "oidc: slug: oidc is how the setting OIDC_CLIENT_ID "
         "begins; use another"),
        ('header = "x-signature"', 'header = "x-signature"\nprefix = "v1,"\nseparator = ","',
         "acme: authentication: separator is in the prefix, so a signature would be cut in two"),
        ('kind = "hmac"\nsecret = "ACME_SECRET"\nheader = "x-signature"\nsigned = "{id}.{body}"',
         'kind = "header"\nsecret = "ACME_SECRET"\nheader = "X-Id"',
         "acme: event_id: the header x-id is the secret, which is not stored"),
        ('kind = "hmac"', 'kind = "hmack"', "acme: authentication: kind should be hmac, header, "
         "basic, allowlist or jwt"),
        ('header = "x-signature"', 'heder = "x-signature"', "acme: authentication.header: is "
         "missing"),
        ('"{id}.{body}"', '"{id}.{body}x"', "acme: authentication.signed: should end with {body}: "
         "what follows it could be taken for a part of it"),
        ('"{id}.{body}"', '"{id}{timestamp}.{body}"', "acme: authentication.signed: needs a "
         "separator between {id} and {timestamp}"),
        ('"{id}.{body}"', '"{nonce}.{body}"', "acme: authentication.signed: knows {id}, "
         "{timestamp} and {body}, and no {nonce}"),
        ('"{id}.{body}"', '"{timestamp}.{body}"', "acme: authentication.signed: {timestamp} needs "
         "a timestamp.at in a header"),
        ('{ header = "x-id" }', '"id"', "acme: authentication.signed: {id} needs an event_id in a "
         "header"),
        ('[[vendors.events]]', '[vendors.timestamp]\nat = { header = "x-at" }\n[[vendors.events]]',
         "acme: timestamp: proves nothing unless authentication.signed has {timestamp}"),
        ('{ header = "x-id" }', '{ header = "x-signature" }', "acme: event_id: the header "
         'x-signature is the signature; set part = "…" of it'),
        ('{ header = "x-id" }', '{ header = "x-signature", part = "id" }', 'acme: '
         'authentication.separator: "," or ";" is needed, as event_id is a part of the header'),
        ('{ header = "x-id" }', '{ header = "x-id", part = "a b" }',
         'acme: event_id: part should be a name such as "t", of t=1763800200'),
        ('{ header = "x-id" }', '{ heder = "x-id" }', "acme: event_id: should be a JMESPath, "
         '{ header = "…" } or { header = "…", part = "…" }'),
        ('event_type = "type"', 'event_type = "type["', "acme: event_type: is no JMESPath: its end "
         "is missing"),
        ('event_type = "type"', 'event_type = "event-type"', "acme: event_type: is no JMESPath: "
         "Unknown token '-' at character 6. A name with other signs than letters, digits and _ "
         "stands in double quotes, as '\"user-id\"'"),
        ('event_type = "type"', 'event_type = "type.)"', "acme: event_type: is no JMESPath: ')' "
         "does not belong at character 6"),
        ('event_type = "type"', 'event_type = "upper(type)"', "acme: event_type: JMESPath has no "
         "function upper()"),
        ('retry_delays = [60]', 'retry_delays = []', "acme: retry_delays: should not be empty"),
        ('retry_delays = [60]', 'retry_delays = [60, 0]', "acme: retry_delays.2: should be "
         "greater than or equal to 1"),
        ('retry_delays', 'retry_delay', "acme: retry_delays: is missing"),
        ('user_id = "user"', "", "acme: events.1: user_id is missing: whose event it is"),
        ('course_id = "course"', "", "acme: events.1.facts.1: completed needs course_id"),
        ('course_id = "course"', 'course_id = "course"\nquiz_id = "q"', "acme: events.1.facts.1: "
         "completed has no quiz_id; it has course_id, course_name, score, score_pct, report_url"),
        ('course_id = "course"', 'course_id = "a["', "acme: events.1.facts.1: course_id: is no "
         "JMESPath: its end is missing"),
        ('retry_delays', "sample = '{\"type\": \"done\", \"user\": 1}'\nretry_delays",
         "acme: sample: done: course: is missing."),
        ('[[vendors]]', "[[vendors]", "is not TOML: Expected ']]' at the end of an array "
         "declaration (at line 2, column 10)"),
    ],
)  # fmt: skip
def test_a_mistake_in_the_file_is_a_line_that_says_where(
    tmp_path: Path, old: str, new: str, line: str
) -> None:
    assert old in GOOD
    said = problems(GOOD.replace(old, new, 1), tmp_path)
    assert line in said
    assert "hidden" not in "".join(said)


def test_every_mistake_has_a_line_of_its_own_and_a_misspelt_key_a_hint(tmp_path: Path) -> None:
    text = GOOD.replace("name =", "nam =").replace("[60]", '["x"]')
    assert problems(text, tmp_path) == [
        "acme: name: is missing", "acme: retry_delays.1: should be a whole number of seconds",
        "acme: nam is not known here; is name meant?",
    ]  # fmt: skip


@pytest.mark.parametrize("form", ["any", "iso"])
def test_a_timestamp_that_could_end_at_another_place_is_refused_at_the_start(
    tmp_path: Path, form: str
) -> None:
    timestamp = f'[vendors.timestamp]\nat = {{ header = "x-at" }}\nform = "{form}"\n'
    events = "[[vendors.events]]"
    text = GOOD.replace("{id}.", "{timestamp}.").replace(events, f"{timestamp}{events}")
    (said,) = problems(text, tmp_path)
    assert "could be a part of a time in ISO 8601" in said
    file = tmp_path / "good.toml"
    file.write_text(text.replace(f'"{form}"', '"seconds"'))
    assert "acme" in adapters(settings(vendors_file=str(file)))


def test_two_vendors_with_one_slug_and_a_built_in_slug_are_refused(tmp_path: Path) -> None:
    assert problems(GOOD + GOOD, tmp_path) == ["vendors: acme is there twice"]
    text = GOOD.replace('"acme"', '"lessonly"')
    assert problems(text, tmp_path) == ["lessonly: is the slug of a built-in vendor; use another"]


def test_a_variable_of_another_vendor_is_refused(tmp_path: Path) -> None:
    text = GOOD.replace('"acme"', '"standard"').replace("ACME_", "STANDARD_WEBHOOKS_")
    assert problems(text, tmp_path) == [
        "standard: STANDARD_WEBHOOKS_SECRET is a setting of standard-webhooks"
    ]


def test_a_file_that_is_not_there_stops_the_start_with_one_line(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"none\.toml: cannot be read: No such file"):
        adapters(settings(vendors_file=str(tmp_path / "none.toml")))


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [("inside_secret", "xyz", "INSIDE_SECRET: value 1 is not hex"),
     ("several_secret", "whsec_!", "SEVERAL_SECRET: value 1 is not whsec_ followed by base64"),
     ("addresses_allowed_ips", "0.0.0.0/0", "ADDRESSES_ALLOWED_IPS: entry 1 is wider than /8")],
)  # fmt: skip
def test_a_value_that_is_none_stops_the_start_and_is_not_shown(
    name: str, value: str, said: str
) -> None:
    found = settings(**HOUSE, **{name: value})
    slug = name.partition("_")[0]
    with pytest.raises(SettingsError, match=said) as wrong:
        found.of_vendor(adapters(found)[slug].settings)
    assert value not in str(wrong.value)


def test_a_vendor_that_left_the_file_is_no_longer_shown_as_configured(sqlite_url: str) -> None:
    engine = open_engine(sqlite_url)
    note_vendors(engine, settings(**HOUSE, hex_secret="a-secret"))
    note_vendors(engine, settings(lessonly_authorization="a-value"))
    with engine.connect() as connection:
        assert [one.slug for one in configured(connection)] == ["lessonly"]
    engine.dispose()


# The check of a file


def checked(slug: str, delivery: Incoming, folder: Path) -> str:
    """What `vendors check` says of a recorded delivery."""
    (folder / "body").write_bytes(delivery.body)
    lines = [name.encode() + b": " + one for name, one in delivery.headers.items()]
    (folder / "headers").write_bytes(b"POST / HTTP/1.1\r\n" + b"\r\n".join(lines))
    variables = {name.upper(): value for name, value in SECRETS.items()}
    arguments = ["vendors", "check", str(FILE), "--vendor", slug, "--sample", f"{folder}/body",
                 "--headers", f"{folder}/headers", "--address", "127.0.0.1"]  # fmt: skip
    ended = CliRunner().invoke(cli, arguments, env=variables)
    assert not any(secret in ended.output for secret in SECRETS.values() if len(secret) > 9)
    return ended.output


@pytest.mark.parametrize("slug", GENUINE)
def test_the_check_reads_a_delivery_of_each_kind_however_old(slug: str, tmp_path: Path) -> None:
    said = checked(slug, GENUINE[slug], tmp_path)
    assert "✓ Authentic." in said, said
    assert "✗" not in said


def test_the_check_of_a_delivery_that_does_not_pass_says_why(tmp_path: Path) -> None:
    said = checked("lessons", lesson(playing.lesson(), None), tmp_path)
    assert "✗ Refused as missing_credentials: No authorization header." in said
    said = checked("several", several(DEAL)._replace(body=b"<html>"), tmp_path)
    assert "✗ Refused as bad_signature" in said
    said = checked("lessons", lesson(b"{}"), tmp_path)
    assert "✗ Not understood: lesson.completed: user.id: is missing." in said
    said = checked("inside", inside()._replace(body=b"<html>"), tmp_path)
    assert "✗ Not understood: The body is not JSON" in said


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda one: one._replace(body=one.body + b"\n"),
         "It fits with the sample without its last line end."),
        (lambda one: one._replace(body=b"{}"), "It fits with no other usual text, encoding or"),
        (lambda one: one._replace(headers={**one.headers, "x-parts-signature": b"t=1763800200;AA"}),
         "The x-parts-signature header has no v1=: it begins with t=1763800200"),
        (lambda one: parts(LESSON, header="v1={1}"), "No t= in x-parts-signature."),
        (lambda one: of_text(b"%d:" % int(AT)), 'It fits with signed = "{timestamp}:{body}".'),
        (lambda one: of_text(b""), 'It fits with signed = "{body}".'),
    ],
)  # fmt: skip
def test_the_check_of_a_wrong_signature_says_what_would_make_it_fit(
    tmp_path: Path, change: Callable[[Incoming], Incoming], said: str
) -> None:
    assert said in checked("parts", change(parts(LESSON)), tmp_path)


def of_text(before: bytes) -> Incoming:
    """A delivery whose signature is over another text than the declared one."""
    digest = hmac.new(base64.b64decode(PARTS_KEY), before + LESSON, "sha256").digest()
    sent = b"t=%b;v1=%b" % (AT.encode(), base64.b64encode(digest))
    return Incoming({"x-parts-signature": sent}, LESSON, None, NOW)


def test_the_check_notes_what_is_missing_of_a_delivery_that_passes(tmp_path: Path) -> None:
    said = checked("addresses", GENUINE["addresses"]._replace(body=b'{"type": "x"}'), tmp_path)
    assert "· Event ID: not found. A delivery with the same text is a repeat." in said
    assert "· Kept, and counts as nothing: no [[vendors.events]] has this type; there are" in said
    assert "✗" not in said


def test_the_check_shows_no_sign_that_could_steer_a_terminal(tmp_path: Path) -> None:
    body = b'{"type": "ping\\u001b[2J", "id": "\\u009b31m"}'
    said = checked("password", TestPassword().genuine()._replace(body=body), tmp_path)
    assert "Event type: 'ping\\x1b[2J'" in said
    assert not {"\x1b", "\x9b"} & set(said)


# A running receiver


TICKLE = {"mindtickle_webhook_secret": playing.SECRET, "mindtickle_company_id": playing.COMPANY}
VARIABLES = {name.upper(): one for name, one in {**HOUSE, **SECRETS, **TICKLE}.items()}
SERVED = [*VENDORS, "mindtickle"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With an `.env`, from which the scripts of the first page read the secrets."""
    made = tmp_path_factory.mktemp("declared")
    (made / ".env").write_text("".join(f"{name}='{one}'\n" for name, one in VARIABLES.items()))
    return made


@pytest.fixture(scope="module")
def serving(fresh_store: FreshStore, folder: Path) -> Iterator[Receiver]:
    with fresh_store("sqlite") as url, Receiver(url, folder, **VARIABLES) as receiver:
        yield receiver


def test_a_test_of_each_declared_vendor_is_accepted_and_leaves_no_event(serving: Receiver) -> None:
    with write_transaction(serving.engine) as connection:
        for slug in SERVED:
            ask_for_test(connection, slug, "dana")
    for slug in SERVED:
        until(lambda slug=slug: row(serving.engine, Trial, vendor=slug).finished_at is not None)
        done = row(serving.engine, Trial, vendor=slug)
        assert (slug, done.status, done.problem) == (slug, 200, None)
    assert rows(serving.engine, Event, vendor="inside") == []


def test_a_test_of_a_vendor_without_a_sample_says_what_to_add(
    fresh_store: FreshStore, tmp_path: Path
) -> None:
    file = tmp_path / "acme.toml"
    file.write_text(GOOD)
    own = {"VENDORS_FILE": str(file), "ACME_SECRET": "a-secret-of-some-length"}
    with fresh_store("sqlite") as url, Receiver(url, tmp_path, **own) as receiver:
        with write_transaction(receiver.engine) as connection:
            ask_for_test(connection, "acme", "dana")
        until(lambda: row(receiver.engine, Trial).finished_at is not None)
        assert (row(receiver.engine, Trial).problem or "").startswith("VENDORS_FILE has no sample")


def test_each_script_of_the_first_page_is_accepted_and_a_rebuild_reads_its_events(
    serving: Receiver, folder: Path
) -> None:
    curls = {slug: vendor_facts(settings(**HOUSE))[slug].set_up.curl for slug in SERVED}
    assert [slug for slug, curl in curls.items() if curl is None] == ["addresses"]
    for slug, curl in curls.items():
        script = f"url={serving.url}/webhooks/{slug}\n{curl or 'exit 0'}"
        ended = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script], cwd=folder, env=environment(),
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        said = '{"received":true}' if curl else ""
        assert (slug, ended.stdout, ended.stderr) == (slug, said, "")
    url = serving.engine.url.render_as_string(hide_password=False)
    rebuilt = command("rebuild", folder=folder, DATABASE_URL=url)  # by its .env
    assert (rebuilt.returncode, rebuilt.stdout) == (0, "Rebuilt from 7 events.\n")
    assert "No vendor" not in rebuilt.stderr
    learners = {(one.vendor, one.user_id) for one in rows(serving.engine, Learner)}
    assert {("lessons", "repboard-test"), ("inside", "7"), ("mindtickle", "u-1")} <= learners


def test_a_rebuild_that_does_not_know_a_vendor_with_events_says_so(
    serving: Receiver, tmp_path: Path
) -> None:
    delivery = TestPassword().genuine()
    sent = {name: value.decode() for name, value in delivery.headers.items()}
    assert serving.post(delivery.body, sent, "password").status_code == 200
    url = serving.engine.url.render_as_string(hide_password=False)
    rebuilt = command("rebuild", folder=tmp_path, DATABASE_URL=url)
    assert rebuilt.returncode == 0
    assert "No vendor password is built in or declared" in rebuilt.stderr
    assert "mindtickle" not in rebuilt.stderr
