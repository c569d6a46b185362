"""The mapping of an export: which column is what. The words are the ones of `VENDORS_FILE`."""

import codecs
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Self, TypeVar
from zoneinfo import ZoneInfo

import jmespath
from jmespath.exceptions import JMESPathError
from pydantic import BeforeValidator, Field, ValidationError, field_validator, model_validator

from receiver.errors import ImportingError
from receiver.imports.values import DateOrder, Decimal
from receiver.vendors.declared.declaration import EventTable
from receiver.vendors.declared.file import in_words, toml_of
from receiver.vendors.declared.places import InBody, in_body
from receiver.vendors.declared.tables import Body, Table
from receiver.vendors.fields import Number, Percent, Seconds, Time, TimeAnnounced
from shared.settings import SettingsError

T = TypeVar("T", bound=Table)
NUMBERS = (Number, Number | None, Percent, Percent | None, Seconds | None)
TIMES = (Time | None, TimeAnnounced | None)
_NO_PATH = ("kind", "only_with", "type")


def _zone(sent: object) -> ZoneInfo:
    try:
        return ZoneInfo(str(sent))
    except (KeyError, ValueError, OSError):
        raise ValueError('should be a time zone such as "Europe/Berlin"') from None


def _encoding(sent: object) -> str:
    try:
        return codecs.lookup(str(sent)).name
    except LookupError:
        raise ValueError('should be an encoding such as "cp1252"') from None


class Reading(Table):
    """How a file is read."""

    encoding: Annotated[str, BeforeValidator(_encoding)] | None = None
    separator: Annotated[str, Field(pattern='^[^"\\r\\n]$')] | None = None


class ImportMapping(Reading):
    """The whole file."""

    event_id: Body | tuple[Body, ...] | None = None
    """The vendor's ID of an event, or the fields that make one together."""
    event_type: Body
    zone: Annotated[ZoneInfo, BeforeValidator(_zone)] = ZoneInfo("UTC")
    """Of times without an offset."""
    date_order: DateOrder | None = None
    decimal: Decimal | None = None
    match_within: Annotated[int, Field(ge=0, le=3600)] = 0
    """How many seconds the time of a stored event may differ from that of its row."""
    events: Annotated[tuple[EventTable, ...], Field(min_length=1)]

    @field_validator("event_id", mode="plain")
    @classmethod
    def _one_place_or_several(cls, sent: object) -> InBody | tuple[InBody, ...]:
        return tuple(map(in_body, sent)) if isinstance(sent, list) and sent else in_body(sent)

    @model_validator(mode="after")
    def _says_what_is_needed(self) -> Self:
        for one in self.events:
            if one.at is None:
                raise ValueError(f"events: {one.type} needs at: when it happened")
            kinds = [fact.kind for fact in one.facts]
            if len(set(kinds)) < len(kinds):
                raise ValueError(f"events: {one.type} has two facts of one kind")
            if one.user_id is None and self.event_id is None:
                raise ValueError(f"event_id is needed, as {one.type} has no user_id")
        return self

    def key_parts(self) -> Sequence[InBody]:
        """The places of the event's ID; none without one."""
        if self.event_id is None:
            return ()
        return self.event_id if isinstance(self.event_id, tuple) else (self.event_id,)


def reading(path: Path) -> Reading:
    """How the mapping at `path` says that the export is read. Raises ImportingError."""
    sent = {name: one for name, one in _tables(path).items() if name in Reading.model_fields}
    return _checked(Reading, path, sent)


def mapping(path: Path, columns: Sequence[str], *, whole: bool) -> ImportMapping:
    """The mapping at `path` for an export with these columns; `whole`: there are no others, at any
    depth. Raises ImportingError."""
    sent = _tables(path)
    for place, name in _paths(sent):
        if missing := _missing(name, columns, whole=whole):
            near = get_close_matches(missing, columns, n=1)
            meant = f"Is {near[0]!r} meant? " if near else ""
            raise ImportingError(
                f"{path}: {place}: the export has no column {missing!r}. {meant}It has "
                f"{', '.join(map(repr, columns))}"
            )
    return _checked(ImportMapping, path, _quoted(sent, columns))


def digest(path: Path) -> str:
    """Of the mapping."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _tables(path: Path) -> dict[str, Any]:
    try:
        return toml_of(path)
    except SettingsError as wrong:
        raise ImportingError(str(wrong)) from None


def _checked(kind: type[T], path: Path, sent: Mapping[str, Any]) -> T:
    try:
        return kind.model_validate(sent)
    except ValidationError as wrong:
        raise ImportingError(in_words(wrong, str(path))[0]) from None


def _paths(sent: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Each place in the mapping that names a column, and what it says."""
    for name in ("event_id", "event_type"):
        given = sent.get(name)
        yield from ((name, one) for one in _list(given) or [given] if isinstance(one, str))
    for event in _list(sent.get("events")):
        if not isinstance(event, dict):
            continue
        kind = event.get("type")
        yield from ((f"{kind}: {name}", one) for name, one in _strings(event))
        for fact in _list(event.get("facts")):
            if isinstance(fact, dict):
                yield from ((f"{kind}: {name}", one) for name, one in _strings(fact))


def _strings(table: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, one in table.items():
        if isinstance(one, str) and name not in _NO_PATH:
            yield name, one


def _list(sent: object) -> list[Any]:
    return sent if isinstance(sent, list) else []


def _missing(text: str, columns: Sequence[str], *, whole: bool) -> str | None:
    """The column that a path names and that is not there."""
    if text in columns:
        return None
    try:
        roots = list(_roots(jmespath.compile(text).parsed, whole=whole))
    except JMESPathError:
        return text
    return next((one for one in roots if one not in columns), None)


def _roots(node: Mapping[str, Any], *, whole: bool) -> Iterator[str]:
    """The outermost names in a path: what follows a dot or a bracket is within its value."""
    if node["type"] == "field":
        yield node["value"]
    children = [one for one in node["children"] if isinstance(one, dict)]
    inside = node["type"] in ("subexpression", "index_expression", "pipe") or (
        "projection" in node["type"]
    )
    for child in children[:1] if inside and not whole else children:
        yield from _roots(child, whole=whole)


def _quoted(sent: Any, columns: Sequence[str], name: str = "") -> Any:
    """The mapping with each column in the spelling of JMESPath: a column may have any name."""
    if isinstance(sent, dict):
        return {key: _quoted(one, columns, key) for key, one in sent.items()}
    if isinstance(sent, list):
        return [_quoted(one, columns, name) for one in sent]
    is_column = isinstance(sent, str) and name not in (*_NO_PATH, *_OPTIONS) and sent in columns
    return json.dumps(sent, ensure_ascii=False) if is_column else sent


_OPTIONS = ("zone", "date_order", "decimal", "encoding", "separator")


def column_of(place: InBody) -> str:
    """The column, or the path, as the mapping spells it."""
    return place.names[0] if place.names and len(place.names) == 1 else place.path
