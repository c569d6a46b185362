"""Rebuild the read models from the events, in one transaction."""

from collections.abc import Callable, Iterator, Sequence

from sqlalchemy import Connection, Engine, update

from receiver.errors import first_line, is_of_the_store, is_passing
from receiver.readmodels import standings
from receiver.readmodels.events import StoredEvent, events, facts_of
from receiver.readmodels.follower import set_aside
from receiver.readmodels.projections import clear, refold
from shared.audit import note
from shared.bulk import table_of
from shared.database import analyze, hold_write_lock, store_time, write_transaction
from shared.models import Checkpoint, Event, RebuildDue, UnfoldableEvent
from shared.queries import rows_of

BATCH = 10_000


def rebuild(engine: Engine, on_progress: Callable[[int], None] = lambda _: None) -> int:
    """Empty the read models and fold every event into them again.

    Readers go on seeing the old tables. On Postgres receivers go on, and the follower waits. On
    SQLite receivers cannot write meanwhile: they answer 503 after a few seconds, and the vendors
    try again. `on_progress` is given the number of events so far. Returns that number.
    """
    with write_transaction(engine) as connection:
        hold_write_lock(connection)
        done = fold_all(connection, on_progress)
        connection.execute(table_of(RebuildDue).delete())
        note(connection, "command line", "rebuild", None, f"{done} events")
    analyze(engine)
    return done


def fold_all(connection: Connection, on_progress: Callable[[int], None] = lambda _: None) -> int:
    """The same in a transaction of the caller's, who holds the write lock."""
    done = 0
    clear(connection)
    connection.execute(table_of(UnfoldableEvent).delete())
    for batch in _batches(connection):
        _fold(connection, batch)
        done += sum(one.payload != "" for one in batch)
        on_progress(done)
    standings.make_all(connection)
    changed = table_of(Checkpoint)
    connection.execute(update(changed).values(folds=changed.c.folds + 1))
    return done


def _fold(connection: Connection, batch: Sequence[StoredEvent]) -> None:
    """Fold events, and set aside those that cannot be."""
    try:
        with connection.begin_nested():
            refold(connection, [fact for one in batch for fact in facts_of(one)])
    except Exception as error:
        if is_of_the_store(error) or is_passing(error):
            raise
        if len(batch) == 1:
            set_aside(connection, {batch[0].id: first_line(error)}, store_time(connection))
            return
        half = len(batch) // 2
        _fold(connection, batch[:half])
        _fold(connection, batch[half:])


def _batches(connection: Connection) -> Iterator[Sequence[StoredEvent]]:
    id_ = table_of(Event).c.id
    query = events().limit(BATCH)
    last = 0
    while batch := rows_of(StoredEvent, connection.execute(query.where(id_ > last))):
        yield batch
        last = batch[-1].id
