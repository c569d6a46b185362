"""How a declared vendor proves that a delivery is its own. Pure: no I/O and no clock."""

import base64
import hmac
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Literal

from receiver.vendors.base import (
    Incoming,
    Rejected,
    Unreadable,
    age_complaint,
    json_object,
    presents,
)
from receiver.vendors.declared.authentication import Basic, HeaderValue, Hmac
from receiver.vendors.declared.declaration import Declaration, Timestamp
from receiver.vendors.declared.places import InHeader, text_at
from receiver.vendors.declared.tables import Part
from receiver.vendors.fields import signed_time
from shared.outcomes import Outcome

AUTHORIZATION = "authorization"
MAX_SIGNATURES = 32
TRY = " If no delivery ever passed, try one with `vendors check`."
TOLERANCES = ("timestamp.past in VENDORS_FILE", "timestamp.future in VENDORS_FILE")


class Proof(ABC):
    """One kind of authentication, under the values of its variable."""

    kept_headers: Sequence[str] = ()
    secret_headers: Sequence[str] = ()

    @abstractmethod
    def check(self, incoming: Incoming) -> None:
        """Raises Rejected unless a delivery is authentic."""

    def content(self, incoming: Incoming) -> bytes:
        """The JSON with the event. Raises Unreadable if there is none."""
        return incoming.body

    def message(self, incoming: Incoming) -> bytes:
        """What a delivery with the same is a repeat of."""
        return incoming.body

    def may_be_signed(self, incoming: Incoming) -> bool:
        """As `Vendor.may_be_signed`."""
        return False

    @abstractmethod
    def headers(self, sent: Mapping[str, str], body: bytes) -> Mapping[str, str] | None:
        """The headers that make a body authentic; `sent` are its other ones. None if only the
        vendor can make them."""


class SignedText:
    """The text that a vendor signs."""

    def __init__(self, parts: Sequence[Part], header_of: Callable[[str], InHeader | None]) -> None:
        self._before_body = [(one, header_of(one.name)) for one in parts[:-1]]
        self._ends = [
            (where, after.text.encode())
            for (one, where), after in zip(self._before_body, parts[1:], strict=True)
            if one.name == "id" and where and after.text
        ]
        self.places = [where for _, where in self._before_body if where]

    def of(self, headers: Mapping[str, bytes], body: bytes) -> bytes:
        """The text of a delivery."""
        texts = [
            where.value(headers) if where else one.text.encode() for one, where in self._before_body
        ]
        return b"".join((*texts, body))

    def require_one_reading(self, headers: Mapping[str, bytes]) -> None:
        """Raises Rejected if an ID contains what ends it: the text could be cut at another place.
        A timestamp cannot, as its forms are known."""
        for where, end in self._ends:
            if end in where.value(headers):
                raise Rejected(
                    Outcome.BAD_SIGNATURE,
                    f"The ID ({where}) contains {end.decode()!r}, which ends it in the signed "
                    "text. The sender must use other IDs; a new secret does not help.",
                )


def spelled(digest: bytes, encoding: Literal["hex", "base64"], prefix: str) -> bytes:
    """A signature as it stands in the header."""
    text = digest.hex().encode() if encoding == "hex" else base64.b64encode(digest)
    return prefix.encode() + text


class Signature(Proof):
    """`Hmac` under its keys."""

    def __init__(self, one: Declaration, how: Hmac, keys: Sequence[bytes]) -> None:
        self._how, self._keys, self._name, self._timestamp = how, keys, one.name, one.timestamp
        self._text = SignedText(how.signed, one.header_of)
        self._places = (InHeader(how.header), *self._text.places)
        self.kept_headers = tuple(dict.fromkeys(one.name for one in self._places))
        self._separator = how.separator.encode() if how.separator else None

    def check(self, incoming: Incoming) -> None:
        for where in self._places:
            if not where.value(incoming.headers):
                missing = f"{where} header" if where.part is None else str(where)
                raise Rejected(
                    Outcome.MISSING_CREDENTIALS,
                    f"No {missing}. {self._name} always sends one: this is another sender, "
                    "or a proxy removes it.",
                )
        self._text.require_one_reading(incoming.headers)
        if not self._is_signed(incoming):
            raise Rejected(
                Outcome.BAD_SIGNATURE,
                f"The signature fits no value of {self._how.secret}. If the secret was changed, "
                f"copy the new one from {self._name} and restart.{TRY}",
            )
        if self._timestamp is not None and (late := self._too_late(self._timestamp, incoming)):
            raise Rejected(Outcome.STALE_TIMESTAMP, late)

    def _is_signed(self, incoming: Incoming) -> bool:
        """Signatures are compared as sent: of several spellings only one passes."""
        tokens = self._tokens(incoming.headers[self._how.header])
        message = self.message(incoming)
        expected = [self.sign(key, message) for key in self._keys]
        hits = [hmac.compare_digest(one, token) for token in tokens for one in expected]
        return any(hits)  # all are compared, so the time does not reveal which one fits

    def _tokens(self, sent: bytes) -> Sequence[bytes]:
        if self._separator is None:
            return [sent]
        # Repeated headers arrive joined by ", ". Between commas that is the same list, with the
        # space that a sender may put there too (RFC 9110, 5.6.1); elsewhere it is no list.
        if self._separator != b"," and b", " in sent:
            return []
        tokens = sent.split(self._separator)
        if self._separator != b" ":
            tokens = [one.lstrip(b" \t") for one in tokens]
        return tokens if all(tokens) and len(tokens) <= MAX_SIGNATURES else []

    def sign(self, key: bytes, message: bytes) -> bytes:
        """One signature of a message, as it stands in the header."""
        digest = hmac.new(key, message, self._how.algorithm).digest()
        return spelled(digest, self._how.encoding, self._how.prefix)

    def message(self, incoming: Incoming) -> bytes:
        return self._text.of(incoming.headers, incoming.body)

    def _too_late(self, timestamp: Timestamp, incoming: Incoming) -> str | None:
        try:
            at = self.signed_at(incoming)
        except Unreadable:
            return None  # it gives no event either
        if at is None:
            return "The time of the signature is no plausible time in the declared form."
        return age_complaint(at, incoming.received_at, timestamp.past, timestamp.future, TOLERANCES)

    def signed_at(self, incoming: Incoming) -> datetime | None:
        """The time of the signature; None without a plausible one. Raises Unreadable if it is in a
        body that is no JSON object."""
        if self._timestamp is None:
            return None
        where = self._timestamp.at
        if isinstance(where, InHeader):
            sent = where.value(incoming.headers)
        else:
            sent = (text_at(where, json_object(incoming.body)) or "").encode()
        return signed_time(sent, self._timestamp.form)

    def may_be_signed(self, incoming: Incoming) -> bool:
        if not all(one.value(incoming.headers) for one in self._places):
            return False
        length = len(self.sign(b"", b""))
        if not any(len(one) == length for one in self._tokens(incoming.headers[self._how.header])):
            return False
        timestamp = self._timestamp
        if timestamp is None or not isinstance(timestamp.at, InHeader):
            return True
        return self._too_late(timestamp, incoming) is None

    def headers(self, sent: Mapping[str, str], body: bytes) -> Mapping[str, str]:
        encoded = {name: value.encode() for name, value in sent.items()}
        signature = self.sign(self._keys[0], self._text.of(encoded, body)).decode()
        parts = [sent[self._how.header]] if self._how.header in sent else []
        return {self._how.header: (self._how.separator or "").join((*parts, signature))}


class Presented(Proof):
    """A header that is the secret itself, under its values."""

    def __init__(
        self, one: Declaration, how: HeaderValue | Basic, header: str, values: Sequence[bytes]
    ) -> None:
        self._name, self._variable, self._header = one.name, how.variable, header
        self._values = values
        self.secret_headers = (header,)

    def check(self, incoming: Incoming) -> None:
        header = self._header
        if not (incoming.headers.get(header) or incoming.digests.get(header)):
            raise Rejected(
                Outcome.MISSING_CREDENTIALS,
                f"No {header} header. If this is {self._name}, enter the value of "
                f"{self._variable} there. If not, this is another sender.",
            )
        if not presents(incoming, header, self._values):
            raise Rejected(
                Outcome.WRONG_CREDENTIALS,
                f"The {header} header is none of {self._variable}. Copy the value there exactly "
                f"as it stands at {self._name}, and restart.",
            )

    def headers(self, sent: Mapping[str, str], body: bytes) -> Mapping[str, str]:
        return {self._header: self._values[0].decode()}


class FromAddress(Proof):
    """The addresses of an allowlist."""

    def __init__(self, variable: str, allowed: Sequence[IPv4Network | IPv6Network]) -> None:
        self._variable, self._allowed = variable, allowed

    def check(self, incoming: Incoming) -> None:
        if incoming.peer is None:
            raise Rejected(
                Outcome.IP_NOT_ALLOWED,
                "The source address is unknown: X-Forwarded-For has fewer entries than "
                "TRUSTED_PROXY_HOPS, or the entry that counts is no address.",
            )
        address = ip_address(incoming.peer)
        if not any(address in network for network in self._allowed):
            raise Rejected(
                Outcome.IP_NOT_ALLOWED,
                f"The address is not in {self._variable}. If it is the vendor's, add it and "
                "restart. If it is your proxy's, set TRUSTED_PROXY_HOPS.",
            )

    def headers(self, sent: Mapping[str, str], body: bytes) -> Mapping[str, str]:
        return {}


def basic(user: str, password: str) -> bytes:
    """The Authorization header of a user and a password."""
    return b"Basic " + base64.b64encode(f"{user}:{password}".encode())
