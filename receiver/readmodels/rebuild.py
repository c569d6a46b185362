"""Rebuild the read models from the events, while deliveries are accepted.

On Postgres it is one transaction: receivers do not need what it locks. SQLite has one writer, so
there the read models are built in a file of their own, beside the store, and then copied into it in
one transaction.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeAlias

from sqlalchemy import Connection, Engine, func, insert, select, update

from receiver.errors import first_line, is_of_the_store, is_passing
from receiver.readmodels import standings
from receiver.readmodels.events import StoredEvent, events, facts_of
from receiver.readmodels.follower import MAX_BATCH, set_aside
from receiver.readmodels.projections import READ_MODELS, clear, project, refold
from shared.audit import note
from shared.bulk import table_of
from shared.database import analyze, hold_write_lock, open_engine, store_time, write_transaction
from shared.facts import Fact
from shared.models import Checkpoint, Erased, Event, RebuildDue, Table, UnfoldableEvent
from shared.queries import rows_of
from shared.sqlite_file import create_file, path_of

BATCH = 10_000
BESIDE = "beside"
"""The name under which SQLite has the other file while it copies."""
MADE = "standings"

checkpoint = table_of(Checkpoint)
COPIED = [*map(table_of, READ_MODELS), table_of(UnfoldableEvent)]


def rebuild(engine: Engine, on_progress: Callable[[int], None] = lambda _: None) -> int:
    """Fold every event into new read models, which then take the place of the old ones.

    Readers see the old ones or the new ones. Receivers go on; on SQLite they wait while the result
    is copied. A rebuild that was interrupted continues on SQLite, and starts again on Postgres.
    `on_progress` is given the number of events so far. Returns that number.
    """
    if engine.dialect.name == "sqlite":
        done = _beside(engine, on_progress)
    else:
        with write_transaction(engine) as connection:
            hold_write_lock(connection)
            done = fold_all(connection, on_progress)
            _conclude(connection, done)
    analyze(engine)
    return done


def _conclude(connection: Connection, done: int) -> None:
    connection.execute(table_of(RebuildDue).delete())
    note(connection, "command line", "rebuild", None, f"{done} events")


def fold_all(connection: Connection, on_progress: Callable[[int], None] = lambda _: None) -> int:
    """The same in a transaction of the caller's, who holds the write lock."""
    done = 0
    clear(connection)
    connection.execute(table_of(UnfoldableEvent).delete())
    for batch in _batches(connection, 0, BATCH):
        _fold(connection, batch)
        done += _count(batch)
        on_progress(done)
    standings.make_all(connection)
    _note_change(connection)
    return done


def _note_change(connection: Connection) -> None:
    connection.execute(update(checkpoint).values(folds=checkpoint.c.folds + 1))


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


def _batches(connection: Connection, last: int, size: int) -> Iterator[Sequence[StoredEvent]]:
    id_ = table_of(Event).c.id
    query = events().limit(size)
    while batch := rows_of(StoredEvent, connection.execute(query.where(id_ > last))):
        yield batch
        last = batch[-1].id


# Beside a SQLite store


def discard_unfinished(engine: Engine) -> None:
    """Remove what an interrupted rebuild has left beside a SQLite store."""
    if engine.dialect.name == "sqlite":
        path = _path(engine)
        for name in (path, Path(f"{path}-journal")):
            name.unlink(missing_ok=True)


def _path(engine: Engine) -> Path:
    return Path(f"{path_of(engine.url)}-rebuild")


def _beside(engine: Engine, on_progress: Callable[[int], None]) -> int:
    done = None
    while done is None:
        with engine.connect() as store:
            erased = _erased(store)
        beside = _open(engine, erased)
        try:
            _build(engine, beside, on_progress)
        finally:
            beside.dispose()
        done = _take_over(engine, erased)
        discard_unfinished(engine)
    return done


def _erased(connection: Connection) -> int:
    """The last erasure: what was folded before it may name the person."""
    return connection.scalar(select(func.max(table_of(Erased).c.id))) or 0


def _open(engine: Engine, erased: int) -> Engine:
    """The file beside the store, with its own checkpoint. One from before an erasure is removed."""
    beside = open_engine(f"sqlite:///{_path(engine)}")
    if _path(engine).exists():
        with beside.connect() as connection:
            started = connection.scalar(select(checkpoint.c.folds))
        if started == erased:
            return beside
        beside.dispose()
        discard_unfinished(engine)
    create_file(beside.url)
    with beside.begin() as connection:
        Table.metadata.create_all(connection)
        connection.execute(insert(checkpoint).values(id=1, event_id=0, newest_id=0, folds=erased))
    return beside


def _build(engine: Engine, beside: Engine, on_progress: Callable[[int], None]) -> None:
    """Fold all events of the store into the other file, a batch in each transaction."""
    with beside.connect() as connection:
        row = connection.execute(select(checkpoint)).one()
    if row.holder == MADE:
        return
    done = row.newest_id
    with engine.connect() as store:
        for batch in _batches(store, row.event_id, BATCH):
            done += _count(batch)
            store.rollback()  # a long reading transaction would keep SQLite's log growing
            with beside.begin() as connection:
                _fold(connection, batch)
                reached = {"event_id": batch[-1].id, "newest_id": done}
                connection.execute(update(checkpoint).values(reached))
            on_progress(done)
    with beside.begin() as connection:
        standings.make_all(connection)
        connection.execute(update(checkpoint).values(holder=MADE))


def _take_over(engine: Engine, erased: int) -> int | None:
    """Copy the read models into the store, and fold what has arrived since. None, and nothing is
    changed, if a person was erased meanwhile."""
    with engine.connect().execution_options(immediate=True) as connection:
        connection.connection.cursor().execute(f"ATTACH ? AS {BESIDE}", (str(_path(engine)),))
        try:
            with connection.begin():
                if _erased(connection) != erased:
                    return None
                return _copy(connection)
        finally:
            connection.connection.cursor().execute(f"DETACH {BESIDE}")


def _copy(connection: Connection) -> int:
    for table in COPIED:
        names = ", ".join(f'"{column.name}"' for column in table.columns)
        connection.execute(table.delete())
        connection.exec_driver_sql(
            f"INSERT INTO main.{table.name} ({names}) "  # noqa: S608 (names of our own tables)
            f"SELECT {names} FROM {BESIDE}.{table.name}"
        )
    query = f"SELECT event_id, newest_id FROM {BESIDE}.checkpoint"  # noqa: S608
    last, done = connection.exec_driver_sql(query).one()
    for batch in _batches(connection, last, MAX_BATCH):
        _fold(connection, batch, project)
        done += _count(batch)
    _note_change(connection)
    _conclude(connection, done)
    return int(done)
