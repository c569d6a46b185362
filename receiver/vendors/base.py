"""What a vendor's adapter takes and returns. No I/O and no clock in this file."""

import codecs
import hashlib
import hmac
import re
import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Annotated, Any, NamedTuple, Protocol, Self, TypeVar, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Field,
    StringConstraints,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
)
from pydantic_core import ErrorDetails, PydanticCustomError, from_json

from shared.facts import Fact, trimmed
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
    return hmac.new(key, message, "sha256").digest()


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


# Fields: one that is needed decides over the event, one that only describes never does


Fields = TypeVar("Fields", bound=BaseModel)


def read(
    model: type[Fields], event_type: str, sent: Any, received_at: datetime, whole: str = "body"
) -> tuple[Fields, Sequence[Ignored]]:
    """The fields of a known event type, and those that were ignored.

    A field of `model` without a default is needed. One with a default only describes: where its
    value is wrong it counts as absent. `whole` names what was sent, if it is no object at all.

    Raises Unreadable with the first needed field that is missing or wrong.
    """
    arrival = {"received_at": received_at}
    try:
        return model.model_validate(sent, context=arrival), ()
    except ValidationError as error:
        wrong = error.errors(include_input=False, include_url=False)
    ignored = []
    for one in wrong:
        path = _describing(model, one["loc"])
        if path is None:
            field = _spelled(one["loc"]) or whole
            raise Unreadable(f"{event_type}: {field}: {_complaint(one)}.")
        ignored.append(Ignored(_spelled(path), _complaint(one)))
        sent = _without(sent, path, one.get("ctx", {}).get("instead"))
    return model.model_validate(sent, context=arrival), tuple(dict.fromkeys(ignored))


def _describing(model: type[BaseModel], loc: Sequence[int | str]) -> Sequence[str] | None:
    """The innermost field on the way to `loc` that may be absent; None if all are needed."""
    found, path = None, []
    inner: type[BaseModel] | None = model
    for name in loc:
        fields = inner.model_fields.items() if inner else ()
        field = next((one for key, one in fields if name in (key, one.alias)), None)
        if field is None:
            break
        path.append(str(name))
        if not field.is_required():
            found = tuple(path)
        kinds = (field.annotation, *get_args(field.annotation))
        inner = next((one for one in kinds if _is_model(one)), None)
    return found


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _spelled(loc: Sequence[int | str]) -> str:
    return ".".join(map(str, loc))


def _without(sent: Any, path: Sequence[str], instead: Any) -> Any:
    """A copy in which one field is absent, or has another value."""
    name, *rest = path
    if name not in sent:
        return sent  # two complaints about one field
    others = {key: value for key, value in sent.items() if key != name}
    if rest:
        return others | {name: _without(sent[name], rest, instead)}
    return others if instead is None else others | {name: instead}


_COMPLAINTS = {
    "missing": "is missing",
    "model": "should be an object",
    "string_type": "should be text",
    "float": "should be a number",
    "bool": "should be true or false",
    "datetime": "should be a time",
}


def _complaint(error: ErrorDetails) -> str:
    """What is wrong with a field, without its value."""
    for kind, words in _COMPLAINTS.items():
        if error["type"].startswith(kind):
            return words
    message = error["msg"].removeprefix("Value error, ")
    return message.removeprefix("Input ").removeprefix("String ")


# Times: a payload has the time of another clock


CLOCKS_APART = timedelta(minutes=5)
"""How far a sender's clock may be ahead."""
ANNOUNCED = timedelta(days=2 * 365)
"""How far ahead a departure or an expiry may be. A later one is a mistake, such as 2099."""
_EARLIEST = 1990
"""Before any of these vendors. Earlier years stand for "no date": 0001, 1601, 1900, 1970, 1980."""


def by_arrival(at: datetime, received_at: datetime) -> datetime:
    """When an event with the time `at` happened. A time after the arrival counts as the arrival, so
    that it does not win over later events."""
    return received_at if at > received_at + CLOCKS_APART else at


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


def _bare(value: Any) -> Any:
    return value.strip() if isinstance(value, str) else value


def _time(at: datetime) -> datetime:
    at = in_utc(at)
    if at.year < _EARLIEST:
        raise ValueError("is not a plausible time")
    return at


def _until(ahead: timedelta) -> Callable[[datetime, ValidationInfo], datetime]:
    """Times up to so long after the arrival. A later one is ignored: the arrival counts."""

    def checked(at: datetime, info: ValidationInfo) -> datetime:
        at = _time(at)
        arrival: datetime = info.context["received_at"]  # type: ignore[index]
        if at > arrival + ahead:
            message = "is later than its arrival, which counts instead"
            raise PydanticCustomError("later", message, {"instead": arrival})
        return at

    return checked


# Texts and numbers


def as_text(value: Any) -> Any:
    """IDs arrive as strings or numbers."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _id(value: Any) -> Any:
    """IDs are typed by hand, with blanks around them. Postgres cannot store a NUL in text."""
    value = as_text(value)
    if not isinstance(value, str):
        return value
    return trimmed(value).replace("\0", "\N{REPLACEMENT CHARACTER}")


def _name(value: Any) -> Any:
    """A name in one line of bounded length, without signs that turn the text around it."""
    value = as_text(value)
    if not isinstance(value, str):
        return value
    value = trimmed(value[:MAX_NAME_SENT])
    if not value.isascii():
        value = unicodedata.normalize("NFC", value)  # what looks the same is the same
    return _UNSEEN.sub("\N{REPLACEMENT CHARACTER}", value[:MAX_NAME]) or None


def _email(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    value = trimmed(value[:MAX_NAME_SENT])
    if value[:7].lower() == "mailto:":
        value = value[7:]
    return _name(value if value.isascii() else _ZERO_WIDTH.sub("", value))


def _number(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("should be a number")
    return value


def _percent(value: Any) -> Any:
    return value.strip().removesuffix("%") if isinstance(value, str) else _number(value)


def _in_percent(pct: float) -> float:
    """Lessons that are added or removed, double counts and floating point lead a little out of the
    range, and the meaning is plain. Further out it is another unit or no percentage."""
    if not -1 < pct <= 200:  # noqa: PLR2004
        raise ValueError("should be a percentage from 0 to 100")
    return round(max(0.0, min(pct, 100.0)), 4)  # what standings add up exactly


def _seconds_in(value: Any) -> Any:
    """Also `PT1H30M` and `1:30:00`, as course standards write durations."""
    if isinstance(value, str) and _DURATION.fullmatch(value := value.strip()):
        return _SPAN.validate_python(value).total_seconds()
    return _number(value)


MAX_ID = 255
MAX_NAME = 200
MAX_NAME_SENT = 1000
"""Characters of a name that are read, before the blanks around it are removed."""
_UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_ZERO_WIDTH = re.compile("[\u00ad\u200b-\u200f\u2060\ufeff]")
_DURATION = re.compile(r"P[0-9.DHMSTW]+|[0-9]{1,4}:[0-5][0-9]:[0-5][0-9](?:\.[0-9]+)?", re.ASCII)
_SPAN: TypeAdapter[timedelta] = TypeAdapter(timedelta)

Id = Annotated[str, BeforeValidator(_id), StringConstraints(min_length=1, max_length=MAX_ID)]
Name = Annotated[str | None, BeforeValidator(_name)]
Email = Annotated[str | None, BeforeValidator(_email)]
Number = Annotated[float, BeforeValidator(_number), Field(ge=0, le=1e9, allow_inf_nan=False)]
Seconds = Annotated[float, BeforeValidator(_seconds_in), Field(ge=0, le=1e9, allow_inf_nan=False)]
Percent = Annotated[float, BeforeValidator(_percent), AfterValidator(_in_percent)]
Time = Annotated[datetime, BeforeValidator(_bare), AfterValidator(_time)]
"""A time without an upper bound, such as a deadline."""
TimeBefore = Annotated[datetime, BeforeValidator(_bare), AfterValidator(_until(CLOCKS_APART))]
"""When something happened. Later than the arrival it is ignored, and the arrival counts."""
TimeAnnounced = Annotated[datetime, BeforeValidator(_bare), AfterValidator(_until(ANNOUNCED))]
"""When something happens, perhaps later."""


def age_complaint(at: datetime, now: datetime, past: int, future: int) -> str | None:
    """Why a delivery signed at `at` is refused at `now`, or None; tolerances in seconds."""
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


FROM_ENV = r"""setting() { sed -n "s/^$1=//p" .env | sed "s/^\(['\"]\)\(.*\)\1 *\$/\2/"; }
"""
"""Begins the `curl` of `shared.vendors.SetUp`: `setting NAME` prints a value of `.env`."""
