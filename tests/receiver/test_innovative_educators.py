"""The adapter of Innovative Educators by itself: bytes and an address in, an event or a refusal."""

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, ClassVar

import pytest
from hypothesis import given, strategies as st

from receiver.vendors import innovative_educators
from receiver.vendors.base import Incoming, Rejected, Unreadable, VendorEvent
from receiver.vendors.innovative_educators import InnovativeEducatorsSettings
from shared.facts import Completed, Identified
from shared.outcomes import Outcome
from shared.settings import SettingsError
from tests import playing
from tests.receiver.vendor_cases import NOW, SecurityCases, json_values, kept, only_refuses, served

SLUG = "innovative-educators"
ADDRESSES = "54.243.7.71, 3.83.213.76"
AT = datetime(2025, 11, 22, 8, 26, 44, 123_000, tzinfo=UTC)


def incoming(body: bytes, peer: str | None = "54.243.7.71") -> Incoming:
    return Incoming({}, body, peer, NOW)


def vendor(addresses: str = ADDRESSES) -> Any:
    return served(SLUG, innovative_educators_allowed_ips=addresses)


def parsed(body: bytes) -> VendorEvent:
    event: VendorEvent = vendor().parse(incoming(body))
    return event


def sample(name: str) -> VendorEvent:
    return parsed(playing.sample(SLUG, name))


# Authentication


class TestSecurity(SecurityCases):
    slug = SLUG
    settings: ClassVar = {"innovative_educators_allowed_ips": ADDRESSES}
    wrong = missing = Outcome.IP_NOT_ALLOWED

    def genuine(self) -> Incoming:
        return incoming(playing.course())

    def bare(self) -> Incoming:
        return incoming(playing.course(), peer=None)

    def forged(self) -> Incoming:
        return incoming(playing.course(), peer="198.51.100.7")

    def misconfigured(self) -> Mapping[str, str]:
        return {"innovative_educators_allowed_ips": "3.83.213.76"}

    @pytest.mark.parametrize("peer", ["54.243.7.70", "54.243.7.72", "54.243.8.71", "::1",
                                      "::ffff:198.51.100.7", "127.0.0.1", "0.0.0.0"])  # fmt: skip
    def test_an_address_that_is_only_almost_right_is_refused(self, peer: str) -> None:
        assert self.refusal(incoming(playing.course(), peer)) is self.wrong

    def test_no_header_makes_up_for_a_wrong_address(self) -> None:
        names = ("x-forwarded-for", "x-real-ip", "forwarded", "authorization", "host")
        said = dict.fromkeys(names, b"54.243.7.71")
        assert self.refusal(self.forged()._replace(headers=said)) is self.wrong


@pytest.mark.parametrize(
    ("allowed", "peer"),
    [
        ("54.243.7.71", "54.243.7.71"),
        ("54.243.7.71/32", "54.243.7.71"),
        ("54.243.7.64/28", "54.243.7.79"),
        ("::ffff:54.243.7.71", "54.243.7.71"),
        ("::ffff:54.243.7.64/124", "54.243.7.79"),
        ("10.0.0.0/8", "10.255.255.255"),
        ("2001:db8::/32", "2001:db8:ffff::1"),
        ("2001:DB8::1", "2001:db8::1"),
        ("54.243.7.71,2001:db8::/32", "2001:db8::9"),
    ],
)
def test_an_address_or_range_on_the_list_is_admitted(allowed: str, peer: str) -> None:
    vendor(allowed).authenticate(incoming(b"", peer))


@pytest.mark.parametrize(
    ("allowed", "peer"),
    [
        ("54.243.7.64/28", "54.243.7.80"),
        ("2001:db8::/32", "2001:db9::1"),
        ("::/8", "54.243.7.71"),
        ("10.0.0.0/8", "11.0.0.0"),
    ],
)
def test_an_address_beside_a_range_is_refused(allowed: str, peer: str) -> None:
    with pytest.raises(Rejected):
        vendor(allowed).authenticate(incoming(b"", peer))


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        ("0.0.0.0/0", "entry 1 is wider than /8"),
        ("::/0", "entry 1 is wider than /8"),
        ("54.243.7.71, 0.0.0.0/1", "entry 2 is wider than /8"),
        ("::ffff:0:0/96", "entry 1 is wider than /8"),
        ("::ffff:0.0.0.0/97", "entry 1 is wider than /8"),
        ("2000::/3", "entry 1 is wider than /8"),
        ("whsec-hidden", "entry 1 is neither"),
        ("54.243.7.71,54.243.7", "entry 2 is neither"),
        ("54.243.7.71 3.83.213.76", "entry 1 is neither"),
        ("54.243.7.71/24", "entry 1 is neither"),
        ("54.243.7.71/33", "entry 1 is neither"),
        ("54.243.7.x", "entry 1 is neither"),
        ("*", "entry 1 is neither"),
        ("localhost", "entry 1 is neither"),
        ("0x36.243.7.71", "entry 1 is neither"),
        ("054.243.7.71", "entry 1 is neither"),
        ("915605319", "entry 1 is neither"),
    ],
)
def test_an_allowlist_with_a_wrong_entry_stops_the_start_with_one_line(
    monkeypatch: pytest.MonkeyPatch, value: str, complaint: str
) -> None:
    monkeypatch.setenv("INNOVATIVE_EDUCATORS_ALLOWED_IPS", value)
    with pytest.raises(SettingsError) as wrong:
        InnovativeEducatorsSettings.load()
    line = str(wrong.value)
    assert line.startswith(f"INNOVATIVE_EDUCATORS_ALLOWED_IPS: {complaint}")
    assert "\n" not in line
    assert "hidden" not in line


# What a completion says


def test_a_completion_says_who_the_learner_is_and_which_course_it_was() -> None:
    event = sample("completion")
    key = "6f1c2a58-0b7e-4f2f-9a53-1d7f0c9e4b21"
    assert (event.event_key, event.type, event.company_id) == (key, "course.completed", "c-204")
    assert (event.user_id, event.occurred_at) == ("ie-9001", AT)
    assert event.facts == (
        Identified(SLUG, "ie-9001", "dana.reyes@example.com", "Dana Reyes", AT),
        Completed(SLUG, key, "ie-9001", "course-311", "Writing for the web", None, AT),
    )


def test_ids_may_be_numbers_and_other_values_null() -> None:
    event = sample("completion.numbers")
    assert (event.event_key, event.company_id, event.user_id) == ("7712", "204", "9001")
    who, done = event.facts
    assert isinstance(who, Identified)
    assert isinstance(done, Completed)
    assert (who.name, done.course_id) == ("Dana", "311")
    assert event.occurred_at == datetime(2025, 11, 22, 8, 26, 44, 500_000, tzinfo=UTC)


@pytest.mark.parametrize("detail", [None, {}, {"id": None}, {"firstName": "Paul"}])
def test_without_an_id_of_the_learner_the_e_mail_stands_in_for_it(detail: Any) -> None:
    event = parsed(playing.course(userDetail=detail, user=" Paul.Okafor@Example.com "))
    assert event.user_id == "paul.okafor@example.com"


def test_a_sample_without_details_is_a_completion_all_the_same() -> None:
    who, done = sample("completion.no-detail").facts
    assert (who.user_id, done.user_id) == ("paul.okafor@example.com",) * 2


@pytest.mark.parametrize("user", [None, "", " "])
def test_a_completion_without_a_learner_is_not_understood(user: Any) -> None:
    with pytest.raises(Unreadable, match="names the learner"):
        parsed(playing.course(user=user, userDetail=None))


@pytest.mark.parametrize(
    "fields",
    [{"notifiableId": None}, {"notifiableId": ""}, {"event": "renamed", "notifiableId": None},
     {"userDetail": "x", "user": None}, {"userDetail__id": [1], "user": ["a"]}],
)  # fmt: skip
def test_a_completion_with_a_wrong_field_is_not_understood_and_no_test(
    fields: dict[str, Any],
) -> None:
    with pytest.raises(Unreadable, match=r"course\.completed: "):
        parsed(playing.course(**fields))


@pytest.mark.parametrize("when", [None, "yesterday", True, "9999-12-31T23:59:59-10:00"])
def test_without_a_time_the_completion_happened_when_it_came(when: Any) -> None:
    assert parsed(playing.course(timestamp=when)).occurred_at == NOW


@pytest.mark.parametrize(
    "fields",
    [
        {"userDetail": "x"},
        {"userDetail": []},
        {"userDetail__id": [1]},
        {"userDetail__id": "u" * 256},
    ],
)
def test_a_detail_of_the_learner_that_is_none_leaves_the_e_mail(fields: dict[str, Any]) -> None:
    assert parsed(playing.course(**fields)).user_id == "dana.reyes@example.com"


@pytest.mark.parametrize("name", ["completion", "completion.numbers", "completion.no-detail",
                                  "test"])  # fmt: skip
def test_a_sample_is_kept_word_for_word_and_says_the_same_when_read_again(name: str) -> None:
    event = sample(name)
    assert event.payload == playing.sample(SLUG, name).decode()
    again = innovative_educators.kept_facts(kept(event))
    assert tuple(again) == tuple(event.facts)


# Tests, and keys


@pytest.mark.parametrize(
    "body", [b"{}", b'{"id":"t-1"}', b'{"event":"ping","user":7,"notifiableId":[]}']
)
def test_any_other_object_is_kept_as_a_test(body: bytes) -> None:
    event = parsed(body)
    assert (event.type, event.facts, event.user_id, event.occurred_at) == ("test", (), None, NOW)


def test_the_id_is_the_key_of_a_test_too() -> None:
    assert sample("test").event_key == "test-1"


@pytest.mark.parametrize("id_", [None, "", "\0", [], {}, True, 1.5])
def test_without_a_usable_id_the_key_is_made_of_the_body(id_: Any) -> None:
    body = playing.course(id=id_)
    assert parsed(body).event_key == f"digest:{hashlib.sha256(body).hexdigest()}"


def test_the_digest_is_over_the_raw_body() -> None:
    body = playing.course()
    assert parsed(body).digest == hashlib.sha256(body).hexdigest()
    assert parsed(body + b" ").digest != parsed(body).digest


def test_a_refused_delivery_claims_its_id_and_type() -> None:
    assert vendor().claims(incoming(playing.course(id="e-1"))) == ("e-1", "course.completed")
    assert vendor().claims(incoming(b"{}")) == (None, "test")
    assert vendor().claims(incoming(b"[")) == (None, None)


@pytest.mark.parametrize("body", [b"", b"[]", b"7", b"{", b"\xff", b"[" * 100_000])
def test_a_body_that_is_no_json_object_is_not_understood(body: bytes) -> None:
    with pytest.raises(Unreadable):
        parsed(body)


FIELDS = ("id", "user", "companyId", "notifiableId", "title", "timestamp", "userDetail", "source")
DETAILS = ("id", "firstName", "lastName")
details = st.dictionaries(st.sampled_from(DETAILS), json_values)
bodies = st.dictionaries(st.sampled_from(FIELDS), json_values | details).map(
    lambda fields: json.dumps({"event": "courseCompletion"} | fields).encode()
)


@given(st.binary() | bodies, st.sampled_from(["54.243.7.71", "198.51.100.7", None]))
def test_no_bytes_raise_anything_but_a_refusal(body: bytes, peer: str | None) -> None:
    only_refuses(vendor(), incoming(body, peer))
