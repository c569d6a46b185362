"""The adapter of Standard Webhooks by itself: bytes in, an event or a refusal out."""

import base64
import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import pytest
from hypothesis import given, strategies as st
from standardwebhooks import Webhook as StandardWebhook
from svix.webhooks import Webhook as SvixWebhook

from receiver.pipeline import judge
from receiver.vendors import standard_webhooks
from receiver.vendors.base import Incoming, Rejected, Unreadable, VendorEvent
from receiver.vendors.standard_webhooks import (
    ID,
    SIGNATURE,
    STANDARD,
    SVIX,
    TIMESTAMP,
    StandardWebhooksSettings,
    sign,
)
from shared.facts import Acted
from shared.outcomes import Outcome
from shared.settings import SettingsError
from tests import playing
from tests.receiver.vendor_cases import NOW, SigningCases, json_values, kept, only_refuses, served

SLUG = "standard-webhooks"
NOON_TEXT = NOW.isoformat()
VECTOR = json.loads((playing.SAMPLES / "standard_webhooks_vector.json").read_text())
OTHER = "whsec_" + base64.b64encode(b"another key of 24 bytes!").decode()
RETIRED = "whsec_" + base64.b64encode(b"a key that was in use once").decode()
KEY = base64.b64decode(playing.WHSEC.removeprefix("whsec_"))


def vendor(secrets: str = playing.WHSEC) -> Any:
    return served(SLUG, standard_webhooks_secret=secrets)


def incoming(body: bytes, at: datetime = NOW, secret: str = playing.WHSEC) -> Incoming:
    headers = playing.standard(body, at, "msg-1", secret)
    return Incoming({name: one.encode() for name, one in headers.items()}, body, None, NOW)


def signed(body: bytes, id_: bytes = b"msg-1", timestamp: bytes | None = None) -> Incoming:
    """Signed apart from the package, which does not take just anything."""
    stamp = str(int(NOW.timestamp())).encode() if timestamp is None else timestamp
    token = sign(KEY, b".".join((id_, stamp, body)))
    return Incoming({ID: id_, TIMESTAMP: stamp, SIGNATURE: token}, body, None, NOW)


def with_signature(header: bytes) -> Incoming:
    good = incoming(b"{}")
    return good._replace(headers={**good.headers, SIGNATURE: header})


def good_token() -> bytes:
    return incoming(b"{}").headers[SIGNATURE]


def refusal(delivery: Incoming, secrets: str = playing.WHSEC) -> Outcome:
    with pytest.raises(Rejected) as refused:
        vendor(secrets).authenticate(delivery)
    return refused.value.outcome


def parsed(body: bytes, **more: bytes) -> VendorEvent:
    event: VendorEvent = vendor().parse(signed(body, **more))
    return event


# Authentication


class TestSecurity(SigningCases):
    slug = SLUG
    settings: ClassVar = {"standard_webhooks_secret": playing.WHSEC}
    wrong = Outcome.BAD_SIGNATURE
    credential = SIGNATURE
    signed = (ID, TIMESTAMP)

    def genuine(self) -> Incoming:
        return incoming(playing.sample(SLUG, "contact.created"))

    def forged(self) -> Incoming:
        return incoming(playing.sample(SLUG, "contact.created"), secret=OTHER)

    def misconfigured(self) -> Mapping[str, str]:
        return {"standard_webhooks_secret": RETIRED}


def renamed(delivery: Incoming) -> Incoming:
    """The same under the header names of Svix."""
    names = dict(zip(STANDARD, SVIX, strict=True))
    headers = {names[name]: value for name, value in delivery.headers.items()}
    return delivery._replace(headers=headers)


def under_both_names(delivery: Incoming, **changed: bytes) -> Incoming:
    """The same under both names, of which some may be changed: `svix_id`."""
    headers = {**delivery.headers, **renamed(delivery).headers}
    return delivery._replace(
        headers=headers | {name.replace("_", "-"): value for name, value in changed.items()}
    )


class TestSecurityUnderTheNamesOfSvix(TestSecurity):
    credential = "svix-signature"
    signed = ("svix-id", "svix-timestamp")

    def genuine(self) -> Incoming:
        return renamed(super().genuine())

    def forged(self) -> Incoming:
        return renamed(super().forged())


@pytest.mark.parametrize(
    ("client", "names"),
    [(StandardWebhook, STANDARD), (SvixWebhook, SVIX)],
    ids=["standardwebhooks", "svix"],
)
def test_what_the_clients_of_senders_sign_is_accepted(client: Any, names: Any) -> None:
    body = playing.sample(SLUG, "contact.created")
    at = int(NOW.timestamp())
    signature = client(playing.WHSEC).sign("msg-1", NOW, body.decode())
    values = (value.encode() for value in ("msg-1", str(at), signature))
    headers = dict(zip(names, values, strict=True))
    entry = judge(vendor(), Incoming(headers, body, None, NOW))
    assert (entry.outcome, entry.claims.event_key) == (Outcome.ACCEPTED, "msg-1")


def test_an_event_is_the_same_under_either_name() -> None:
    body = playing.sample(SLUG, "contact.created")
    events = [vendor().parse(one) for one in (signed(body), renamed(signed(body)))]
    assert events[0] == events[1]
    assert judge(vendor(), under_both_names(signed(body))).event == events[0]
    assert vendor().claims(renamed(signed(body))) == ("msg-1", "contact.created")


@pytest.mark.parametrize("name", [*STANDARD, *SVIX])
def test_headers_under_both_names_must_agree(name: str) -> None:
    changed = {name.replace("-", "_"): b"1763800201"}
    both = under_both_names(signed(b"{}"), **changed)
    assert refusal(both) is Outcome.BAD_SIGNATURE
    assert "headers differ" in (judge(vendor(), both).reason or "")


def test_a_second_right_signature_under_the_other_name_does_not_let_in_another_id() -> None:
    """Each set is authentic by itself: the one that is read must not depend on chance."""
    another = renamed(signed(b"{}", b"msg-2")).headers
    both = signed(b"{}")
    mixed = both._replace(headers={**both.headers, **another})
    assert refusal(mixed) is Outcome.BAD_SIGNATURE


@pytest.mark.parametrize("name", [*STANDARD, *SVIX])
def test_a_set_of_headers_that_is_begun_must_be_complete(name: str) -> None:
    for sent in (b"", None):
        headers = {**under_both_names(signed(b"{}")).headers}
        headers.pop(name)
        more = {} if sent is None else {name: sent}
        assert refusal(signed(b"{}")._replace(headers=headers | more)) is (
            Outcome.MISSING_CREDENTIALS
        )


def of_vector(received_at: datetime) -> Incoming:
    headers = {ID: VECTOR["id"], TIMESTAMP: VECTOR["timestamp"], SIGNATURE: VECTOR["signature"]}
    encoded = {name: one.encode() for name, one in headers.items()}
    return Incoming(encoded, VECTOR["body"].encode(), None, received_at)


def test_the_public_test_vector_is_admitted_when_it_comes_in_time() -> None:
    at = datetime.fromtimestamp(int(VECTOR["timestamp"]), UTC)
    vendor(VECTOR["secret"]).authenticate(of_vector(at + timedelta(minutes=5)))
    assert refusal(of_vector(NOW), VECTOR["secret"]) is Outcome.STALE_TIMESTAMP
    assert refusal(of_vector(at), OTHER) is Outcome.BAD_SIGNATURE


@pytest.mark.parametrize("seconds", [-300, 0, 300])
def test_five_minutes_either_way_are_admitted(seconds: int) -> None:
    vendor().authenticate(incoming(b"{}", NOW + timedelta(seconds=seconds)))


@pytest.mark.parametrize("seconds", [-301, 301, -86_400, 10**8])
def test_more_than_five_minutes_either_way_are_refused(seconds: int) -> None:
    late = incoming(b"{}", NOW + timedelta(seconds=seconds))
    assert refusal(late) is Outcome.STALE_TIMESTAMP


def test_each_of_several_secrets_is_admitted_while_one_is_changed() -> None:
    for secret in (playing.WHSEC, OTHER):
        vendor(f"{OTHER}, {playing.WHSEC}").authenticate(incoming(b"{}", secret=secret))


@pytest.mark.parametrize(
    "header", ["{0} {1}", "{1} {0}", "v1a,c2lnbmF0dXJl {0}", "{1} {1} v2,x {0}", "v1,!!! {0}"]
)
def test_one_signature_of_several_that_fits_is_enough(header: str) -> None:
    other = incoming(b"{}", secret=OTHER).headers[SIGNATURE].decode()
    vendor().authenticate(with_signature(header.format(good_token().decode(), other).encode()))


@pytest.mark.parametrize(
    "header",
    ["{0},", "{0} ", " {0}", "{0}  {0}", "{0} token", "token {0}", "v1, {0}", ",{0}", "{0},{0}",
     "v1,", ",", " ", "v1", "v1,=", "v1,é", "v1,{0}", "v2,{1}", "V1,{1}", "v1a,{1}", "{1}",
     "v1,{2}", "v1,{1}=", "v1,{1}\n"],
)  # fmt: skip
def test_a_list_of_signatures_in_any_other_shape_is_refused(header: str) -> None:
    token = good_token().decode()
    value = token.removeprefix("v1,")
    filled = header.format(token, value, value.rstrip("="))
    assert refusal(with_signature(filled.encode())) is Outcome.BAD_SIGNATURE


def test_base64_that_means_the_same_bytes_in_another_spelling_is_refused() -> None:
    token = good_token()
    alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    last = alphabet.index(token[-2])
    other = token[:-2] + alphabet[last ^ 1 : (last ^ 1) + 1] + b"="
    assert base64.b64decode(other[3:]) == base64.b64decode(token[3:])
    assert refusal(with_signature(other)) is Outcome.BAD_SIGNATURE


@pytest.mark.parametrize(
    "timestamp",
    [b"1763800200.0", b"1_763_800_200", b"+1763800200", b"-1", b"1.7638002e9", b" 1763800200",
     b"1763800200 ", b"nan", b"inf", b"0x69217508", b"2025-11-22T08:30:00Z", b"9" * 12,
     b"9" * 5000, b"\xff", "１７６３８００２００".encode(), b"1763800200000"],
)  # fmt: skip
def test_a_signed_timestamp_that_is_no_whole_number_of_seconds_is_refused(
    timestamp: bytes,
) -> None:
    assert int(NOW.timestamp()) == 1763800200
    assert refusal(signed(b"{}", timestamp=timestamp)) is Outcome.STALE_TIMESTAMP


def test_an_id_with_a_dot_is_refused_as_it_could_be_cut_in_two_ways() -> None:
    assert refusal(signed(b"{}", b"msg.1")) is Outcome.BAD_SIGNATURE


def test_the_reason_of_an_id_with_a_dot_speaks_of_the_dot_and_not_of_a_changed_secret() -> None:
    with pytest.raises(Rejected, match="allows no dot in an id") as refused:
        vendor().authenticate(signed(b"{}", b"msg.1"))
    assert "was changed" not in refused.value.reason


@given(st.integers(1763800000, 1763800400), st.binary(max_size=20) | st.just(b"1763800200.{}"))
def test_the_signed_text_has_one_reading(seconds: int, body: bytes) -> None:
    text = b"msg-1.%d." % seconds + body
    token = sign(KEY, text)
    parts = text.split(b".")
    cuts = [(one, two) for two in range(1, len(parts)) for one in range(1, two)]
    passing = []
    for one, two in cuts:
        id_, stamp, rest = (b".".join(part) for part in (parts[:one], parts[one:two], parts[two:]))
        delivery = Incoming({ID: id_, TIMESTAMP: stamp, SIGNATURE: token}, rest, None, NOW)
        if judge(vendor(), delivery).outcome in (Outcome.ACCEPTED, Outcome.UNREADABLE):
            passing.append((id_, stamp))
    assert passing == [(b"msg-1", b"%d" % seconds)]


def test_a_signed_body_that_is_no_text_is_authentic_but_not_understood() -> None:
    delivery = signed(b"\xff\xfe{}")
    vendor().authenticate(delivery)
    with pytest.raises(Unreadable):
        vendor().parse(delivery)


@pytest.mark.parametrize(
    "value",
    ["hidden", "whsec_", "whsec_=", "whsec_hidden!", "whsec_h", "whpk_aGlkZGVu", "whsec_ aGk=",
     "WHSEC_aGlkZGVu", f"{playing.WHSEC},hidden", "whsec_aGlk=ZGVu"],
)  # fmt: skip
def test_a_secret_that_is_none_stops_the_start_with_one_line_that_does_not_show_it(
    monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("STANDARD_WEBHOOKS_SECRET", value)
    with pytest.raises(SettingsError) as wrong:
        StandardWebhooksSettings.load()
    place = 2 if "," in value else 1
    assert str(wrong.value) == (
        f"STANDARD_WEBHOOKS_SECRET: value {place} is not whsec_ followed by base64"
    )


@pytest.mark.parametrize(
    ("value", "place", "hint"),
    [
        (f"v1,{playing.WHSEC}", 1, "leave out the v1"),
        (f"{playing.WHSEC}, v1,{playing.WHSEC}", 2, "leave out the v1"),
        ("whsec_a-_b", 1, "URL-safe base64"),
        ("whsec_aGlkZ_Vu=", 1, "URL-safe base64"),
    ],
)
def test_a_secret_in_another_spelling_stops_the_start_with_what_to_change(
    monkeypatch: pytest.MonkeyPatch, value: str, place: int, hint: str
) -> None:
    monkeypatch.setenv("STANDARD_WEBHOOKS_SECRET", value)
    with pytest.raises(SettingsError) as wrong:
        StandardWebhooksSettings.load()
    begin = f"STANDARD_WEBHOOKS_SECRET: value {place} is not whsec_ followed by base64: "
    assert str(wrong.value).startswith(begin)
    assert hint in str(wrong.value)
    assert value.rpartition("whsec_")[2] not in str(wrong.value)


def test_a_secret_without_its_padding_is_the_same_secret() -> None:
    padded = "whsec_" + base64.b64encode(b"k" * 25).decode()
    delivery = incoming(b"{}", secret=padded)
    vendor(padded.rstrip("=")).authenticate(delivery)


def test_a_secret_is_not_shown_when_settings_are_printed() -> None:
    shown = repr(StandardWebhooksSettings(_env_file=None, standard_webhooks_secret=playing.WHSEC))  # type: ignore[arg-type]
    assert playing.WHSEC not in shown
    assert repr(KEY)[2:-1] not in shown


# What an event is


def test_an_event_is_kept_under_its_type_and_without_facts() -> None:
    body = playing.sample(SLUG, "contact.created")
    event = parsed(body)
    assert (event.event_key, event.type, event.company_id) == ("msg-1", "contact.created", None)
    assert (event.user_id, event.facts, event.payload) == (None, (), body.decode())
    assert event.occurred_at == datetime(2025, 11, 22, 8, 26, 10, 344_522, tzinfo=UTC)
    assert standard_webhooks.kept_facts(kept(event)) == ()


def test_a_sample_with_everything_on_one_level_is_kept_as_it_is() -> None:
    event = parsed(playing.sample(SLUG, "flat"))
    assert (event.type, event.occurred_at) == ("badge.earned", NOW)  # its time is no text
    assert "<script>" in event.payload


@pytest.mark.parametrize(
    ("body", "type_"),
    [
        (b'{"event":"badge.earned"}', "badge.earned"),
        (b'{"type":"a","event":"b"}', "a"),
        (b'{"type":7,"event":"b"}', "b"),
        (b"{}", "unknown"),
        (b'{"type":""}', "unknown"),
        (b'{"type":null,"event":[]}', "unknown"),
        (b'{"type":"a\\u0000"}', "unknown"),
        (b'{"type":"' + b"x" * 256 + b'"}', "unknown"),
    ],
)
def test_the_type_is_read_from_type_or_event(body: bytes, type_: str) -> None:
    assert parsed(body).type == type_


@pytest.mark.parametrize(
    "sent", [None, "", "yesterday", 1763800004, True, [], "0001-01-01T00:00:00Z", "9999-12-31"]
)
def test_without_a_plausible_time_in_the_body_the_event_happened_when_it_was_signed(
    sent: Any,
) -> None:
    assert parsed(json.dumps({"timestamp": sent}).encode()).occurred_at == NOW


def test_the_digest_is_over_all_that_was_signed() -> None:
    message = b"msg-1.%d.{}" % int(NOW.timestamp())
    assert parsed(b"{}").digest == hashlib.sha256(message).hexdigest()
    assert len({parsed(b"{}").digest, parsed(b"{ }").digest, parsed(b"{}", id_=b"b").digest}) == 3


def test_an_overlong_id_is_shortened_and_stays_distinct() -> None:
    one, other = (parsed(b"{}", id_=b"a" * 9000 + end).event_key for end in (b"1", b"2"))
    assert one != other
    assert len(one) == len(other) <= 255


def test_a_refused_delivery_claims_its_id_and_type() -> None:
    claims = vendor().claims(incoming(b'{"type":"a"}', secret=OTHER))
    assert claims == ("msg-1", "a")
    assert vendor().claims(Incoming({}, b"[", None, NOW)) == (None, None)


@pytest.mark.parametrize("body", [b"", b"[]", b"7", b"{", b"[" * 100_000])
def test_a_body_that_is_no_json_object_is_not_understood(body: bytes) -> None:
    with pytest.raises(Unreadable):
        parsed(body)


bodies = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(("type", "event", "timestamp", "data"), json_values)
).map(lambda fields: json.dumps(fields).encode())
raw_headers = st.dictionaries(st.sampled_from([ID, TIMESTAMP, SIGNATURE]), st.binary())


@given(raw_headers, st.binary() | bodies)
def test_no_bytes_raise_anything_but_a_refusal(headers: dict[str, bytes], body: bytes) -> None:
    only_refuses(vendor(), Incoming(headers, body, None, NOW))


@given(st.binary() | bodies, st.binary(min_size=1), st.none() | st.binary(min_size=1))
def test_no_signed_bytes_raise_anything_but_a_refusal(
    body: bytes, id_: bytes, timestamp: bytes | None
) -> None:
    only_refuses(vendor(), signed(body, id_, timestamp))


# The person an event scores for


@pytest.mark.parametrize(
    "data",
    [
        {"owner": "Dana@X.com"},
        {"owner": {"email": " dana@x.com", "name": "Dana"}},
        {"ownerEmail": "dana@x.com", "email": "buyer@else.com"},
        {"user_email": "dana@x.com"},
        {"email": "dana@x.com"},
    ],
)
def test_an_event_that_names_a_person_by_address_is_an_activity(data: dict[str, Any]) -> None:
    body = json.dumps({"type": "deal.won", "timestamp": NOON_TEXT, "data": data}).encode()
    event = parsed(body)
    assert event.facts == (Acted(SLUG, "msg-1", "dana@x.com", "deal.won", event.occurred_at),)
    assert standard_webhooks.kept_facts(kept(event)) == event.facts


@pytest.mark.parametrize(
    "data", [None, "dana@x.com", {}, {"owner": "dana"}, {"owner": 7}, {"email": "a@x\0.com"}, []]
)
def test_an_event_that_names_no_address_scores_for_no_learner(data: object) -> None:
    assert parsed(json.dumps({"type": "deal.won", "data": data}).encode()).facts == ()
