"""The fields of a vendor's payload: reading them, and their types. No I/O and no clock here.

A field that is needed decides over the event; one that only describes never does.
"""

import re
import unicodedata
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Annotated, Any, Literal, TypeVar, get_args
from urllib.parse import urlsplit

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
from pydantic_core import ErrorDetails, PydanticCustomError

from receiver.vendors.base import MAX_ID, Ignored, Unreadable
from shared.facts import trimmed

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
    "datetime": "should be a time: ISO 8601, or seconds or milliseconds since 1970",
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


TimeForm = Literal["seconds", "milliseconds", "iso", "any"]
"""How a sender writes the time of a signature: since 1970, or ISO 8601; `any` of these."""


def signed_time(sent: bytes, form: TimeForm = "any") -> datetime | None:
    """The time of a signature; None if it is none in this form. ISO 8601 needs its seconds."""
    return _signed_time(sent, form) if len(sent) <= LONGEST_TIME else None


LONGEST_TIME = 40


@lru_cache(maxsize=256)  # each delivery is asked twice, and many are of one second
def _signed_time(sent: bytes, form: TimeForm) -> datetime | None:
    text = sent.decode("ascii", "replace")
    try:
        if form != "iso" and _EPOCH.fullmatch(text):
            return in_utc(datetime.fromtimestamp(_seconds_since_1970(int(text), form), UTC))
        if form in ("iso", "any") and _ISO.fullmatch(text):
            return in_utc(datetime.fromisoformat(text))
    except (ValueError, OverflowError, OSError):
        pass
    return None


def _seconds_since_1970(number: int, form: TimeForm) -> float:
    is_milliseconds = form == "milliseconds" or (form == "any" and number >= MILLISECONDS_FROM)
    return number / 1000 if is_milliseconds else number


MILLISECONDS_FROM = 100_000_000_000
"""Where the unit is not known. As seconds this would be the year 5138, so it is milliseconds."""
_EPOCH = re.compile(r"[0-9]{1,16}")
_ISO = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?"
    r"(?:Z|[+-][0-9]{2}:?[0-9]{2})?"
)
"""A colon may end the timestamp in a signed text, and ISO 8601 has colons itself. So that the text
can be cut at one of them only, none of these forms may begin with another one and a colon: no time
without seconds, no offset of hours alone (`+01`, of `+01:00`) and none with seconds."""


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


def _web_address(value: Any) -> str | None:
    """A link that a page may show. Any other value is dropped, and the event accepted."""
    if not isinstance(value, str) or len(value) > MAX_LINK or not value.isprintable():
        return None
    try:
        parts = urlsplit(value)
        usable = parts.scheme in ("http", "https") and parts.hostname
    except ValueError:
        return None
    return value if usable and not set(value) & set(" <>\"'\\`") else None


MAX_LINK = 2_000
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
WebAddress = Annotated[str | None, BeforeValidator(_web_address)]
Number = Annotated[float, BeforeValidator(_number), Field(ge=0, le=1e9, allow_inf_nan=False)]
Seconds = Annotated[float, BeforeValidator(_seconds_in), Field(ge=0, le=1e9, allow_inf_nan=False)]
Percent = Annotated[float, BeforeValidator(_percent), AfterValidator(_in_percent)]
Time = Annotated[datetime, BeforeValidator(_bare), AfterValidator(_time)]
"""A time without an upper bound, such as a deadline."""
TimeBefore = Annotated[datetime, BeforeValidator(_bare), AfterValidator(_until(CLOCKS_APART))]
"""When something happened. Later than the arrival it is ignored, and the arrival counts."""
TimeAnnounced = Annotated[datetime, BeforeValidator(_bare), AfterValidator(_until(ANNOUNCED))]
"""When something happens, perhaps later."""
