"""What is kept of deliveries that became no event: within caps, and the least worth goes first.

Anybody can send junk, so junk may take a tenth of the room and pushes out nothing. What the vendor
may well have sent makes room for itself: by junk, then by the oldest of its own kind. Every drop
is counted. What is sent again is held once. The counts live in `quarantine_total`, so that a flood
never has to count the table.
"""

from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Row, delete, func, insert, select, text
from sqlalchemy.sql.dml import ReturningInsert

from shared.bulk import encode, insert_rows, table_of
from shared.models import QUARANTINED, Quarantine, QuarantineTotal
from shared.outcomes import Kind, QuarantineState

JUNK_SHARE = 10
"""Junk may take one part in so many of each cap."""
LOOK_AHEAD = 16
KINDS = tuple(Kind)
TOTALS = ("vendor", "kind", "held", "held_bytes", "dropped", "dropped_bytes")


class Caps(NamedTuple):
    """How much may be held of each vendor: deliveries, and bytes of their bodies and headers."""

    deliveries: int = 20_000
    bytes: int = 268_435_456


class Arrival(NamedTuple):
    """A delivery that would be held. `headers` is the JSON of those that are kept, in ASCII."""

    delivery_id: int
    vendor: str
    received_at: datetime
    kind: Kind
    headers: str
    body: bytes
    digest: str

    @property
    def size(self) -> int:
        """In bytes, as `size_of` has it of a stored row."""
        return len(self.headers) + len(self.body)


class Change(NamedTuple):
    """What a row of `quarantine_total` grows by."""

    held: int = 0
    held_bytes: int = 0
    dropped: int = 0
    dropped_bytes: int = 0


def size_of(row: Any) -> ColumnElement[int]:
    """The bytes of a row of `quarantine`; the headers are ASCII. Neither store reads the body."""
    size: ColumnElement[int] = func.length(row.body) + func.length(row.headers)
    return size


def keep(connection: Connection, arrivals: Sequence[Arrival], caps: Caps) -> dict[int, int]:
    """Hold what there is room for, drop what has to make room, and count both. The deliveries of
    which the same is held already, each with the delivery that it is held of.

    Call it late in a transaction: other receivers that hold something of a vendor wait for it.
    """
    if not arrivals:
        return {}
    nothing: dict[tuple[str, str], Change] = {
        (one.vendor, kind): Change() for one in arrivals for kind in KINDS
    }
    rooms = {
        vendor: _Room(connection, vendor, held, caps)
        for vendor, held in _by_vendor(add_to_totals(connection, nothing)).items()
    }
    _find_quarantined(connection, arrivals, rooms)
    for arrival in arrivals:
        rooms[arrival.vendor].take(arrival)
    _write(connection, list(rooms.values()))
    return {repeat: held for room in rooms.values() for repeat, held in room.repeats.items()}


def _find_quarantined(
    connection: Connection, arrivals: Iterable[Arrival], rooms: Mapping[str, "_Room"]
) -> None:
    """What is held of the same already. Nobody else adds to it while the totals are locked."""
    row = table_of(Quarantine).c
    query = select(row.vendor, row.digest, row.delivery_id).where(
        text(QUARANTINED), row.vendor.in_(rooms), row.digest.in_({one.digest for one in arrivals})
    )
    for one in connection.execute(query):
        rooms[one.vendor].quarantined_as[one.digest] = one.delivery_id


def add_to_totals(
    connection: Connection, changes: Mapping[tuple[str, str], Change]
) -> Sequence[Row[*tuple[Any, ...]]]:
    """Add to the totals of (vendor, kind), and lock them until the transaction ends. The new rows.

    In order of their keys, so that transactions wait for each other and never in a circle.
    """
    rows = [(*key, *changes[key]) for key in sorted(changes)]
    return connection.execute(_more(connection.dialect.name), {"rows": encode(rows)}).all()


@cache
def _more(dialect: str) -> ReturningInsert[*tuple[Any, ...]]:
    table = table_of(QuarantineTotal)
    statement = insert_rows(dialect, QuarantineTotal, TOTALS)
    statement = statement.on_conflict_do_update(
        index_elements=list(TOTALS[:2]),
        set_={name: table.c[name] + statement.excluded[name] for name in Change._fields},
    )
    return statement.returning(*(table.c[name] for name in TOTALS))


def _by_vendor(
    totals: Iterable[Row[*tuple[Any, ...]]],
) -> dict[str, dict[Kind, tuple[int, int]]]:
    held: dict[str, dict[Kind, tuple[int, int]]] = defaultdict(dict)
    for row in totals:
        held[row.vendor][Kind(row.kind)] = (row.held, row.held_bytes)
    return held


class _Stored(NamedTuple):
    delivery_id: int
    size: int
    digest: str


class _Room:
    """One vendor's quarantine while a transaction fills it."""

    def __init__(
        self,
        connection: Connection,
        vendor: str,
        held: Mapping[Kind, tuple[int, int]],
        caps: Caps,
    ) -> None:
        self.vendor = vendor
        self.kept: dict[Kind, deque[Arrival]] = {kind: deque() for kind in KINDS}
        self.unstored: list[int] = []
        """Delivery ids of rows from earlier transactions that have to go."""
        self.quarantined_as: dict[str, int] = {}
        """By digest: the delivery that is held."""
        self.repeats: dict[int, int] = {}
        self._changes: dict[Kind, Counter[str]] = {kind: Counter() for kind in KINDS}
        self._count = {kind: held[kind][0] for kind in KINDS}
        self._bytes = {kind: held[kind][1] for kind in KINDS}
        self._caps = caps
        self._stored = {kind: _oldest(connection, vendor, kind) for kind in KINDS}

    @property
    def changes(self) -> dict[tuple[str, str], Change]:
        """What this did to the totals."""
        return {(self.vendor, kind): Change(**self._changes[kind]) for kind in KINDS
                if any(self._changes[kind].values())}  # fmt: skip

    def take(self, arrival: Arrival) -> None:
        """Hold one more, unless the same is held already, or drop it."""
        if arrival.digest in self.quarantined_as:
            self.repeats[arrival.delivery_id] = self.quarantined_as[arrival.digest]
        elif self._may_quarantine(arrival) and self._make_room(arrival):
            self.quarantined_as[arrival.digest] = arrival.delivery_id
            self.kept[arrival.kind].append(arrival)
            self._add(arrival.kind, 1, arrival.size)
        else:
            self._drop(arrival.kind, arrival.size)

    def _may_quarantine(self, arrival: Arrival) -> bool:
        """Whether it fits beside what it may not push out, so that nothing goes in vain."""
        if arrival.kind is Kind.JUNK:
            share = Caps(*(cap // JUNK_SHARE for cap in self._caps))
            return self._fits((Kind.JUNK,), arrival, share) and self._fits(
                KINDS, arrival, self._caps
            )
        worth_more = KINDS[KINDS.index(arrival.kind) + 1 :]
        return self._fits(worth_more, arrival, self._caps)

    def _make_room(self, arrival: Arrival) -> bool:
        worth_less_or_as_much = KINDS[: KINDS.index(arrival.kind) + 1]
        while not self._fits(KINDS, arrival, self._caps):
            if not any(self._drop_oldest(kind) for kind in worth_less_or_as_much):
                return False  # a replay has the others in hand just now
        return True

    def _fits(self, beside: Iterable[Kind], arrival: Arrival, caps: Caps) -> bool:
        count = sum(self._count[kind] for kind in beside)
        size = sum(self._bytes[kind] for kind in beside)
        return count < caps.deliveries and size + arrival.size <= caps.bytes

    def _drop_oldest(self, kind: Kind) -> bool:
        if not self._count[kind]:
            return False
        if stored := next(self._stored[kind], None):
            delivery_id, size, digest = stored
            self.unstored.append(delivery_id)
        elif self.kept[kind]:
            oldest = self.kept[kind].popleft()
            size, digest = oldest.size, oldest.digest
        else:
            return False
        self.quarantined_as.pop(digest, None)
        self._add(kind, -1, -size)
        self._drop(kind, size)
        return True

    def _add(self, kind: Kind, count: int, size: int) -> None:
        self._count[kind] += count
        self._bytes[kind] += size
        self._changes[kind].update(held=count, held_bytes=size)

    def _drop(self, kind: Kind, size: int) -> None:
        self._changes[kind].update(dropped=1, dropped_bytes=size)


def _oldest(connection: Connection, vendor: str, kind: Kind) -> Iterator[_Stored]:
    """What is stored, oldest first.

    What a replay has locked is passed over: waiting for it here, with the totals locked, while it
    waits for the totals would never end.
    """
    row = table_of(Quarantine).c
    query = (
        select(row.delivery_id, size_of(row).label("size"), row.digest)
        .where(row.vendor == vendor, row.state == QuarantineState.QUARANTINED, row.kind == kind)
        .order_by(row.delivery_id)
        .limit(LOOK_AHEAD)
        .with_for_update(skip_locked=True)
    )
    last = 0
    while found := connection.execute(query.where(row.delivery_id > last)).all():
        for one in found:
            yield _Stored(*one)
        last = found[-1].delivery_id


def _write(connection: Connection, rooms: Sequence[_Room]) -> None:
    table = table_of(Quarantine)
    if unstored := [id_ for room in rooms for id_ in room.unstored]:
        connection.execute(delete(table).where(table.c.delivery_id.in_(unstored)))
    kept = [one for room in rooms for kind in KINDS for one in room.kept[kind]]
    if kept:
        rows = [one._asdict() | {"state": QuarantineState.QUARANTINED} for one in kept]
        connection.execute(insert(table), rows)
    changes = {key: change for room in rooms for key, change in room.changes.items()}
    if changes:
        add_to_totals(connection, changes)
