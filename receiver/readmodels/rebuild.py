"""Rebuild the read models from the events, while deliveries are accepted.

New read models are made beside the old ones, a batch of events in each transaction: on SQLite in a
file of its own, as a file has one writer, on Postgres in a schema of its own. At the end the
follower pauses, so that the old ones stay as they are. Their rows that differ from the new ones are
found, and replaced in one transaction.
"""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple, TypeAlias

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Engine,
    MetaData,
    Table as SqlTable,
    Text,
    func,
    insert,
    inspect,
    select,
    update,
)
from sqlalchemy.exc import SQLAlchemyError

from receiver.errors import first_line, is_of_the_store, is_passing
from receiver.readmodels import changes
from receiver.readmodels.events import StoredEvent, events, facts_of
from receiver.readmodels.follower import MAX_BATCH, Pause, note_change, paused, set_aside
from receiver.readmodels.projections import READ_MODELS, clear, finish, project, refold
from shared.audit import note
from shared.bulk import table_of
from shared.database import (
    analyze,
    hold_write_lock,
    open_engine,
    schema_version,
    store_time,
    write_transaction,
)
from shared.facts import Fact
from shared.models import Checkpoint, Erased, Event, RebuildDue, Table, UnfoldableEvent
from shared.queries import row_of, rows_of
from shared.sqlite_file import create_file, path_of
from shared.store_errors import StoreError

BATCH = 10_000
BESIDE = "repboard_rebuild"
"""The schema with the new read models. SQLite has the other file under this name while it
compares and replaces."""

checkpoint = table_of(Checkpoint)
REPLACED = [*map(table_of, READ_MODELS), table_of(UnfoldableEvent)]
progress = SqlTable(
    "rebuild_progress",
    MetaData(),
    Column("schema", Text, nullable=False),
    Column("erased", BigInteger, nullable=False),
    Column("event_id", BigInteger, nullable=False),
    Column("events", BigInteger, nullable=False),
    Column("complete", Boolean, nullable=False),
)
"""Beside the new read models: for which schema and after which erasure they are made, up to which
event, and how many that are; one row."""


class Progress(NamedTuple):
    """The row of `rebuild_progress`."""

    schema: str
    erased: int
    event_id: int
    events: int
    complete: bool

    def continues(self, wanted: "Progress") -> bool:
        """Whether a rebuild that was interrupted here is still of use. A new schema may read events
        differently, and what was folded before an erasure may name the person."""
        return (self.schema, self.erased) == (wanted.schema, wanted.erased)


def rebuild(engine: Engine, on_progress: Callable[[int], None] = lambda _: None) -> int:
    """Fold every event into new read models, which then take the place of the old ones.

    Readers see the old ones or the new ones. Deliveries are accepted meanwhile; on SQLite they wait
    while rows that differ are replaced. A rebuild that was interrupted continues. `on_progress` is
    given the number of events so far. Returns that number.

    Raises StoreError if another rebuild runs.
    """
    done = None
    while done is None:
        with engine.connect() as store:
            begun = _begun(store)
        try:
            done = _beside(engine, begun, on_progress)
        except SQLAlchemyError:
            with engine.connect() as store:
                if _begun(store) == begun:
                    raise
    with write_transaction(engine) as connection:
        discard_unfinished(connection)
    analyze(engine)
    return done


def fold_all(connection: Connection) -> None:
    """The same in a transaction of the caller's, who holds the write lock."""
    clear(connection)
    connection.execute(table_of(UnfoldableEvent).delete())
    last = 0
    while batch := _next(connection, last, BATCH):
        _fold(connection, batch)
        last = batch[-1].id
    finish(connection)
    note_change(connection)


def _count(batch: Sequence[StoredEvent]) -> int:
    return sum(one.payload != "" for one in batch)  # an erased one says nothing


Fold: TypeAlias = Callable[[Connection, Iterable[Fact]], None]


def _fold(connection: Connection, batch: Sequence[StoredEvent], fold: Fold = refold) -> None:
    """Fold events, and set aside those that cannot be."""
    try:
        with connection.begin_nested():
            fold(connection, [fact for one in batch for fact in facts_of(one)])
    except Exception as error:
        if is_of_the_store(error) or is_passing(error):
            raise
        if len(batch) == 1:
            set_aside(connection, {batch[0].id: first_line(error)}, store_time(connection))
            return
        half = len(batch) // 2
        _fold(connection, batch[:half], fold)
        _fold(connection, batch[half:], fold)


def _next(
    connection: Connection, last: int, size: int, until: int | None = None
) -> Sequence[StoredEvent]:
    """Events after `last`, up to `until`."""
    id_ = table_of(Event).c.id
    query = events().where(id_ > last).limit(size)
    if until is not None:
        query = query.where(id_ <= until)
    return rows_of(StoredEvent, connection.execute(query))


# Beside the store


def discard_unfinished(connection: Connection) -> None:
    """Remove what an interrupted rebuild has left, in the caller's transaction on Postgres."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"DROP SCHEMA IF EXISTS {BESIDE} CASCADE")
        return
    path = _path(connection.engine)
    for name in (path, Path(f"{path}-journal")):
        name.unlink(missing_ok=True)


def _path(engine: Engine) -> Path:
    return Path(f"{path_of(engine.url)}-rebuild")


def _begun(connection: Connection) -> Progress:
    """The progress of a rebuild that begins now."""
    erased = connection.scalar(select(func.max(table_of(Erased).c.id))) or 0
    return Progress(schema_version(connection), erased, 0, 0, complete=False)


def _beside(engine: Engine, begun: Progress, on_progress: Callable[[int], None]) -> int | None:
    """Make new read models and have them take the place of the old ones. None if that has to begin
    again."""
    beside = _open(engine, begun)
    try:
        _build(engine, beside, on_progress)
    finally:
        beside.dispose()
    return _take_over(engine, begun)


def _open(engine: Engine, begun: Progress) -> Engine:
    """What a rebuild has left, if it can go on from there. Otherwise empty tables."""
    if engine.dialect.name == "postgresql":
        beside = open_engine(engine.url.render_as_string(hide_password=False), schema=BESIDE)
    else:
        beside = open_engine(f"sqlite:///{_path(engine)}")
    found = _found(engine, beside)
    if found is None or not found.continues(begun):
        beside.dispose()
        with write_transaction(engine) as connection:
            discard_unfinished(connection)
            if engine.dialect.name == "postgresql":
                connection.exec_driver_sql(f"CREATE SCHEMA {BESIDE}")
        if engine.dialect.name == "sqlite":
            create_file(beside.url)
        with beside.begin() as connection:
            Table.metadata.create_all(connection, REPLACED)
            progress.create(connection)
            connection.execute(insert(progress).values(begun._asdict()))
    return beside


def _found(engine: Engine, beside: Engine) -> Progress | None:
    if engine.dialect.name == "sqlite" and not _path(engine).exists():
        return None
    with beside.connect() as connection:
        if not inspect(connection).has_table(progress.name):
            return None
        return row_of(Progress, connection.execute(select(progress)))


def _build(engine: Engine, beside: Engine, on_progress: Callable[[int], None]) -> None:
    """Fold the events of the store beside it, a batch in each transaction, until few are left."""
    at = _progress(beside)
    while True:
        with engine.connect() as store:
            size = MAX_BATCH if at.complete else BATCH
            batch = _next(store, at.event_id, size, _settled(store))
        if at.complete and len(batch) < size:
            return
        last = batch[-1].id if batch else at.event_id
        complete = at.complete or not batch
        after = at._replace(event_id=last, events=at.events + _count(batch), complete=complete)
        with write_transaction(beside) as connection:
            _advance(connection, at, after)
            if not batch:
                finish(connection)
            _fold(connection, batch, project if at.complete else refold)
        at = after
        if batch:
            on_progress(at.events)


def _progress(beside: Engine) -> Progress:
    with beside.connect() as connection:
        return Progress._make(connection.execute(select(progress)).one())


def _advance(connection: Connection, at: Progress, after: Progress) -> None:
    """Raises StoreError if the progress is not `at`: another rebuild has changed it."""
    mine = (progress.c.event_id == at.event_id) & (progress.c.complete == at.complete)
    if not connection.execute(update(progress).where(mine).values(after._asdict())).rowcount:
        raise StoreError("Another rebuild runs. Wait until it is complete.")


def _settled(connection: Connection) -> int:
    """The ID up to which no event can appear any more. On Postgres transactions do not commit in
    the order of their IDs; the follower knows how far they have."""
    if connection.dialect.name == "sqlite":
        return connection.scalar(select(func.max(table_of(Event).c.id))) or 0
    return connection.scalar(select(checkpoint.c.event_id)) or 0


def _take_over(engine: Engine, begun: Progress) -> int | None:
    """Replace what differs in the read models of the store. None, and nothing is changed, if a
    person was erased meanwhile, or if a follower has worked although it was to pause."""
    with paused(engine) as pause, engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            return _replace(connection, begun, pause)
        connection.connection.cursor().execute(f"ATTACH ? AS {BESIDE}", (str(_path(engine)),))
        try:
            return _replace(connection, begun, pause)
        finally:
            connection.connection.cursor().execute(f"DETACH {BESIDE}")


def _replace(connection: Connection, begun: Progress, pause: Pause) -> int | None:
    for table in REPLACED:
        pause.extend()
        with connection.begin():
            changes.find(connection, table, BESIDE)
    with connection.execution_options(immediate=True).begin():
        hold_write_lock(connection)
        if not begun.continues(_begun(connection)) or not pause.holds(connection):
            return None
        for table in REPLACED:
            changes.take(connection, table, BESIDE)
        done = _fold_rest(connection, pause.newest_id)
        note_change(connection)
        connection.execute(table_of(RebuildDue).delete())
        note(connection, "command line", "rebuild", None, f"{done} events")
        return done


def _fold_rest(connection: Connection, newest_id: int) -> int:
    """Fold what the store had in its read models and the new ones do not have yet. What has arrived
    since the pause began is left to the follower. Returns how many events the read models have."""
    made = progress.to_metadata(MetaData(), schema=BESIDE)
    last, done = connection.execute(select(made.c.event_id, made.c.events)).one()
    while batch := _next(connection, last, MAX_BATCH, newest_id):
        _fold(connection, batch, project)
        done += _count(batch)
        last = batch[-1].id
    return int(done)
