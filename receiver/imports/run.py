"""Reconciles an export with the store, batch by batch. A run that was killed goes on; one that has
finished begins again, and then finds what is stored by now."""

import sqlite3
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from functools import cache
from hashlib import blake2b
from itertools import islice
from json import dumps
from operator import attrgetter
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import Connection, Engine, delete, insert, select, update
from sqlalchemy.sql.dml import ReturningInsert

from receiver.errors import ImportingError
from receiver.imports import mapping
from receiver.imports.export import Export, Row
from receiver.imports.matching import Matching
from receiver.imports.rows import Item, RowReader
from receiver.readmodels.events import StoredEvent
from receiver.replay import breathe
from receiver.store import EVENT
from shared.audit import note
from shared.bulk import Upsert, encode, insert_rows, table_of
from shared.database import hold_write_lock, write_transaction
from shared.imports import LISTED, Cause, Counts
from shared.models import Event, ImportDay, ImportFinding, ImportRun
from shared.outages import Outage
from shared.queries import imports
from shared.vendors import VendorFacts

BATCH = 1_000
"""Rows of a transaction. On SQLite receivers wait for it, about 100 ms."""

run = table_of(ImportRun)
day_table = table_of(ImportDay)
finding = table_of(ImportFinding)


class Asked(NamedTuple):
    """What is reconciled, and how. `applies`: missing events are stored."""

    matching: Matching
    reader: RowReader
    mapping_digest: str
    applies: bool
    now: datetime


def asked_of(
    file: Path, vendor: VendorFacts, mapping_file: Path, *, applies: bool
) -> tuple[Export, Asked]:
    """The export in a file, and how it is reconciled by a mapping. Raises ImportingError."""
    how = mapping.reading(mapping_file)
    export = Export(file, how.encoding, how.separator)
    meant = mapping.mapping(mapping_file, export.columns, whole=not export.is_json)
    now = datetime.now(UTC)
    matching = Matching(
        vendor.slug,
        by_nature=len(meant.key_parts()) != 1,
        within=timedelta(seconds=meant.match_within),
        timed_by_signing=vendor.timed_by_signing,
    )
    reader = RowReader(vendor.slug, file, meant, now)
    return export, Asked(matching, reader, mapping.digest(mapping_file), applies, now)


class State(NamedTuple):
    """The row of a run."""

    id: int
    position: int
    imported_at: datetime | None
    arrived: int
    missing: int
    imported: int
    differing: int
    skipped: int


class Known(NamedTuple):
    """What Repboard knows of the time of a vendor's events."""

    outages: Sequence[Outage]
    first_delivery: datetime | None

    def cause(self, at: datetime) -> Cause:
        if self.first_delivery is None or at < self.first_delivery:
            return Cause.BEFORE
        place = bisect_right(self.outages, at, key=attrgetter("begin")) - 1
        is_down = place >= 0 and at < self.outages[place].end
        return Cause.DOWN if is_down else Cause.UNKNOWN


class Found(NamedTuple):
    """An event of the export and what is stored of it."""

    item: Item
    stored: StoredEvent | None
    new: bool = False
    """Whether it is missing and was stored just now."""

    @property
    def arrived(self) -> bool:
        """Whether a delivery brought it."""
        return self.stored is not None and self.stored.delivery_id >= 0

    @property
    def erased(self) -> bool:
        """Whether its learner was erased: then no list names them again."""
        return self.stored is not None and not self.stored.payload

    @property
    def imported(self) -> bool:
        """Whether it is stored by an import, this one or an earlier one."""
        return self.new or (self.stored is not None and self.stored.delivery_id < 0)


def reconcile(
    engine: Engine,
    export: Export,
    asked: Asked,
    progress: Callable[[int], None],
    stopping: Callable[[], bool] = breathe,
) -> int:
    """Count, list and, if it `applies`, store the events of an export. Returns the ID of the run.

    `progress` gets the number of bytes read so far. Between two transactions `stopping` may pause.
    Raises ImportingError for the first row that cannot be read; what is stored by then stays.
    """
    with write_transaction(engine) as connection:
        state = _begin(connection, export, asked)
    with engine.connect() as connection:
        known = Known(*imports.known_of(connection, asked.matching.vendor, asked.now))
    audited = False
    with closing(sqlite3.connect("")) as seen:  # a file of its own that is deleted when closed
        seen.execute("CREATE TABLE seen (key BLOB PRIMARY KEY) WITHOUT ROWID")
        for rows in _behind(export.rows(), state.position, asked.reader, seen):
            items = [one for row in rows if (one := _fresh(seen, asked.reader, row))]
            with write_transaction(engine) as connection:
                hold_write_lock(connection)
                _claim(connection, state, len(rows))
                found = _stored(connection, items, state.id, asked)
                state = _counted(connection, state, found, len(rows), asked, known)
                if not audited and any(one.new for one in found):
                    audited = True
                    vendor = asked.matching.vendor
                    note(connection, "command line", "import", vendor, export.path.name)
            progress(export.read_bytes)
            stopping()
    with write_transaction(engine) as connection:
        _mine(connection, state.id, finished_at=datetime.now(UTC))
    return state.id


def _begin(connection: Connection, export: Export, asked: Asked) -> State:
    """The run of these files: a new one, one that goes on, or one that begins again."""
    content = {
        "vendor": asked.matching.vendor,
        "export_digest": export.digest(),
        "mapping_digest": asked.mapping_digest,
    }
    hold_write_lock(connection)
    row = connection.execute(select(run).filter_by(**content)).mappings().one_or_none()
    begun = {"applies": asked.applies, "started_at": asked.now, "finished_at": None, "position": 0}
    zero = dict.fromkeys(Counts._fields, 0)
    if row is None:
        values = content | begun | zero | {"file_name": export.path.name}
        id_ = connection.scalar(insert(run).values(values).returning(run.c.id))
    else:
        id_ = row["id"]
        if row["finished_at"] or row["applies"] != asked.applies:
            for table in (day_table, finding):
                connection.execute(delete(table).where(table.c.run_id == id_))
            _mine(connection, id_, **begun, **zero)
    columns = [run.c[name] for name in State._fields]
    return State._make(connection.execute(select(*columns).where(run.c.id == id_)).one())


def _mine(connection: Connection, id_: int, **values: Any) -> None:
    connection.execute(update(run).where(run.c.id == id_).values(values))


def _behind(
    rows: Iterator[Row], position: int, reader: RowReader, seen: sqlite3.Connection
) -> Iterator[Sequence[Row]]:
    """The rows after `position`, in batches. The ones before are only noted as seen."""
    for row in islice(rows, position):
        _fresh(seen, reader, row)
    while batch := list(islice(rows, BATCH)):
        yield batch


def _fresh(seen: sqlite3.Connection, reader: RowReader, row: Row) -> Item | None:
    """The event of a row, if it has one that no earlier row had."""
    item = reader.read(row)
    if item is None:
        return None
    key = blake2b(item.key.encode("utf-8", "surrogatepass"), digest_size=16).digest()
    return item if seen.execute("INSERT OR IGNORE INTO seen VALUES (?)", (key,)).rowcount else None


def _claim(connection: Connection, state: State, rows: int) -> None:
    """Move the position of the run; also the first write, which gives the transaction its number
    before it draws IDs of events (`receiver.readmodels.follower`)."""
    mine = update(run).where(run.c.id == state.id, run.c.position == state.position)
    if not connection.execute(mine.values(position=state.position + rows)).rowcount:
        raise ImportingError("Another process reconciles the same export. Wait until it has ended.")


def _stored(
    connection: Connection, items: Sequence[Item], run_id: int, asked: Asked
) -> list[Found]:
    """Each item with its stored event, and missing ones stored if it applies."""
    stored = asked.matching.stored(connection, items) if items else {}
    missing = [one for one in items if one.key not in stored]
    new = _take(connection, missing, run_id, asked) if asked.applies and missing else frozenset()
    if late := [one for one in missing if asked.applies and one.key not in new]:
        stored = {**stored, **asked.matching.stored(connection, late)}  # arrived just now
    return [Found(one, stored.get(one.key), one.key in new) for one in items]


def _take(
    connection: Connection, items: Sequence[Item], run_id: int, asked: Asked
) -> frozenset[str]:
    """Store missing events. Unique indexes decide; returns the keys of the new ones."""
    vendor = asked.matching.vendor
    rows = [
        (vendor, one.key, one.digest, one.type, None, one.user_id, one.at, asked.now, one.payload,
         -run_id)
        for one in sorted(items, key=attrgetter("key"))
    ]  # fmt: skip
    statement = _new_events(connection.dialect.name)
    return frozenset(connection.scalars(statement, {"rows": encode(rows)}))


@cache
def _new_events(dialect: str) -> ReturningInsert[tuple[str]]:
    statement = insert_rows(dialect, Event, EVENT).on_conflict_do_nothing()
    return statement.returning(table_of(Event).c.event_key)


def _counted(
    connection: Connection,
    state: State,
    found: Sequence[Found],
    rows: int,
    asked: Asked,
    known: Known,
) -> State:
    """The run after a batch; its days, findings and counts are written."""
    causes = _causes(connection, found, asked, known)
    differing = [(one, differ) for one in found if one.stored
                 and (differ := asked.matching.differences(one.item, one.stored))]  # fmt: skip
    missing = [one for one in found if not one.arrived]
    _count_days(connection, state.id, found, causes)
    listed = [
        *(
            _listed(state.id, asked, one, "missing", causes[one.item.key])
            for one in missing[: max(0, LISTED - state.missing)]
            if not one.erased
        ),
        *(
            _listed(state.id, asked, one, "differing", None, dumps(differ, ensure_ascii=False))
            for one, differ in differing[: max(0, LISTED - state.differing)]
        ),
    ]
    if listed:
        statement = _new_findings(connection.dialect.name)
        connection.execute(statement, {"rows": encode(listed)})
    new = any(one.new for one in found)
    after = state._replace(
        position=state.position + rows,
        imported_at=state.imported_at or (asked.now if new else None),
        arrived=state.arrived + len(found) - len(missing),
        missing=state.missing + len(missing),
        imported=state.imported + sum(one.imported for one in missing),
        differing=state.differing + len(differing),
        skipped=state.skipped + rows - len(found),
    )
    _mine(connection, state.id, **{k: v for k, v in after._asdict().items() if k != "id"})
    return after


def _causes(
    connection: Connection, found: Sequence[Found], asked: Asked, known: Known
) -> Mapping[str, Cause]:
    """Why each missing event is missing, by its key."""
    missing = [one.item for one in found if not one.arrived]
    keys = [one.key for one in missing]
    refused = set(imports.refused(connection, asked.matching.vendor, keys)) if keys else set()
    return {one.key: Cause.REFUSED if one.key in refused else known.cause(one.at)
            for one in missing}  # fmt: skip


def _count_days(
    connection: Connection, run_id: int, found: Sequence[Found], causes: Mapping[str, Cause]
) -> None:
    counts: Counter[tuple[date, str]] = Counter(
        (one.item.at.date(), causes.get(one.item.key, Cause.ARRIVED)) for one in found
    )
    rows = [(run_id, day, cause, count) for (day, cause), count in sorted(counts.items())]
    if rows:
        connection.execute(_more_of_day(connection.dialect.name), {"rows": encode(rows)})


@cache
def _more_of_day(dialect: str) -> Upsert:
    statement = insert_rows(dialect, ImportDay, ("run_id", "day", "cause", "events"))
    more = day_table.c.events + statement.excluded.events
    return statement.on_conflict_do_update(
        index_elements=["run_id", "day", "cause"], set_={"events": more}
    )


LISTED_COLUMNS = ("run_id", "kind", "vendor", "line", "event_key", "type", "user_id",
                  "occurred_at", "cause", "detail")  # fmt: skip


@cache
def _new_findings(dialect: str) -> Upsert:
    return insert_rows(dialect, ImportFinding, LISTED_COLUMNS)


def _listed(
    run_id: int, asked: Asked, one: Found, kind: str, cause: str | None, detail: str | None = None
) -> tuple[Any, ...]:
    item = one.item
    return (run_id, kind, asked.matching.vendor, item.line, item.key, item.type, item.user_id,
            item.at, cause, detail)  # fmt: skip
