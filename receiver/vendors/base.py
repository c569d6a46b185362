"""What a vendor's adapter takes and returns. No I/O and no clock in this file."""

import codecs
import hashlib
import hmac
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol, Self

from pydantic_core import from_json

from shared.facts import Fact
from shared.outcomes import Outcome
from shared.settings import Environment
from shared.vendors import VendorFacts


class SecretDigest(NamedTuple):
    """What is kept of a secret in a refused delivery: enough to compare it with a configured secret
    later. Each has its own salt, so equal secrets do not look alike."""

    salt: bytes
    digest: bytes

    @classmethod
    def of(cls, secret: bytes, salt: bytes) -> Self:
        return cls(salt, hmac.digest(salt, secret, "sha256"))

    @classmethod
    def read(cls, text: str) -> Self:
        """The opposite of `str`. Raises ValueError for anything else."""
        _, salt, digest = text.split(":")
        return cls(bytes.fromhex(salt), bytes.fromhex(digest))

    def __str__(self) -> str:
        return f"hmac-sha256:{self.salt.hex()}:{self.digest.hex()}"

    def is_of(self, secret: bytes) -> bool:
        return hmac.compare_digest(self.digest, hmac.digest(self.salt, secret, "sha256"))


class Incoming(NamedTuple):
    """One request as received: header names in lower case, a repeated header joined by commas."""

    headers: Mapping[str, bytes]
    body: bytes
    peer: str | None
    received_at: datetime
    digests: Mapping[str, SecretDigest] = MappingProxyType({})
    """By header: the secrets of a quarantined delivery, for a replay. A new request has none,
    whatever it sends."""


class Rejected(Exception):
    """Not authentic: `outcome` decides the answer, `reason` says what the admin can do."""

    def __init__(self, outcome: Outcome, reason: str) -> None:
        super().__init__(reason)
        self.outcome = outcome
        self.reason = reason


class Unreadable(Exception):
    """Authentic, but not understood. `reason` says what is wrong with it."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Ignored(NamedTuple):
    """A describing field with a value that is not understood: the event counts without it."""

    field: str
    """In the vendor's spelling, from the adapter's own list of fields."""
    why: str


@dataclass(frozen=True, slots=True)
class VendorEvent:
    """One verified event. `digest` is ours, over what the vendor signed."""

    event_key: str
    digest: str
    type: str
    company_id: str | None
    user_id: str | None
    occurred_at: datetime
    payload: str
    facts: Sequence[Fact]
    ignored: Sequence[Ignored] = ()


class KeptEvent(NamedTuple):
    """The stored columns of an event from which its facts are read again."""

    event_key: str
    type: str
    occurred_at: datetime
    received_at: datetime
    payload: str


class Claims(NamedTuple):
    """What an unverified delivery says of itself. For display only."""

    event_key: str | None
    event_type: str | None


class Vendor(Protocol):
    """One platform. Made from the settings, or not served where its credential is not set."""

    slug: str
    kept_headers: Sequence[str]
    """The headers that a replay needs to verify a quarantined delivery."""
    secret_headers: Sequence[str]
    """The headers that carry a secret itself: only a digest of each is kept, for `digests`."""

    def authenticate(self, incoming: Incoming) -> None:
        """Raises Rejected unless the delivery is authentic."""

    def may_be_signed(self, incoming: Incoming) -> bool:
        """Whether the headers alone could be the vendor's, of a body that is too large to read and
        whose signature is thus unknown. Always false if the vendor signs nothing."""

    def parse(self, incoming: Incoming) -> VendorEvent:
        """The event of an authenticated delivery. Raises Rejected or Unreadable."""

    def digest(self, incoming: Incoming) -> str:
        """Of what the vendor signs, or of the body: two deliveries with the same are one event."""

    def claims(self, incoming: Incoming) -> Claims:
        """What a refused delivery claims to be. Never raises."""


class VendorSettings(Environment, ABC):
    """The settings of one vendor, by their names in the environment, and what follows from them."""

    @abstractmethod
    def vendor(self) -> Vendor | None:
        """The vendor, or None without its credential: then it is not served."""

    @abstractmethod
    def facts(self) -> VendorFacts:
        """What the dashboard needs to know. Never a credential."""

    def weaknesses(self) -> Iterator[str]:
        """What is allowed but unwise, a line each, for the log of a start."""
        return iter(())


class Adapter(NamedTuple):
    """All that the receiver needs of a vendor's file."""

    slug: str
    """The word in `/webhooks/<slug>`."""
    setting: str
    """The name of the setting without which it is not served."""
    settings: type[VendorSettings]
    facts: Callable[[KeptEvent], Sequence[Fact]]
    """What a kept event says. Raises Unreadable."""


def presents(incoming: Incoming, header: str, secrets: Iterable[bytes]) -> bool:
    """Whether a header carries one of the secrets, or did when the delivery was quarantined."""
    sent = incoming.headers.get(header, b"")
    if kept := incoming.digests.get(header):
        hits = [kept.is_of(secret) for secret in secrets]
    else:
        hits = [hmac.compare_digest(secret, sent) for secret in secrets]
    return any(hits)  # all are compared, so the time does not reveal which one fits


def hmac_sha256(key: bytes, message: bytes) -> bytes:
    """The bytes of a signature. `hmac.digest` would let other threads run meanwhile, and then wait
    for the writer: a tenth of all deliveries a second."""
    keyed = _keyed(key).copy()
    keyed.update(message)
    return keyed.digest()


@lru_cache(maxsize=64)
def _keyed(key: bytes) -> hmac.HMAC:
    return hmac.new(key, digestmod="sha256")


def key_of(sent: bytes) -> str:
    """The idempotency key of an ID as sent; empty for an empty one. A long one is hashed, as an
    index has a limit."""
    sent = sent.replace(b"\0", b"")
    if len(sent) > MAX_ID:
        return f"sha256:{hashlib.sha256(sent).hexdigest()}"
    return sent.decode("utf-8", "replace")


def short_text(value: Any) -> str | None:
    """An ID or type that is only stored beside the event; None if it is no text."""
    text = str(value) if isinstance(value, str | int) else ""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")[:MAX_ID] or None


def event_type_of(value: Any) -> str | None:
    """The name of an event type, or None if it is none that can be stored and compared."""
    fits = isinstance(value, str) and 0 < len(value) <= MAX_ID
    return value if fits and not {"\0", "\N{REPLACEMENT CHARACTER}"} & set(value) else None


def _remembering(
    read: Callable[[bytes], dict[str, Any]],
) -> Callable[[bytes], dict[str, Any]]:
    """`read`, which knows the newest body again: of a refused delivery the same bytes are asked for
    what they claim, and for whether they are well-formed."""
    last: tuple[bytes, dict[str, Any] | str] = b"", ""

    def reading(body: bytes) -> dict[str, Any]:
        nonlocal last
        known = last
        if known[0] is not body or not body:
            try:
                known = body, read(body)
            except Unreadable as unread:
                known = body, unread.reason
            last = known
        if isinstance(known[1], str):
            raise Unreadable(known[1])
        return known[1]

    return reading


@_remembering
def json_object(body: bytes) -> dict[str, Any]:
    """The JSON object in `body`. Bounded in depth, strict UTF-8, a byte order mark before it is
    skipped as RFC 8259 allows. NaN, infinities and half of a surrogate pair are read, as common
    encoders write them: the field decides, and not the whole event. Raises Unreadable."""
    sent = body.removeprefix(codecs.BOM_UTF8)
    try:
        value = _from_json(sent)
    except ValueError as error:
        raise Unreadable(_not_json(body, error)) from None
    if not isinstance(value, dict):
        raise Unreadable("The body is JSON, but not an object.")
    return value


_HALF_PAIR = re.compile(
    rb"""(\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}  # a whole pair
    |\\[^u]  # another escape, such as that of a backslash
    )|\\u[dD][89a-fA-F][0-9a-fA-F]{2}""",
    re.VERBOSE,
)


def _from_json(sent: bytes) -> Any:
    """Half of a surrogate pair, as of an emoji cut in two, becomes the replacement character."""
    try:
        return from_json(sent, allow_inf_nan=True)
    except ValueError:
        whole = _HALF_PAIR.sub(lambda found: found[1] or rb"\ufffd", sent)
        if whole == sent:
            raise
        return from_json(whole, allow_inf_nan=True)


def _not_json(body: bytes, error: ValueError) -> str:
    try:
        body.decode()
    except UnicodeDecodeError as wrong:
        return f"The body is not UTF-8: byte {wrong.start + 1} belongs to another encoding."
    return f"The body is not JSON: {error}"


def text_of(body: bytes) -> str:
    """The text of a body that `json_object` has read, as it is kept: without byte order mark."""
    return body.removeprefix(codecs.BOM_UTF8).decode()


MAX_ID = 255


def age_complaint(
    at: datetime,
    now: datetime,
    past: int,
    future: int,
    settings: tuple[str, str] = ("TIMESTAMP_TOLERANCE_PAST", "TIMESTAMP_TOLERANCE_FUTURE"),
) -> str | None:
    """Why a delivery signed at `at` is refused at `now`, or None; tolerances in seconds, with the
    names of their settings."""
    if now - at > timedelta(seconds=past):
        return (
            f"Signed {_seconds(now - at)} ago, more than {settings[0]} ({past} s). "
            "Check this machine's clock, or raise the tolerance."
        )
    if at - now > timedelta(seconds=future):
        return (
            f"Signed {_seconds(at - now)} in the future, more than {settings[1]} "
            f"({future} s). Check this machine's clock."
        )
    return None


def _seconds(span: timedelta) -> str:
    return f"{span.total_seconds():.0f} s"


FROM_ENV = r"""setting() { sed -n "s/^$1=//p" .env | sed "s/^\(['\"]\)\(.*\)\1 *\$/\2/"; }
"""
"""Begins the `curl` of `shared.vendors.SetUp`: `setting NAME` prints a value of `.env`."""
