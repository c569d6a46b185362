"""Quarantine: the bodies of refused deliveries, within caps. What is worth least goes first.

Anyone can send junk, so junk gets a tenth of the room and pushes out nothing. What the vendor may
have sent makes room for itself: first junk goes, then the oldest of its own kind. Every drop is
counted. Repeats of one delivery are stored once. The counts are in `quarantine_total`, so a flood
never makes the receiver count the table.
"""

from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, delete, func, insert, select, text
from sqlalchemy.sql.dml import ReturningInsert

from shared.bulk import Columns, encode, insert_rows, table_of
from shared.models import QUARANTINED, Quarantine, QuarantineTotal
from shared.outcomes import Kind, QuarantineState
from shared.queries import rows_of

JUNK_SHARE = 10
"""Junk may use one part in this many of each cap."""
LOOK_AHEAD = 16
KINDS = tuple(Kind)


class Caps(NamedTuple):
    """The limits for each vendor: deliveries, and bytes of their bodies and headers."""

    deliveries: int = 20_000
    bytes: int = 268_435_456


class Arrival(NamedTuple):
    """A delivery for quarantine. `headers` is ASCII JSON of the headers to store."""

    delivery_id: int
    vendor: str
    received_at: datetime
    kind: Kind
    headers: str
    body: bytes
    digest: str

    @property
    def size(self) -> int:
        """Bytes, counted as `size_of` does for a stored row."""
        return len(self.headers) + len(self.body)


class Total(NamedTuple):
    """A row of `quarantine_total`."""

    vendor: str
    kind: str
    held: int
    held_bytes: int
    dropped: int
    dropped_bytes: int


class Change(NamedTuple):
    """What is added to a row of `quarantine_total`."""

    held: int = 0
    held_bytes: int = 0
    dropped: int = 0
    dropped_bytes: int = 0


class _Removed(NamedTuple):
    delivery_id: int
    vendor: str
    kind: str
    state: str
    size: int


class _Repeated(NamedTuple):
    """A quarantined delivery that has the digest of one that arrives."""

    vendor: str
    digest: str
    delivery_id: int


class _Oldest(NamedTuple):
    delivery_id: int
    size: int
    digest: str | None


def size_of(row: Columns) -> ColumnElement[int]:
    """The bytes of a row of `quarantine`. Headers are ASCII, so neither store reads the body."""
    size: ColumnElement[int] = func.length(row.body) + func.length(row.headers)
    return size


def keep(connection: Connection, arrivals: Sequence[Arrival], caps: Caps) -> dict[int, int]:
    """Store what fits, drop what has to make room, and count both. Returns the repeats: delivery ID
    to the ID of the delivery that has the same body in quarantine.

    Call it late in a transaction: other receivers with an arrival of the same vendor wait for it.
    """
    if not arrivals:
        return {}
    nothing: dict[tuple[str, str], Change] = {
        (one.vendor, kind): Change() for one in arrivals for kind in KINDS
    }
    rooms = {
        vendor: _Room(connection, vendor, counts, caps)
        for vendor, counts in _by_vendor(add_to_totals(connection, nothing)).items()
    }
    _find_repeated(connection, arrivals, rooms)
    for arrival in arrivals:
        rooms[arrival.vendor].take(arrival)
    _write(connection, list(rooms.values()))
    return {id_: first for room in rooms.values() for id_, first in room.repeats.items()}


def remove(connection: Connection, delivery_ids: Sequence[int]) -> list[int]:
    """Remove the bodies of these deliveries and subtract them from the totals. Returns the IDs of
    those removed. A body that a replay has locked stays: it waits for the totals, so to wait for it
    here would never end.

    The totals are locked first, as `keep` does: a receiver must not find a repeat of a body that is
    being removed.
    """
    total = table_of(QuarantineTotal)
    ordered = select(total.c.held).order_by(total.c.vendor, total.c.kind)
    connection.execute(ordered.with_for_update())
    row = table_of(Quarantine).c
    columns = (row.delivery_id, row.vendor, row.kind, row.state, size_of(row).label("size"))
    unlocked = (
        select(*columns).where(row.delivery_id.in_(delivery_ids)).with_for_update(skip_locked=True)
    )
    removed = rows_of(_Removed, connection.execute(unlocked))
    ids = [one.delivery_id for one in removed]
    if ids:
        connection.execute(delete(table_of(Quarantine)).where(row.delivery_id.in_(ids)))
    still = (one for one in removed if one.state == QuarantineState.QUARANTINED)
    subtract_from_totals(connection, [(one.vendor, one.kind, one.size) for one in still])
    return ids


def subtract_from_totals(connection: Connection, bodies: Sequence[tuple[str, str, int]]) -> None:
    """Subtract bodies, each (vendor, kind, size in bytes), from the totals."""
    counts, sizes = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    for vendor, kind, size in bodies:
        counts[vendor, kind] += 1
        sizes[vendor, kind] += size
    if counts:
        add_to_totals(connection, {key: Change(-counts[key], -sizes[key]) for key in counts})


def add_to_totals(
    connection: Connection, changes: Mapping[tuple[str, str], Change]
) -> Sequence[Total]:
    """Add to the totals by (vendor, kind), and lock them until the transaction ends. Returns the
    new rows.

    They are locked in the order of their keys, so that two transactions never deadlock.
    """
    rows = [(*key, *changes[key]) for key in sorted(changes)]
    statement = _add_to_totals(connection.dialect.name)
    return rows_of(Total, connection.execute(statement, {"rows": encode(rows)}))


@cache
def _add_to_totals(dialect: str) -> ReturningInsert[*tuple[Any, ...]]:
    table = table_of(QuarantineTotal)
    statement = insert_rows(dialect, QuarantineTotal, Total._fields)
    statement = statement.on_conflict_do_update(
        index_elements=["vendor", "kind"],
        set_={name: table.c[name] + statement.excluded[name] for name in Change._fields},
    )
    return statement.returning(*(table.c[name] for name in Total._fields))


def _by_vendor(totals: Iterable[Total]) -> dict[str, dict[Kind, tuple[int, int]]]:
    counts: dict[str, dict[Kind, tuple[int, int]]] = defaultdict(dict)
    for row in totals:
        counts[row.vendor][Kind(row.kind)] = (row.held, row.held_bytes)
    return counts


def _find_repeated(
    connection: Connection, arrivals: Iterable[Arrival], rooms: Mapping[str, "_Room"]
) -> None:
    """Find bodies with the same digest. No other receiver adds one while the totals are locked."""
    row = table_of(Quarantine).c
    query = select(row.vendor, row.digest, row.delivery_id).where(
        text(QUARANTINED), row.vendor.in_(rooms), row.digest.in_({one.digest for one in arrivals})
    )
    for one in rows_of(_Repeated, connection.execute(query)):
        rooms[one.vendor].quarantined_as[one.digest] = one.delivery_id


class _Room:
    """One vendor's quarantine while a transaction fills it."""

    def __init__(
        self,
        connection: Connection,
        vendor: str,
        counts: Mapping[Kind, tuple[int, int]],
        caps: Caps,
    ) -> None:
        self.vendor = vendor
        self.kept: dict[Kind, deque[Arrival]] = {kind: deque() for kind in KINDS}
        self.dropped: list[int] = []
        """Delivery IDs of stored rows to remove."""
        self.quarantined_as: dict[str, int] = {}
        """Digest to the ID of the delivery in quarantine."""
        self.repeats: dict[int, int] = {}
        self._changes: dict[Kind, Counter[str]] = {kind: Counter() for kind in KINDS}
        self._count = {kind: counts[kind][0] for kind in KINDS}
        self._bytes = {kind: counts[kind][1] for kind in KINDS}
        self._caps = caps
        self._oldest = {kind: _oldest(connection, vendor, kind) for kind in KINDS}

    @property
    def changes(self) -> dict[tuple[str, str], Change]:
        """The changes to the totals."""
        return {(self.vendor, kind): Change(**self._changes[kind]) for kind in KINDS
                if any(self._changes[kind].values())}  # fmt: skip

    def take(self, arrival: Arrival) -> None:
        """Add one, note it as a repeat, or drop it."""
        if arrival.digest in self.quarantined_as:
            self.repeats[arrival.delivery_id] = self.quarantined_as[arrival.digest]
        elif self._may_enter(arrival) and self._make_room(arrival):
            self.quarantined_as[arrival.digest] = arrival.delivery_id
            self.kept[arrival.kind].append(arrival)
            self._count_kept(arrival.kind, 1, arrival.size)
        else:
            self._count_dropped(arrival.kind, arrival.size)

    def _may_enter(self, arrival: Arrival) -> bool:
        """Whether it fits beside what it may not push out. If not, nothing is pushed out for it."""
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
                return False  # a replay has locked the others
        return True

    def _fits(self, beside: Iterable[Kind], arrival: Arrival, caps: Caps) -> bool:
        count = sum(self._count[kind] for kind in beside)
        size = sum(self._bytes[kind] for kind in beside)
        return count < caps.deliveries and size + arrival.size <= caps.bytes

    def _drop_oldest(self, kind: Kind) -> bool:
        if not self._count[kind]:
            return False
        if stored := next(self._oldest[kind], None):
            self.dropped.append(stored.delivery_id)
            size, digest = stored.size, stored.digest
        elif self.kept[kind]:
            oldest = self.kept[kind].popleft()
            size, digest = oldest.size, oldest.digest
        else:
            return False
        self.quarantined_as.pop(digest or "", None)
        self._count_kept(kind, -1, -size)
        self._count_dropped(kind, size)
        return True

    def _count_kept(self, kind: Kind, count: int, size: int) -> None:
        self._count[kind] += count
        self._bytes[kind] += size
        self._changes[kind].update(held=count, held_bytes=size)

    def _count_dropped(self, kind: Kind, size: int) -> None:
        self._changes[kind].update(dropped=1, dropped_bytes=size)


def _oldest(connection: Connection, vendor: str, kind: Kind) -> Iterator[_Oldest]:
    """The stored rows, oldest first.

    Skips what a replay has locked: it waits for the totals, which are locked here, so to wait for
    it would never end.
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
    while found := rows_of(_Oldest, connection.execute(query.where(row.delivery_id > last))):
        yield from found
        last = found[-1].delivery_id


def _write(connection: Connection, rooms: Sequence[_Room]) -> None:
    table = table_of(Quarantine)
    if dropped := [id_ for room in rooms for id_ in room.dropped]:
        connection.execute(delete(table).where(table.c.delivery_id.in_(dropped)))
    kept = [one for room in rooms for kind in KINDS for one in room.kept[kind]]
    if kept:
        rows = [one._asdict() | {"state": QuarantineState.QUARANTINED} for one in kept]
        connection.execute(insert(table), rows)
    changes = {key: change for room in rooms for key, change in room.changes.items()}
    if changes:
        add_to_totals(connection, changes)
