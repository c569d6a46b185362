"""What an event of a declared vendor says. Pure: no I/O and no clock."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field, create_model

from receiver.vendors.base import Ignored, KeptEvent, json_object, key_of
from receiver.vendors.declared.declaration import Declaration, EventTable, FactTable
from receiver.vendors.declared.kinds import Kind, Said, Truth
from receiver.vendors.declared.places import InBody, fields_in, text_at
from receiver.vendors.fields import Id, TimeBefore, by_arrival, read
from shared.facts import Fact, trimmed


class Reading(NamedTuple):
    """The fields of one event, by their name in its model."""

    values: Mapping[str, Any]
    ignored: Sequence[Ignored]


class Making(NamedTuple):
    """How a fact of an event is made."""

    rules: Kind
    only_with: str | None
    absent: Mapping[str, None]
    """The fields that it may lack."""
    fields: Sequence[tuple[str, str]]
    """Each given field, and its name in the model."""
    when: str | None
    """The name in the model of what must be true."""


class DeclaredEvent:
    """Reads the events of one type."""

    def __init__(self, slug: str, table: EventTable) -> None:
        self.table = table
        self._slug = slug
        self._places: dict[str, InBody] = {}
        self._needed: dict[str, Any] = {}
        self._described: dict[str, Any] = {}
        self._names: dict[tuple[str, str], str] = {}
        """By path and type: two facts may have a field in common, which is read once."""
        self._user_id = table.user_id and self._add(table.user_id, Id, is_needed=True)
        self._at = table.at and self._add(table.at, TimeBefore | None)
        self._facts = [self._making(one) for one in table.facts]
        times = (
            self._at,
            *(dict(one.fields).get(one.rules.announced or "") for one in self._facts),
        )
        self._times = [name for name in times if name]
        # Needed fields first: of two that are read at one place, the needed one decides.
        self._model: type[BaseModel] = create_model(
            "_Declared",
            __config__=ConfigDict(extra="ignore"),
            **(self._needed | self._described),
        )

    def _making(self, fact: FactTable) -> Making:
        rules = fact.rules
        kinds = {**rules.needed, **rules.described}
        fields = [
            (name, self._add(where, kinds[name], is_needed=name in rules.needed))
            for name, where in fact.fields().items()
        ]
        when = self._add(fact.when, Truth | None) if fact.when else None
        return Making(rules, fact.only_with, dict.fromkeys(rules.described), fields, when)

    def _add(self, where: InBody, kind: Any, *, is_needed: bool = False) -> str:
        """The name in the model of a field with this type."""
        name = self._names.setdefault((where.path, str(kind)), f"field_{len(self._names)}")
        self._places[where.path] = where
        default = ... if is_needed else None
        fields = self._needed if is_needed else self._described
        fields[name] = (kind, Field(default, alias=where.path))
        return name

    def read(self, body: Mapping[str, Any], received_at: datetime) -> Reading:
        """The fields of a body. Raises Unreadable."""
        found = {path: where.find(body) for path, where in self._places.items()}
        sent = {path: value for path, value in found.items() if value is not None}
        fields, ignored = read(self._model, self.table.type, sent, received_at)
        return Reading(fields.__dict__, ignored)

    def fields(self) -> tuple[str, ...]:
        """The fields that are read, as paths."""
        return tuple(dict.fromkeys(name for path in self._places for name in fields_in(path)))

    def user_id(self, reading: Reading) -> str | None:
        """Whose event it is; None if it only names a person by e-mail."""
        return reading.values[self._user_id] if self._user_id else None

    def own_time(self, reading: Reading) -> datetime | None:
        """The event's own time: when it happened, or what it announces."""
        times = (reading.values[name] for name in self._times)
        return next((one for one in times if one is not None), None)

    def has_own_time(self) -> bool:
        """Whether an event of this type can have a time of its own."""
        return bool(self._times)

    def key_part(self, where: InBody, reading: Reading, body: Mapping[str, Any]) -> str | None:
        """A part of the key of an event without an ID: the value as it is read, so that another
        spelling of it is the same event. A text is quoted: it may contain what joins the parts.
        None if it is absent or was ignored."""
        if any(one.field == where.path for one in reading.ignored):
            return None
        names = (name for (path, _), name in self._names.items() if path == where.path)
        value = next((reading.values[name] for name in names), None)
        if isinstance(value, datetime):
            return value.astimezone(UTC).isoformat()
        text = trimmed(text_at(where, body) or "") if value is None else str(value)
        return quote(text, safe="") or None

    def facts(self, reading: Reading, key: str, at: datetime) -> Sequence[Fact]:
        """What the event says, having happened at `at`."""
        said = Said(self._slug, key, self.table.type, self.user_id(reading) or "", at)
        values, made = reading.values, []
        for how in self._facts:
            if how.when and not values[how.when]:
                continue
            has = {**how.absent, **{name: values[known] for name, known in how.fields}}
            if how.only_with is None or has[how.only_with] is not None:
                made.append(how.rules.make(said, has))
        return tuple(one for one in made if one is not None)


class Reader:
    """Reads the events of a vendor."""

    def __init__(self, declaration: Declaration) -> None:
        self.declaration = declaration
        self.events = {one.type: DeclaredEvent(declaration.slug, one) for one in declaration.events}

    def kept_facts(self, event: KeptEvent) -> Sequence[Fact]:
        """What a kept event says, for `rebuild`. Raises Unreadable."""
        known = self.events.get(event.type)
        if known is None:
            return ()
        reading = known.read(json_object(event.payload.encode()), event.received_at)
        return known.facts(reading, event.event_key, event.occurred_at)

    def joined_key(
        self, parts: Sequence[InBody], event_type: str, reading: Reading, body: Mapping[str, Any]
    ) -> str:
        """The key made of fields; empty if one is missing."""
        known = self.events[event_type]
        values = [known.key_part(one, reading, body) for one in parts]
        if None in values:
            return ""
        return key_of(":".join(one for one in values if one is not None).encode())


def happened_at(
    own: datetime | None, signed_at: datetime | None, received_at: datetime
) -> datetime:
    """When an event happened: by its own time, the signature's, or its arrival."""
    return by_arrival(own or signed_at or received_at, received_at)
