"""Counts which fields the events of a type have, and in which shape, by the hour of their arrival.

A chore reads the events that the read models have, behind a checkpoint of its own, so it is off the
path of intake, and a rebuild or a replay counts no event twice. Names of fields are a sender's
text: their number is bounded, and one that may be a person's address, number or ID counts as `*`.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from sqlalchemy import Connection, Engine, delete, select, update

from receiver.readmodels.follower import reached_in
from shared.bulk import encode, insert_into, insert_rows, table_of
from shared.database import write_transaction
from shared.drift import LOOK_BACK
from shared.models import Event, FieldCheckpoint, FieldHourly
from shared.queries import rows_of

BATCH = 1_000
"""A second: after a burst the counts come later, and leave the processor to intake."""
FIRST = 20_000
"""The latest events of a store in which nothing was counted yet."""
MAX_TYPES = 100
"""Types of a vendor whose fields are counted."""
MAX_FIELDS = 60
"""Fields of a type that are counted, besides the ones that are read."""
DEEPEST = 4
LONGEST_NAME = 80
DATUM = "*"
"""In place of a name that is no name of a field but a datum, as in `{"dana@acme.example": 40}`."""
MANY_DIGITS = 4
"""`ref1` and `address_line_2` are fields, `u-20418` is an ID."""
LONGEST_WORD = 40
CLEAN_EVERY = timedelta(hours=1)
COLUMNS = ("vendor", "event_type", "hour", "field", "shape", "events")

event = table_of(Event).c
hourly = table_of(FieldHourly)
checkpoint = table_of(FieldCheckpoint)
Type = tuple[str, str]
"""A vendor and an event type."""
Fields = tuple[tuple[str, str], ...]
"""The fields of an event with their shapes."""


class Arrived(NamedTuple):
    """What is counted of an event."""

    id: int
    vendor: str
    type: str
    received_at: datetime
    payload: str


class FieldCounts:
    """Counts the fields of events, for this receiver. `read` are the fields that the vendors'
    mappings read, by vendor and event type."""

    def __init__(self, engine: Engine, read: Mapping[str, Mapping[str, Sequence[str]]]) -> None:
        self._engine = engine
        self._read = read
        self._known: dict[Type, set[str]] = {}
        self._has_read_known = False
        self._clean_at = datetime.min.replace(tzinfo=UTC)

    def carry_out(self) -> bool:
        """Count a batch of events. Returns whether there may be more. Raises SQLAlchemyError if the
        store fails."""
        with self._engine.connect() as connection:
            if not self._has_read_known:
                self._known, self._has_read_known = _known(connection), True
            begin = connection.scalar(select(checkpoint.c.event_id))
            reached = reached_in(connection)
            last = reached.event_id if reached else 0
            batch = () if begin is None else _between(connection, begin, last)
        self._clean()
        if begin is None and reached:
            self._begin(last)
            return True
        if begin is None or not batch:
            return False
        rows = self._rows(batch)
        moved = update(checkpoint).where(checkpoint.c.event_id == begin)
        with write_transaction(self._engine) as connection:
            if rows:
                _add(connection, rows)
            # Another receiver may have counted them meanwhile.
            if not connection.execute(moved.values(event_id=batch[-1].id)).rowcount:
                connection.rollback()
        return len(batch) == BATCH

    def _begin(self, last: int) -> None:
        """Begin with the latest events of the store."""
        first = insert_into(self._engine.dialect.name, FieldCheckpoint)
        with write_transaction(self._engine) as connection:
            values = first.values(id=1, event_id=max(0, last - FIRST))
            connection.execute(values.on_conflict_do_nothing())

    def _rows(self, batch: Sequence[Arrived]) -> list[tuple[str, str, datetime, str, str, int]]:
        # Most events of a type have the same fields, so these are looked at once for all of them.
        alike: Counter[tuple[str, str, datetime, Fields]] = Counter()
        for one in batch:
            read = self._fields_read(one.vendor, one.type)
            if (fields := _fields(one.payload, read)) is not None:
                hour = one.received_at.replace(minute=0, second=0, microsecond=0)
                alike[one.vendor, one.type, hour, fields] += 1
        counts: Counter[tuple[str, str, datetime, str, str]] = Counter()
        for (vendor, event_type, hour, fields), events in alike.items():
            for name, shape in self._counted((vendor, event_type), fields):
                counts[vendor, event_type, hour, name, shape] += events
        return [(*key, counts[key]) for key in sorted(counts)]

    def _fields_read(self, vendor: str, event_type: str) -> Sequence[str]:
        return self._read.get(vendor, {}).get(event_type, ())

    def _counted(self, of: Type, fields: Fields) -> Iterator[tuple[str, str]]:
        """The fields that count, with their shapes, and the event itself."""
        read = self._fields_read(*of)
        known = self._known_of(of)
        if known is None:
            return
        yield "", ""
        for name, shape in fields:
            if name not in known:
                if name not in read and len(known) >= MAX_FIELDS:
                    continue
                known.add(name)
            yield name, shape

    def _known_of(self, of: Type) -> set[str] | None:
        """The counted fields of a type; None if its vendor has too many types."""
        if of not in self._known:
            if sum(vendor == of[0] for vendor, _ in self._known) >= MAX_TYPES:
                return None
            self._known[of] = set()
        return self._known[of]

    def _clean(self) -> None:
        """Remove counts that no page looks at any more."""
        now = datetime.now(UTC)
        if now < self._clean_at:
            return
        self._clean_at = now + CLEAN_EVERY
        with write_transaction(self._engine) as connection:
            connection.execute(delete(hourly).where(hourly.c.hour < now - LOOK_BACK))


def _fields(payload: str, read: Sequence[str]) -> Fields | None:
    """None if the event was erased, or if this version cannot read it."""
    try:
        body = json.loads(payload)
    except (ValueError, RecursionError):
        return None
    return tuple(dict(_shapes(body, read)).items()) if isinstance(body, dict) else None


def _shapes(
    value: Mapping[str, object], read: Sequence[str], above: str = ""
) -> Iterator[tuple[str, str]]:
    """Each field below an object: its path, and what it is. Lists are not looked into."""
    for key, inner in value.items():
        path = f"{above}{key[: LONGEST_NAME + 1]}"
        if is_datum(key) and not any(f"{one}.".startswith(f"{path}.") for one in read):
            path = f"{above}{DATUM}"
        if len(path) > LONGEST_NAME or not path.isprintable():
            continue
        if isinstance(inner, dict) and inner and path.count(".") < DEEPEST:
            yield from _shapes(inner, read, f"{path}.")
        else:
            yield path, shape_of(inner)


def is_datum(name: str) -> bool:
    """Whether a name in JSON is rather a value: an address, a number, a date, an ID or a token."""
    if len(name) > LONGEST_NAME:
        return True
    digits = sum(map(str.isdigit, name))
    return (
        "@" in name
        or "%40" in name
        or digits >= MANY_DIGITS
        or (digits > 0 and not any(map(str.isalpha, name)))
        or (len(name) > LONGEST_WORD and " " not in name)
    )


_SHAPES = {
    bool: "flag",
    int: "number",
    float: "number",
    str: "text",
    list: "list",
    dict: "object",
}


def shape_of(value: object) -> str:
    """What a value in JSON is."""
    return _SHAPES.get(type(value), "null")


def _between(connection: Connection, begin: int, last: int) -> Sequence[Arrived]:
    """The next events, the last of which may be `last`: no later one is whole yet."""
    query = (
        select(*(event[name] for name in Arrived._fields))
        .where(event.id > begin, event.id <= last)
        .order_by(event.id)
        .limit(BATCH)
    )
    return rows_of(Arrived, connection.execute(query))


def _known(connection: Connection) -> dict[Type, set[str]]:
    query = select(hourly.c.vendor, hourly.c.event_type, hourly.c.field).distinct()
    known: dict[Type, set[str]] = {}
    for vendor, event_type, name in connection.execute(query):
        known.setdefault((vendor, event_type), set()).update({name} - {""})
    return known


def _add(connection: Connection, rows: Sequence[tuple[object, ...]]) -> None:
    statement = insert_rows(connection.dialect.name, FieldHourly, COLUMNS)
    more = hourly.c.events + statement.excluded.events
    keys = COLUMNS[:-1]
    connection.execute(
        statement.on_conflict_do_update(index_elements=list(keys), set_={"events": more}),
        {"rows": encode(rows)},
    )
