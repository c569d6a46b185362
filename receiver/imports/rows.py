"""A row of an export → the event that it is. No I/O and no clock."""

import hashlib
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal, NamedTuple
from urllib.parse import quote

from receiver.errors import ImportingError
from receiver.imports import canonical
from receiver.imports.export import Row
from receiver.imports.mapping import NUMBERS, TIMES, ImportMapping, column_of
from receiver.imports.values import Moment, moment, number
from receiver.vendors.base import KeptEvent, Unreadable, event_type_of, key_of
from receiver.vendors.declared.declaration import EventTable, FactTable
from receiver.vendors.declared.places import InBody, text_at
from receiver.vendors.fields import CLOCKS_APART
from shared.facts import Acted, Attempted, Completed, Expired, Fact, Progressed, trimmed

THING = {
    Progressed: "module_id",
    Attempted: "quiz_id",
    Completed: "course_id",
    Expired: "cert_name",
}


class Nature(NamedTuple):
    """What makes two events the same one if they happened at the same time."""

    kind: str
    whose: str
    thing: str


class Source(NamedTuple):
    """Where a row has a field of a fact, and what the export may spell in its own way."""

    name: str
    place: InBody
    form: Literal["time", "number", "id", "text"]


def _sources(fact: FactTable) -> Sequence[Source]:
    kinds = {**fact.rules.needed, **fact.rules.described}
    return [Source(name, place, _form(name, kinds[name])) for name, place in fact.fields().items()]


def _form(name: str, kind: Any) -> Literal["time", "number", "id", "text"]:
    if kind in TIMES:
        return "time"
    if kind in NUMBERS:
        return "number"
    return "id" if name.endswith("_id") else "text"


class Item(NamedTuple):
    """An event of an export. `digest` is ours, of the key, so that an erased one stays so."""

    line: int
    key: str
    digest: str
    type: str
    user_id: str | None
    at: datetime
    precision: timedelta
    payload: str
    facts: Sequence[Fact]


def natures(facts: Sequence[Fact]) -> Iterator[Nature]:
    """What an event is by its facts: the module, quiz, course or certificate of a learner, else
    the change of the roster."""
    things = [fact for fact in facts if type(fact) in THING] or facts
    for fact in things:
        whose = fact.person if isinstance(fact, Acted) else fact.user_id
        thing = getattr(fact, THING[type(fact)]) if type(fact) in THING else ""
        yield Nature(type(fact).__name__.lower(), whose, thing)


class RowReader:
    """Reads the rows of one export, with the time of now. Raises ImportingError with line and
    column of what cannot be read."""

    def __init__(self, vendor: str, path: Path, how: ImportMapping, now: datetime) -> None:
        self._vendor, self._path, self._how, self._now = vendor, path, how, now
        self._events = {one.type: one for one in how.events}
        self._fields = {one.type: [(fact, _sources(fact)) for fact in one.facts]
                        for one in how.events}  # fmt: skip

    def read(self, row: Row) -> Item | None:
        """The event of a row; None if the mapping has no event of its type, or if nothing of the
        event applies."""
        event_type = event_type_of(text_at(self._how.event_type, row.values))
        table = self._events.get(event_type or "")
        if table is None or table.at is None:
            return None
        happened = self._happened(row, table.at)
        fields = {fact.kind: values for fact, sources in self._fields[table.type]
                  if (values := self._values(row, fact, sources)) is not None}  # fmt: skip
        if not fields:
            return None
        user = text_at(table.user_id, row.values) if table.user_id else None
        payload = canonical.payload_of(user, fields)
        facts, user_id = self._facts(row, table, happened.at, payload)
        if not facts:
            return None
        key = self._key(row, table, happened.at) or _natural_key(table.type, facts, happened.at)
        digest = hashlib.sha256(f"import\n{self._vendor}\n{key}".encode()).hexdigest()
        return Item(row.line, key, digest, table.type, user_id, *happened, payload, facts)

    def _facts(
        self, row: Row, table: EventTable, at: datetime, payload: str
    ) -> tuple[Sequence[Fact], str | None]:
        """What the row says, for a comparison: its facts have no event key yet."""
        event = KeptEvent("", table.type, at, self._now, payload)
        try:
            reader, reading = canonical.read(self._vendor, event)
        except Unreadable as wrong:
            raise self._wrong(row, table, wrong.reason) from None
        if reading.ignored:
            field, why = reading.ignored[0]
            raise self._wrong(row, table, f"{field}: {why}")
        return reader.facts(reading, "", at), reader.user_id(reading)

    def _values(
        self, row: Row, fact: FactTable, sources: Sequence[Source]
    ) -> dict[str, Any] | None:
        """The fields of a fact; None if the row has no such fact."""
        if fact.when and not fact.when.find(row.values):
            return None
        values = {one.name: self._value(row, one) for one in sources}
        return None if fact.only_with and values[fact.only_with] is None else values

    def _value(self, row: Row, source: Source) -> Any:
        sent = source.place.find(row.values)
        if sent is None or (isinstance(sent, str) and not sent.strip()):
            return None
        if source.form == "time":
            return self._moment(row, source.place).at.isoformat()
        if source.form == "number":
            try:
                return number(sent, self._how.decimal)
            except ValueError as wrong:
                column = column_of(source.place)
                raise self._refused(row.line, column, f"{_shown(sent)} {wrong}") from None
        is_id = source.form == "id" and isinstance(sent, int) and not isinstance(sent, bool)
        return str(sent) if is_id else sent

    def _moment(self, row: Row, place: InBody) -> Moment:
        sent = place.find(row.values)
        try:
            found = moment(sent, self._how.zone, self._how.date_order)
        except (ValueError, OverflowError) as wrong:
            raise self._refused(row.line, column_of(place), f"{_shown(sent)} {wrong}") from None
        return found

    def _happened(self, row: Row, place: InBody) -> Moment:
        found = self._moment(row, place)
        if found.at > self._now + CLOCKS_APART:
            why = f"{found.at.isoformat()} lies ahead. Is the zone of the mapping right?"
            raise self._refused(row.line, column_of(place), why)
        return found

    def _key(self, row: Row, table: EventTable, at: datetime) -> str:
        """The event's ID as the vendor's webhook makes it; empty if the mapping has none."""
        parts = self._how.key_parts()
        if not parts:
            return ""
        values = [self._key_part(row, table, one, at) for one in parts]
        return key_of(":".join(values).encode())

    def _key_part(self, row: Row, table: EventTable, place: InBody, at: datetime) -> str:
        text = trimmed(text_at(place, row.values) or "")
        if not text:
            raise self._refused(row.line, column_of(place), "is empty, and is the event's ID")
        if not isinstance(self._how.event_id, tuple):
            return text
        is_time = table.at is not None and place.path == table.at.path
        return at.isoformat() if is_time else quote(text, safe="")

    def _wrong(self, row: Row, table: EventTable, reason: str) -> ImportingError:
        """With the column of the field that a reason names, such as `progressed.module_id`."""
        places = {f"{fact.kind}.{name}": one for fact in table.facts
                  for name, one in fact.fields().items()}  # fmt: skip
        if table.user_id:
            places["user.id"] = table.user_id
        reason = reason.removeprefix(f"{table.type}: ")
        field, _, why = reason.partition(": ")
        column = column_of(places[field]) if field in places else field
        return self._refused(row.line, column, f"{field}: {why.removesuffix('.')}")

    def _refused(self, line: int, column: str, why: str) -> ImportingError:
        return ImportingError(f"{self._path}: line {line}, column {column}: {why}")


def _natural_key(event_type: str, facts: Sequence[Fact], at: datetime) -> str:
    """The key of an event without an ID. User and thing stand between colons, as in other keys, so
    that erasing a person finds it."""
    nature = next(natures(facts))
    parts = (quote(one, safe="") for one in (event_type, nature.whose, nature.thing))
    return key_of(":".join(("import", *parts, at.isoformat())).encode())


def _shown(sent: object) -> str:
    """A value for a terminal: short, and no sign in it can steer that."""
    text = "nothing" if sent in (None, "") else str(sent)[:60]
    return text if text.isprintable() else repr(text)
