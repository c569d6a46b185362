"""What must hold for every vendor. The tests of each vendor inherit these cases.

`SecurityCases` is for every vendor, `HeaderCases` for those with a credential in a header,
`SigningCases` for those with a header that signs the body.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, ClassVar

import pytest
from hypothesis import strategies as st

from receiver.pipeline import joined, judge
from receiver.replay import as_it_came
from receiver.store import Entry
from receiver.vendors import configured, vendor_facts
from receiver.vendors.base import Incoming, KeptEvent, Rejected, Unreadable, Vendor, VendorEvent
from shared.bulk import encode
from shared.outcomes import Outcome, Sender
from shared.settings import ReceiverSettings

NOW = datetime(2025, 11, 22, 8, 30, tzinfo=UTC)

json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just("practice"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def settings(**values: str) -> ReceiverSettings:
    """Settings as read from the environment, with nothing else set."""
    return ReceiverSettings(_env_file=None, **values)  # type: ignore[arg-type]


def served(slug: str, **values: str) -> Vendor:
    """The vendor under these settings."""
    return configured(settings(**values))[slug]


def only_refuses(vendor: Vendor, delivery: Incoming) -> None:
    """Neither the adapter nor what keeps its refusals may raise, and all can be written."""
    for step in (vendor.authenticate, vendor.parse):
        try:
            step(delivery)
        except (Rejected, Unreadable):
            break
    as_written(judge(vendor, delivery))


def kept(event: VendorEvent) -> KeptEvent:
    """The event as it is stored, having come at NOW."""
    return KeptEvent(event.event_key, event.type, event.occurred_at, NOW, event.payload)


def as_written(entry: Entry) -> None:
    """Its texts can be stored."""
    written = encode([(*entry.claims, entry.reason, *(entry.event.facts if entry.event else ()))])
    written.encode()
    assert "\\u0000" not in written.replace("\\\\", "")  # a NUL, not a backslash and "u0000"


class SecurityCases(ABC):
    """The tests of a vendor say who it is, and how it proves it."""

    slug: ClassVar[str]
    settings: ClassVar[Mapping[str, str]]
    """Under which it is served; the first is the one that it is not served without."""
    house: ClassVar[Mapping[str, str]] = {}
    """Settings without which the receiver does not know the vendor at all."""
    wrong: ClassVar[Outcome]
    """What a wrong credential is."""
    missing: ClassVar[Outcome] = Outcome.MISSING_CREDENTIALS

    def configured(self, **values: str) -> Mapping[str, Vendor]:
        """The vendors under these settings."""
        return configured(settings(**self.house, **values))

    def vendor(self) -> Vendor:
        """The vendor under its right settings."""
        return self.configured(**self.settings)[self.slug]

    @abstractmethod
    def genuine(self) -> Incoming:
        """A delivery of the vendor that arrives at NOW."""

    @abstractmethod
    def bare(self) -> Incoming:
        """The same without its credential."""

    @abstractmethod
    def forged(self) -> Incoming:
        """The same from another sender."""

    def refusal(self, delivery: Incoming) -> Outcome:
        vendor = self.vendor()
        with pytest.raises(Rejected) as refused:
            vendor.authenticate(delivery)
        assert refused.value.reason
        entry = judge(vendor, delivery)
        assert (entry.outcome, entry.event) == (refused.value.outcome, None)
        as_written(entry)
        return refused.value.outcome

    def test_what_the_vendor_sends_becomes_an_event(self) -> None:
        entry = judge(self.vendor(), self.genuine())
        assert (entry.outcome, entry.reason) == (Outcome.ACCEPTED, None)

    @pytest.mark.parametrize("value", [None, "", " , "])
    def test_without_its_setting_the_vendor_is_not_served(self, value: str | None) -> None:
        needed, *_ = self.settings
        others = {name: text for name, text in self.settings.items() if name != needed}
        more = {} if value is None else {needed: value}
        assert self.slug not in self.configured(**others, **more)

    def test_the_row_of_the_vendor_table_names_the_setting_it_needs(self) -> None:
        needed, *_ = self.settings
        assert self.configured(**{needed: self.settings[needed]}).keys() == {self.slug}

    def test_without_a_credential_a_delivery_is_refused(self) -> None:
        assert self.refusal(self.bare()) is self.missing

    def test_a_delivery_with_another_credential_is_refused(self) -> None:
        assert self.refusal(self.forged()) is self.wrong

    def test_a_well_formed_body_may_be_the_vendors_unless_it_has_no_credential(self) -> None:
        vendor = self.vendor()
        unsigned = self.missing is Outcome.MISSING_CREDENTIALS
        expected = Sender.STRANGER if unsigned else Sender.VENDOR
        assert judge(vendor, self.bare()).sender is expected
        assert judge(vendor, self.forged()).sender is Sender.VENDOR

    def test_another_body_without_the_right_credential_is_a_strangers(self) -> None:
        vendor = self.vendor()
        bodies = [b"<html>"]
        if self.wrong is Outcome.IP_NOT_ALLOWED:  # nothing but the body can speak for the vendor
            bodies += [b"{}", b'{"event": "x"}']
        for delivery in (self.bare(), self.forged()):
            for body in bodies:
                assert judge(vendor, delivery._replace(body=body)).sender is Sender.STRANGER

    def test_what_was_refused_is_still_refused_when_it_is_verified_again(self) -> None:
        for delivery in (self.bare(), self.forged()):
            assert self.again(delivery).outcome in (self.wrong, self.missing)

    def test_what_a_wrong_setting_refused_passes_when_it_is_verified_again(self) -> None:
        assert self.again(self.genuine()).outcome is Outcome.ACCEPTED

    @abstractmethod
    def misconfigured(self) -> Mapping[str, str]:
        """Settings with a wrong credential, and not that of `forged`."""

    def again(self, delivery: Incoming) -> Entry:
        """A delivery quarantined under wrong settings and verified again under the right ones."""
        quarantined = judge(
            self.configured(**self.misconfigured())[self.slug], delivery
        ).quarantined
        assert quarantined is not None
        vendor = self.vendor()
        return judge(
            vendor,
            as_it_came(
                vendor, quarantined.headers, quarantined.body, delivery.peer, delivery.received_at
            ),
        )


def _flip(place: int) -> Callable[[bytes], bytes]:
    def flipped(value: bytes) -> bytes:
        spot = place % len(value)
        return value[:spot] + bytes([value[spot] ^ 1]) + value[spot + 1 :]

    return flipped


ALMOST: Mapping[str, Callable[[bytes], bytes]] = {
    "first byte off": _flip(0),
    "last byte off": _flip(-1),
    "middle byte off": lambda value: _flip(len(value) // 2)(value),
    "last byte missing": lambda value: value[:-1],
    "first byte missing": lambda value: value[1:],
    "one byte": lambda value: value[:1],
    "extra byte": lambda value: value + b"0",
    "extra byte in front": lambda value: b"0" + value,
    "trailing space": lambda value: value + b" ",
    "trailing NUL": lambda value: value + b"\0",
    "trailing newline": lambda value: value + b"\n",
    "other case": lambda value: value.swapcase(),
    "quoted": lambda value: b'"' + value + b'"',
    "non-ASCII byte at the end": lambda value: value + b"\xff",
    "only non-ASCII bytes": lambda value: b"\xff\xfe" * len(value),
    "UTF-8 beyond ASCII": lambda value: "ü".encode() * len(value),
    "surrogate": lambda value: b"\xed\xa0\x80" + value,
    "huge": lambda value: value * 20_000,
    "a list of itself": lambda value: value + b", " + value,
}


class HeaderCases(SecurityCases):
    """A vendor with a credential in a header."""

    credential: ClassVar[str]
    """That header's name."""

    def sent_as(self, value: bytes | None) -> Incoming:
        delivery = self.genuine()
        headers = {**delivery.headers, self.credential: value}
        kept = {name: one for name, one in headers.items() if one is not None}
        return delivery._replace(headers=kept)

    def bare(self) -> Incoming:
        return self.sent_as(None)

    def test_no_page_shows_the_credential(self) -> None:
        assert self.credential in vendor_facts(settings(**self.house))[self.slug].secret_headers

    def test_an_empty_credential_is_a_missing_one(self) -> None:
        assert self.refusal(self.sent_as(b"")) is self.missing

    @pytest.mark.parametrize("spoil", ALMOST.values(), ids=ALMOST)
    def test_a_credential_that_is_only_almost_right_is_refused(
        self, spoil: Callable[[bytes], bytes]
    ) -> None:
        good = self.genuine().headers[self.credential]
        assert self.refusal(self.sent_as(spoil(good))) is self.wrong

    def test_a_repeated_credential_is_refused_whichever_of_them_is_right(self) -> None:
        delivery = self.genuine()
        sent = [(name.encode(), value) for name, value in delivery.headers.items()]
        for other in (delivery.headers[self.credential], b"another", b""):
            more = (self.credential.encode(), other)
            for raw in ([*sent, more], [more, *sent]):
                assert self.refusal(delivery._replace(headers=joined(raw))) is self.wrong


class SigningCases(HeaderCases):
    """A vendor whose header signs the body, and other headers with it."""

    signed: ClassVar[tuple[str, ...]]
    """The other headers that are signed."""

    @pytest.mark.parametrize("spoil", [_flip(0), _flip(-1), lambda body: body + b" ",
                                       lambda body: b" " + body, lambda body: body[:-1],
                                       lambda _: b"", lambda body: body * 2])  # fmt: skip
    def test_a_changed_body_is_refused(self, spoil: Callable[[bytes], bytes]) -> None:
        delivery = self.genuine()
        changed = delivery._replace(body=spoil(delivery.body))
        assert self.refusal(changed) is self.wrong

    def test_a_changed_header_that_is_signed_is_refused(self) -> None:
        delivery = self.genuine()
        for name in self.signed:
            headers = {**delivery.headers, name: _flip(-1)(delivery.headers[name])}
            assert self.refusal(delivery._replace(headers=headers)) is self.wrong
            less = {key: value for key, value in delivery.headers.items() if key != name}
            assert self.refusal(delivery._replace(headers=less)) is self.missing
