"""Numbers and times as exports write them. No I/O and no clock."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Literal, NamedTuple
from zoneinfo import ZoneInfo

from receiver.vendors.fields import MILLISECONDS_FROM, in_utc

Decimal = Literal[",", "."]
DateOrder = Literal["day-first", "month-first"]
SECOND, MINUTE, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(days=1)


class Moment(NamedTuple):
    """A time in UTC, and how exact it is: the event happened less than `precision` later."""

    at: datetime
    precision: timedelta


_NUMBER = re.compile(r"[+-]?[0-9]+(?:[.,'\u2019 \u00a0\u202f][0-9]+)*(\s*%)?")
_THOUSANDS = re.compile(r"[+-]?[1-9][0-9]{0,2}[.,][0-9]{3}")
_GROUPS = str.maketrans("", "", "'\u2019 \u00a0\u202f%")


def number(sent: object, decimal: Decimal | None) -> object:
    """A number with a comma or point as text with a point; anything else as it is, such as a
    duration. Raises ValueError if a text could be two numbers."""
    if not isinstance(sent, str) or not _NUMBER.fullmatch(text := sent.strip()):
        return sent
    text = text.translate(_GROUPS)
    if decimal is None:
        decimal = _decimal_of(text)
    other = "." if decimal == "," else ","
    return text.replace(other, "").replace(decimal, ".")


def _decimal_of(text: str) -> Decimal:
    """The later of comma and point. A single one before three digits could be either."""
    if _THOUSANDS.fullmatch(text) and "," in text:
        raise ValueError('could be two numbers: set decimal = "," or "." in the mapping')
    last = max(text.rfind(","), text.rfind("."))
    repeats = last >= 0 and text.count(text[last]) > 1
    return "," if (last >= 0 and text[last] == ",") != repeats else "."


_ISO = re.compile(
    r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?P<sec>:\d\d(?:[.,]\d{1,9})?)?"
    r"\s?(?:Z|UTC|[+-]\d\d:?\d\d)?)?",
    re.ASCII,
)
_EPOCH = re.compile(r"\d{9,13}", re.ASCII)
_WRITTEN = re.compile(
    r"(\d{1,2})([./])(\d{1,2})\2(\d{4})"
    r"(?:,?[T ]+(\d{1,2}):(\d\d)(?::(\d\d)(?:\.\d+)?)?(?: ?([AaPp])\.?[Mm]\.?)?)?"
)


def moment(sent: object, zone: ZoneInfo, order: DateOrder | None) -> Moment:
    """A time in one of the styles of docs/importing.md; `zone` is that of one without an offset.
    Raises ValueError that says what is wrong."""
    text = str(sent).strip() if isinstance(sent, str | int) else ""
    if not text:
        raise ValueError("is no time")
    styles: list[tuple[re.Pattern[str], Callable[[re.Match[str]], Moment]]] = [
        (_EPOCH, _since_1970),
        (_ISO, lambda found: _iso(found, zone)),
        (_WRITTEN, lambda found: _written(found, zone, order)),
    ]
    for pattern, read in styles:
        if found := pattern.fullmatch(text):
            return read(found)
    raise ValueError(
        "is no time in a known style: ISO 8601, seconds or milliseconds since 1970, DD.MM.YYYY or "
        "dates with /"
    )


def _since_1970(found: re.Match[str]) -> Moment:
    count = int(found[0])
    seconds = count / 1000 if count >= MILLISECONDS_FROM else count
    return Moment(in_utc(datetime.fromtimestamp(seconds, UTC)), SECOND)


def _iso(found: re.Match[str], zone: ZoneInfo) -> Moment:
    text = found[0].replace("UTC", "Z").replace(",", ".").replace(" Z", "Z")
    text = re.sub(r"\s([+-])", r"\1", text)
    precision = DAY if len(text) == len("2025-11-22") else SECOND if found["sec"] else MINUTE
    return _in_zone(datetime.fromisoformat(text), zone, precision)


def _written(found: re.Match[str], zone: ZoneInfo, order: DateOrder | None) -> Moment:
    one, sign, two, year, hour, minute, second, half = found.groups()
    if sign == "/" and order is None:
        wanted = 'set date_order = "day-first" or "month-first" in the mapping'
        raise ValueError(f"could be two days: {wanted}")
    day, month = (two, one) if sign == "/" and order == "month-first" else (one, two)
    hours = int(hour or 0)
    if half:
        hours = hours % 12 + (12 if half in "Pp" else 0)
    parts = (int(year), int(month), int(day), hours, int(minute or 0), int(second or 0))
    precision = DAY if hour is None else SECOND if second else MINUTE
    try:
        at = datetime(*parts, tzinfo=zone)
    except ValueError as wrong:
        hint = ". Is date_order right?" if sign == "/" else ""
        raise ValueError(f"is no such time: {wrong}{hint}") from None
    return _in_zone(at, zone, precision)


def _in_zone(at: datetime, zone: ZoneInfo, precision: timedelta) -> Moment:
    return Moment(in_utc(at if at.tzinfo else at.replace(tzinfo=zone)), precision)
