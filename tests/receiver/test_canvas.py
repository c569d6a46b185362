"""Canvas, which is declared in the package. Its samples are made from its documentation, not
recorded. And the keys of its tokens, from a real key server on this machine."""

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest
from joserfc import jws
from joserfc.jwk import OctKey
from sqlalchemy import Engine, select, update
from typer.testing import CliRunner

from receiver.__main__ import cli
from receiver.key_sets import KeySets, fetched, load_keys
from receiver.pipeline import judge
from receiver.replay import replay
from receiver.store import write_batch
from receiver.traces import Traces
from receiver.vendors import adapters, vendor_facts
from receiver.vendors.base import Incoming, Vendor
from receiver.vendors.declared.keys import Held, keys_in
from receiver.vendors.declared.vendor import DeclaredVendor
from shared.bulk import table_of
from shared.database import open_engine
from shared.facts import Attempted, Completed, Deprovisioned, Identified, Progressed, Provisioned
from shared.models import Event, KeySet, PublicKey, ReplayRequest
from shared.outcomes import Outcome, Sender
from shared.settings import SettingsError
from tests import key_server, playing
from tests.conftest import FreshStore
from tests.key_server import public, serving, token, unsigned
from tests.receiver.vendor_cases import NOW, HeaderCases, SecurityCases, kept, settings
from tests.running import Receiver, until
from tests.stores import rows

SLUG = "canvas"
ACCOUNT = "VicYj3cu5BIFpoZhDVU4DZumnlBrWi1grgJEzADs"
BODIES = [
    json.loads(line)
    for line in (playing.SAMPLES / SLUG / "documented.jsonl").read_text().splitlines()
]
BY_TYPE: Mapping[str, Any] = {one["metadata"]["event_name"]: one for one in BODIES}
DONE = BY_TYPE["course_completed"]
AT = NOW - timedelta(minutes=17, seconds=30)
MAIL, NAME = "ada@example.com", "Ada Lovelace"


def holding(vendor: Vendor, *kids: str) -> DeclaredVendor:
    """The vendor, with the keys that a chore would have fetched."""
    assert isinstance(vendor, DeclaredVendor)
    assert vendor.key_ring is not None
    vendor.key_ring.hold(keys_in(public(*kids or ("previous", "current", "next"))))
    return vendor


def canvas(*kids: str) -> DeclaredVendor:
    found = settings(canvas_accounts=ACCOUNT)
    made = found.of_vendor(adapters(found)[SLUG].settings).vendor()
    assert made is not None
    return holding(made, *kids)


def sent(body: bytes) -> Incoming:
    return Incoming({}, body, None, NOW)


def outcome(body: bytes, vendor: Vendor | None = None) -> Outcome:
    return judge(vendor or canvas(), sent(body)).outcome


class TestTokenInTheBody(SecurityCases):
    slug = SLUG
    settings: ClassVar = {"canvas_accounts": ACCOUNT}
    wrong = Outcome.BAD_SIGNATURE

    def configured(self, **values: str) -> Mapping[str, Vendor]:
        found = super().configured(**values)
        return {slug: holding(one) if slug == SLUG else one for slug, one in found.items()}

    def genuine(self) -> Incoming:
        return sent(token(DONE))

    def bare(self) -> Incoming:
        return sent(json.dumps(DONE).encode())

    def forged(self) -> Incoming:
        own = jws.serialize_compact(
            {"alg": "RS256", "kid": "current"}, json.dumps(DONE).encode(), key_server.key("own")
        )
        return sent(own.encode())

    def misconfigured(self) -> Mapping[str, str]:
        return {"canvas_accounts": "another-account"}


HEADER_FILE = """
[[vendors]]
slug = "signed"
name = "Signed"
event_type = "type"
event_id = "id"
retry_delays = [60]
[vendors.authentication]
kind = "jwt"
keys = "https://keys.example/jwks"
account = "aud"
accounts = "SIGNED_AUDIENCES"
header = "X-Token"
scheme = "Bearer "
body_sha256 = "sha256"
"""


class TestTokenInAHeader(HeaderCases):
    slug = "signed"
    settings: ClassVar = {"signed_audiences": "ours"}
    wrong = Outcome.BAD_SIGNATURE
    credential = "x-token"
    body = b'{"type": "ping", "id": "p-1"}'

    @pytest.fixture(autouse=True)
    def _file(self, tmp_path: Path) -> None:
        file = tmp_path / "vendors.toml"
        file.write_text(HEADER_FILE)
        type(self).house = {"vendors_file": str(file)}

    def configured(self, **values: str) -> Mapping[str, Vendor]:
        found = super().configured(**values)
        return {slug: holding(one) if slug == "signed" else one for slug, one in found.items()}

    def signed(self, body: bytes, kid: str = "current") -> Incoming:
        claims = {"aud": "ours", "sha256": hashlib.sha256(self.body).hexdigest()}
        return Incoming({"x-token": b"Bearer " + token(claims, kid)}, body, None, NOW)

    def genuine(self) -> Incoming:
        return self.signed(self.body)

    def forged(self) -> Incoming:
        return self.signed(self.body, "unknown")

    def misconfigured(self) -> Mapping[str, str]:
        return {"signed_audiences": "theirs"}

    def test_a_token_of_another_body_is_refused(self) -> None:
        assert self.refusal(self.signed(self.body + b" ")) is self.wrong


# What a token may not be


def _confused() -> bytes:
    """Signed with the public key as if it were a secret."""
    pem = key_server.key("current").as_pem(private=False)
    text = unsigned(DONE, alg="HS256", kid="current").rpartition(b".")[0]
    digest = hmac.new(pem, text, "sha256").digest()
    return text + b"." + base64.urlsafe_b64encode(digest).rstrip(b"=")


GOOD = token(DONE)
HEAD, PAYLOAD, SIGNATURE = GOOD.split(b".")


@pytest.mark.parametrize(
    "body",
    [
        unsigned(DONE, b"x", alg="none", kid="current"),
        unsigned(DONE, b"x", alg="NONE", kid="current"),
        _confused(),
        token(DONE, "unknown"),
        unsigned(DONE, b"x", alg="RS256"),
        unsigned(DONE, b"x", alg="RS256", kid=7),
        unsigned(DONE, b"x", alg="RS256", kid="current", jwk={"kty": "oct", "k": "eA"}),
        unsigned(DONE, b"x", alg="RS256", kid="current", crit=["exp"]),
        jws.serialize_compact({"alg": "PS256", "kid": "current"}, json.dumps(DONE).encode(),
                              key_server.key("current"), algorithms=["PS256"]).encode(),
        b".".join((HEAD, PAYLOAD, SIGNATURE[:-1])),
        b".".join((HEAD, PAYLOAD + b"A", SIGNATURE)),
        b".".join((HEAD, PAYLOAD, b"A")),
        b"bnVsbA." + PAYLOAD + b"." + SIGNATURE,
        b"A." + PAYLOAD + b"." + SIGNATURE,
        token(DONE, padding="x" * 5_000),
    ],
)  # fmt: skip
def test_a_token_that_the_vendor_did_not_sign_is_refused(body: bytes) -> None:
    assert outcome(body) is Outcome.BAD_SIGNATURE


@pytest.mark.parametrize(
    "body",
    [b"", b"{}", unsigned(DONE, alg="none", kid="current"),
     json.dumps(DONE).encode(), b'"' + GOOD + b'"', GOOD + b"\n", GOOD + b"=",
     GOOD + b".", GOOD + b"." + SIGNATURE, b"." + GOOD, HEAD + b"." + PAYLOAD,
     HEAD + b"." + PAYLOAD + b".", b"..", b"a..b", GOOD.replace(b".", b"%2e"), GOOD + b"\0",
     GOOD + b"\xff"],
)  # fmt: skip
def test_a_body_that_is_no_token_is_a_strangers(body: bytes) -> None:
    entry = judge(canvas(), sent(body))
    assert (entry.outcome, entry.sender) == (Outcome.MISSING_CREDENTIALS, Sender.STRANGER)


def test_one_spelling_of_a_signature_passes() -> None:
    spelled = [
        bytes([*SIGNATURE[:-1], other])
        for other in b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    ]
    same = base64.urlsafe_b64decode(SIGNATURE + b"==")
    alike = [one for one in spelled if base64.urlsafe_b64decode(one + b"==") == same]
    assert len(alike) == 16
    passed = [one for one in alike
              if outcome(b".".join((HEAD, PAYLOAD, one))) is Outcome.ACCEPTED]  # fmt: skip
    assert passed == [SIGNATURE]


@pytest.mark.parametrize("claims", [[], "text", 7, None, [DONE], {}, {"metadata": 7}])
def test_signed_claims_that_name_no_account_are_refused(claims: object) -> None:
    assert outcome(token(claims)) is Outcome.WRONG_COMPANY


def test_a_token_of_another_customer_is_refused_though_the_vendor_signed_it() -> None:
    other = playing.changed(json.dumps(DONE).encode(), metadata__root_account_uuid="another")
    entry = judge(canvas(), sent(token(json.loads(other))))
    assert entry.outcome is Outcome.WRONG_COMPANY
    assert entry.reason == (
        "metadata.root_account_uuid is 'another', which is none of CANVAS_ACCOUNTS. If the account "
        "is yours, add it there and restart."
    )


NOW_SEC = NOW.timestamp()


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ({"iat": NOW_SEC, "nbf": NOW_SEC, "exp": NOW_SEC + 60}, Outcome.ACCEPTED),
        ({"exp": NOW_SEC - 299}, Outcome.ACCEPTED),
        ({"exp": NOW_SEC - 301}, Outcome.STALE_TIMESTAMP),
        ({"nbf": NOW_SEC + 301}, Outcome.STALE_TIMESTAMP),
        ({"iat": NOW_SEC + 301}, Outcome.STALE_TIMESTAMP),
        ({"iat": NOW_SEC - 1200}, Outcome.ACCEPTED),
        ({"exp": str(NOW_SEC)}, Outcome.STALE_TIMESTAMP),
        ({"exp": True}, Outcome.STALE_TIMESTAMP),
        ({"exp": float("nan")}, Outcome.STALE_TIMESTAMP),
        ({"exp": -(10**400)}, Outcome.STALE_TIMESTAMP),
        ({"iat": 10**400}, Outcome.STALE_TIMESTAMP),
        ({"exp": 10**400}, Outcome.ACCEPTED),
    ],
)
def test_an_expired_token_or_one_from_the_future_is_refused(
    times: Mapping[str, Any], expected: Outcome
) -> None:
    assert outcome(token(DONE | times)) is expected


def test_a_retry_with_another_key_and_time_is_a_repeat() -> None:
    first = judge(canvas(), sent(token(DONE | {"iat": NOW_SEC, "jti": "1"}))).event
    again = judge(canvas(), sent(token(DONE | {"iat": NOW_SEC + 60}, "next"))).event
    other = judge(canvas(), sent(token(BY_TYPE["course_progress"]))).event
    assert first is not None
    assert again is not None
    assert other is not None
    assert (first.event_key, first.digest) == (again.event_key, again.digest)
    assert first.event_key != other.event_key


# What the events say


@pytest.mark.parametrize(
    ("event_type", "facts"),
    [
        ("user_created", [Provisioned(SLUG, "123", None, NAME, None, None, AT)]),
        ("user_updated", [Identified(SLUG, "123", None, "Ada King", AT)]),
        ("course_progress",
         [Identified(SLUG, "123", MAIL, NAME, AT),
          Progressed(SLUG, "123", "565", "Computer Science I", 25.0, 0, AT)]),
        ("course_completed",
         [Identified(SLUG, "123", MAIL, NAME, AT),
          Completed(SLUG, "key", "123", "565", "Computer Science I", None, AT)]),
        ("grade_change",
         [Attempted(SLUG, "key", "123", "21070000000000355", None, 5, 10, None, True, AT)]),
        ("quiz_submitted", []),
    ],
)  # fmt: skip
def test_each_documented_event_says_its_facts(event_type: str, facts: list[Any]) -> None:
    entry = judge(canvas(), sent(token(BY_TYPE[event_type])))
    assert (entry.outcome, entry.reason) == (Outcome.ACCEPTED, None)
    assert entry.event is not None
    assert json.loads(entry.event.payload) == BY_TYPE[event_type]
    said = [one._replace(event_key="key") if hasattr(one, "event_key") else one
            for one in entry.event.facts]  # fmt: skip
    assert said == facts
    assert tuple(adapters(settings())[SLUG].facts(kept(entry.event))) == tuple(entry.event.facts)


def test_a_deleted_user_has_left() -> None:
    body = json.dumps(BY_TYPE["user_updated"]).encode()
    event = judge(canvas(), sent(token(json.loads(
        playing.changed(body, body__workflow_state="deleted"))))).event  # fmt: skip
    assert event is not None
    assert Deprovisioned(SLUG, "123", None, AT) in event.facts


def test_a_grade_that_a_teacher_gave_is_no_quiz() -> None:
    body = json.dumps(BY_TYPE["grade_change"]).encode()
    graded = json.loads(playing.changed(body, body__grader_id="21070000000000987"))
    event = judge(canvas(), sent(token(graded))).event
    assert event is not None
    assert event.facts == ()


def test_its_last_retry_comes_within_minutes() -> None:
    facts = vendor_facts(settings())[SLUG]
    assert facts.schedule.span == timedelta(minutes=10)
    assert facts.suspend_after == timedelta(days=1)
    assert facts.set_up.curl is None


def test_an_erasure_finds_the_person_in_a_quarantined_token() -> None:
    traces = Traces([], [MAIL])
    assert traces.in_body(SLUG, token(DONE, "unknown"))
    assert not traces.in_body(SLUG, token(BY_TYPE["quiz_submitted"] | {"metadata": {}}))


# The keys


@pytest.mark.parametrize(
    "document",
    [b"", b"<html>", b"[]", b"{}", b'{"keys": 7}', b'{"keys": []}', b'{"keys": [7, null, []]}',
     b'{"keys": [{"kty": "oct", "kid": "a", "k": "c2VjcmV0"}]}',
     b'{"keys": [{"kty": "RSA", "kid": "a", "n": "AQAB", "e": "AQAB"}]}',
     b'{"keys": [{"kty": "RSA", "kid": "a", "n": "%%", "e": "AQAB"}]}',
     b'{"keys": [{"kty": "RSA", "kid": "a"}]}',
     b'{"keys": [{"kty": "EC", "kid": "a", "crv": "P-1", "x": "AA", "y": "AA"}]}',
     public("current").replace(b'"sig"', b'"enc"'), public("current").replace(b'"kid"', b'"id"'),
     public("").replace(b'"kid": ""', b'"kid": 7')],
)  # fmt: skip
def test_a_document_without_a_public_key_for_signatures_is_refused(document: bytes) -> None:
    with pytest.raises(ValueError, match=r"It has no|The body is"):
        keys_in(document)


def test_nothing_private_of_a_set_is_kept() -> None:
    whole = key_server.key("current").as_dict(private=True) | {"kid": "current", "x5u": "https://x"}
    secret = OctKey.import_key("s" * 32).as_dict(private=True) | {"kid": "secret"}
    (held,) = keys_in(json.dumps({"keys": [secret, whole]}).encode())
    assert json.loads(held.jwk).keys() == {"kty", "n", "e"}


def test_a_key_verifies_what_came_before_it_left_its_set() -> None:
    vendor = canvas()
    assert vendor.key_ring is not None
    (held,) = keys_in(public("current"))
    for withdrawn, expected in (
        (None, Outcome.ACCEPTED),
        (NOW + timedelta(seconds=1), Outcome.ACCEPTED),
        (NOW, Outcome.BAD_SIGNATURE),
    ):
        vendor.key_ring.hold([Held(held.kid, held.jwk, withdrawn)])
        assert outcome(token(DONE), vendor) is expected


def test_a_key_for_another_algorithm_is_not_used() -> None:
    vendor = canvas()
    assert vendor.key_ring is not None
    other = public("current").replace(b'"use"', b'"alg": "PS256", "use"')
    vendor.key_ring.hold(keys_in(other))
    assert outcome(token(DONE), vendor) is Outcome.BAD_SIGNATURE


@contextmanager
def chores(
    store: FreshStore, kind: str, folder: Path, url: str
) -> Iterator[tuple[Engine, DeclaredVendor, KeySets]]:
    """A receiver's keys, with a key server at an address."""
    with store(kind) as database_url, closing_engine(database_url) as engine:
        vendor = at_server(folder, url)
        yield engine, vendor, KeySets(engine, {SLUG: vendor})


@contextmanager
def closing_engine(url: str) -> Iterator[Engine]:
    engine = open_engine(url)
    yield engine
    engine.dispose()


def own_server(folder: Path, url: str) -> str:
    """VENDORS_FILE with this key server."""
    file = folder / "vendors.toml"
    file.write_text(f'[[vendors]]\nslug = "canvas"\n[vendors.authentication]\nkeys = "{url}"\n')
    return str(file)


def at_server(folder: Path, url: str) -> DeclaredVendor:
    found = settings(canvas_accounts=ACCOUNT, vendors_file=own_server(folder, url))
    adapters.__globals__["_with_file"].cache_clear()
    made = found.of_vendor(adapters(found)[SLUG].settings).vendor()
    assert isinstance(made, DeclaredVendor)
    return made


def later(engine: Engine, by: timedelta) -> None:
    """As if the last attempt were that long ago."""
    row = table_of(KeySet)
    with engine.begin() as connection:
        tried = connection.scalar(select(row.c.tried_at))
        assert tried is not None
        connection.execute(update(row).values(tried_at=tried - by))


MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_keys_turn_over_and_an_unknown_one_is_fetched_within_a_minute(
    kind: str, fresh_store: FreshStore, tmp_path: Path
) -> None:
    with (
        serving(public("previous", "current")) as server,
        chores(fresh_store, kind, tmp_path, server.url) as (engine, vendor, key_sets),
    ):
        assert outcome(token(DONE), vendor) is Outcome.BAD_SIGNATURE
        key_sets.carry_out()
        assert outcome(token(DONE), vendor) is Outcome.ACCEPTED
        key_sets.carry_out()
        assert server.asked == 1
        # The key turns: a delivery comes before its key.
        server.document = public("current", "next")
        arrived = sent(token(DONE, "next"))._replace(received_at=datetime.now(UTC))
        early = judge(vendor, arrived)
        assert (early.outcome, early.sender) == (Outcome.BAD_SIGNATURE, Sender.VENDOR)
        with engine.begin() as connection:
            write_batch(connection, [early])
        key_sets.carry_out()
        assert server.asked == 1
        later(engine, MINUTE)
        key_sets.carry_out()
        assert server.asked == 2
        assert outcome(token(DONE, "next"), vendor) is Outcome.ACCEPTED
        asked = rows(engine, ReplayRequest)
        assert {(one.vendor, one.outcome, one.requested_by) for one in asked} == {
            (SLUG, Outcome.BAD_SIGNATURE, "receiver")
        }
        assert replay(engine, {SLUG: vendor}, SLUG, outcome=Outcome.BAD_SIGNATURE).taken == 1
        assert len(rows(engine, Event)) == 1
        # The old key has left, and verifies nothing more.
        withdrawn = {one.kid: one.withdrawn_at is not None for one in rows(engine, PublicKey)}
        assert withdrawn == {"previous": True, "current": False, "next": False}
        later(engine, HOUR)
        key_sets.carry_out()
        assert server.asked == 3


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_while_the_key_server_is_down_the_known_keys_stay_valid(
    kind: str, fresh_store: FreshStore, tmp_path: Path
) -> None:
    with serving(public("current")) as server:
        url, port = server.url, server.server_port
        with chores(fresh_store, kind, tmp_path, url) as (engine, vendor, key_sets):
            key_sets.carry_out()
            server.status, server.document = 503, b""
            later(engine, HOUR)
            key_sets.carry_out()
            (noted,) = rows(engine, KeySet)
            assert noted.problem == "The key server answered 503."
            assert outcome(token(DONE), vendor) is Outcome.ACCEPTED
            server.shutdown()
            server.server_close()
            later(engine, MINUTE)
            key_sets.carry_out()
            (noted,) = rows(engine, KeySet)
            assert "ConnectError" in noted.problem
            # A restart needs no network.
            again = at_server(tmp_path, url)
            load_keys(engine, {SLUG: again})
            assert outcome(token(DONE), again) is Outcome.ACCEPTED
            with serving(public("current", "next"), port):
                later(engine, MINUTE)
                key_sets.carry_out()
            (noted,) = rows(engine, KeySet)
            assert noted.problem is None
            assert outcome(token(DONE, "next"), vendor) is Outcome.ACCEPTED
            # Another address is another set.
            with serving(public("next")) as other:
                moved = at_server(tmp_path, other.url)
                load_keys(engine, {SLUG: moved})
                assert outcome(token(DONE), moved) is Outcome.BAD_SIGNATURE
                KeySets(engine, {SLUG: moved}).carry_out()
            assert [one.kid for one in rows(engine, PublicKey)] == ["next"]


def test_a_set_that_is_too_large_or_elsewhere_is_refused() -> None:
    with serving(b"x" * 65_537) as server:
        with pytest.raises(ValueError, match="more than 65536 bytes"):
            fetched(server.url)
        server.status = 302
        with pytest.raises(ValueError, match="answered 302"):
            fetched(server.url)


def test_keys_come_over_https_only(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"authentication.keys: should be https"):
        at_server(tmp_path, "http://keys.example/jwks")


def test_a_receiver_takes_signed_tokens_and_needs_no_key_server_after_a_restart(
    fresh_store: FreshStore, tmp_path: Path
) -> None:
    with fresh_store("sqlite") as url:
        with serving(public("current")) as server:
            own = {"CANVAS_ACCOUNTS": ACCOUNT, "VENDORS_FILE": own_server(tmp_path, server.url)}
            with Receiver(url, tmp_path, **own) as receiver:
                until(lambda: receiver.client.post("/webhooks/canvas", content=GOOD).is_success)
        with Receiver(url, tmp_path, **own) as receiver:
            answer = receiver.client.post("/webhooks/canvas", content=GOOD)
            assert (answer.status_code, answer.json()) == (200, {"duplicate": True})
            plain = receiver.client.post("/webhooks/canvas", json=DONE)
            assert plain.status_code == 401
            assert [one.vendor for one in rows(receiver.engine, Event)] == [SLUG]


def test_the_check_fetches_the_keys(tmp_path: Path) -> None:
    body = tmp_path / "body"
    body.write_bytes(GOOD)
    with serving(public("current")) as server:
        asked = ["vendors", "check", own_server(tmp_path, server.url), "--sample", str(body)]
        ended = CliRunner().invoke(cli, asked, env={"CANVAS_ACCOUNTS": ACCOUNT})
        assert (ended.exit_code, "✓ Authentic." in ended.stdout) == (0, True), ended.output
        body.write_bytes(token(DONE | {"iat": 1763800200, "exp": 1763800260}))
        old = CliRunner().invoke(cli, asked, env={"CANVAS_ACCOUNTS": ACCOUNT})
        assert "✓ Signed at 2025-11-22T08:30:00+00:00; verified as if it had" in old.stdout
        assert (old.exit_code, "· Arriving now it would be refused" in old.stdout) == (0, True)
        server.document = b"{}"
        refused = CliRunner().invoke(cli, asked, env={"CANVAS_ACCOUNTS": ACCOUNT})
        assert "Cannot get the keys at" in str(refused.exception)
