"""What a vendor's adapter is given, and what it gives back. No I/O and no clock in here."""

import hashlib
import hmac
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Annotated, Any, NamedTuple, Protocol, Self

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, ValidationError
from pydantic_core import from_json

from shared.facts import Fact
from shared.outcomes import Outcome
from shared.settings import ReceiverSettings


class SecretDigest(NamedTuple):
    """What is kept of a secret that a refused delivery presented: enough to compare it with a
    configured one later. Each has a salt of its own, so that equal ones do not look alike."""

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
    """One request as it came: header names in lower case, a repeated header joined by commas."""

    headers: Mapping[str, bytes]
    body: bytes
    peer: str | None
    received_at: datetime
    digests: Mapping[str, SecretDigest] = MappingProxyType({})
    """By header: the secrets of a delivery that was held, and is verified again. A request that
    has just come has none, whatever it sends."""


class Rejected(Exception):
    """Not admitted: `outcome` decides the answer, `reason` tells the admin what to do."""

    def __init__(self, outcome: Outcome, reason: str) -> None:
        super().__init__(reason)
        self.outcome = outcome
        self.reason = reason


class Unreadable(Exception):
    """Authentic, but not understood. `reason` tells the admin what was wrong with it."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


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


class Claims(NamedTuple):
    """What a delivery says of itself before anybody has verified it. For display only."""

    event_key: str | None
    event_type: str | None


class Vendor(Protocol):
    """One platform. Made from the settings, or not served where its credential is not set."""

    slug: str
    kept_headers: Sequence[str]
    """The headers that are needed to verify a held delivery again."""
    secret_headers: Sequence[str]
    """Those that carry a secret itself: only a digest of each is kept, for `digests`."""

    def authenticate(self, incoming: Incoming) -> None:
        """Raises Rejected unless the delivery proves to come from the vendor."""

    def parse(self, incoming: Incoming) -> VendorEvent:
        """The event of an authenticated delivery. Raises Rejected or Unreadable."""

    def claims(self, incoming: Incoming) -> Claims:
        """What a refused delivery claims to be. Never raises."""


class Adapter(NamedTuple):
    """A row of the vendor table: how to make the vendor, and how to read its kept events."""

    setting: str
    """The name of the setting without which it is not served."""
    from_settings: Callable[[ReceiverSettings], Vendor | None]
    facts: Callable[[str, str, datetime, str], Sequence[Fact]]
    """(event_key, type, occurred_at, payload) of a kept event → what it says."""


def presents(incoming: Incoming, header: str, secrets: Iterable[bytes]) -> bool:
    """Whether a header carries one of the secrets, or did when the delivery was held."""
    sent = incoming.headers.get(header, b"")
    if kept := incoming.digests.get(header):
        hits = [kept.is_of(secret) for secret in secrets]
    else:
        hits = [hmac.compare_digest(secret, sent) for secret in secrets]
    return any(hits)  # each was compared, so that the time does not tell which one it was


def hmac_sha256(key: bytes, message: bytes) -> bytes:
    """The bytes of a signature. `hmac.digest` would let other threads run meanwhile, and then wait
    for the writer: a tenth of all deliveries a second."""
    return hmac.new(key, message, "sha256").digest()


def key_of(sent: bytes) -> str:
    """The idempotency key of an id that was sent, empty if it is; an overlong one is shortened, as
    no index takes it."""
    sent = sent.replace(b"\0", b"")
    if len(sent) > MAX_ID:
        return f"sha256:{hashlib.sha256(sent).hexdigest()}"
    return sent.decode("utf-8", "replace")


def short_text(value: Any) -> str | None:
    """An id or type that is only kept beside the event, if it can be kept as one."""
    text = str(value) if isinstance(value, str | int) else ""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")[:MAX_ID] or None


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
    """The JSON object in `body`. Bounded in depth, strict UTF-8. Raises Unreadable."""
    try:
        value = from_json(body, allow_inf_nan=False)
    except ValueError as error:
        raise Unreadable(f"The body is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise Unreadable("The body is JSON, but not an object.")
    return value


def complaint(error: ValidationError) -> str:
    """Which field was wrong, in one line and without its value."""
    first = error.errors(include_input=False, include_url=False)[0]
    field = ".".join(str(part) for part in first["loc"])
    return f"{field}: {first['msg'].removeprefix('Value error, ')}."


def in_utc(at: datetime) -> datetime:
    """`at` in UTC; without an offset it is taken as UTC. Raises ValueError if implausible.

    Years outside 1970 to 2199 are mistakes, and break arithmetic further down.
    """
    try:
        at = at.replace(tzinfo=at.tzinfo or UTC).astimezone(UTC)
    except OverflowError:
        raise ValueError("is not a plausible time") from None
    if not 1970 <= at.year < 2200:  # noqa: PLR2004
        raise ValueError("is not a plausible time")
    return at


def as_text(value: Any) -> Any:
    """Ids arrive as strings or numbers."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _without_nul(value: Any) -> Any:
    """Postgres cannot store a NUL in text."""
    return value.replace("\0", "\N{REPLACEMENT CHARACTER}") if isinstance(value, str) else value


def _no_bool(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("should be a number")
    return value


def _empty_is_none(value: Any) -> Any:
    return None if value == "" else value


def _clean(value: Any) -> Any:
    """A name in one line of bounded length, without signs that turn the text around it."""
    return (
        _UNSEEN.sub("\N{REPLACEMENT CHARACTER}", value[:200]) if isinstance(value, str) else value
    )


MAX_ID = 255
_UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
Id = Annotated[
    str,
    BeforeValidator(lambda value: _without_nul(as_text(value))),
    StringConstraints(min_length=1, max_length=MAX_ID),
]
Name = Annotated[str | None, BeforeValidator(lambda value: _clean(_empty_is_none(as_text(value))))]
Number = Annotated[float, BeforeValidator(_no_bool), Field(ge=0, le=1e9, allow_inf_nan=False)]
Percent = Annotated[
    float,
    BeforeValidator(_no_bool),
    Field(ge=0, le=100, allow_inf_nan=False),
    AfterValidator(lambda pct: round(pct, 4)),  # what standings add up exactly
]
Time = Annotated[datetime, AfterValidator(in_utc)]


def age_complaint(at: datetime, now: datetime, past: int, future: int) -> str | None:
    """Why a delivery signed at `at` is not admitted at `now`; tolerances in seconds."""
    if now - at > timedelta(seconds=past):
        return (
            f"Signed {_seconds(now - at)} ago, more than TIMESTAMP_TOLERANCE_PAST ({past} s). "
            "Check this machine's clock, or raise the tolerance."
        )
    if at - now > timedelta(seconds=future):
        return (
            f"Signed {_seconds(at - now)} in the future, more than TIMESTAMP_TOLERANCE_FUTURE "
            f"({future} s). Check this machine's clock."
        )
    return None


def _seconds(span: timedelta) -> str:
    return f"{span.total_seconds():.0f} s"
