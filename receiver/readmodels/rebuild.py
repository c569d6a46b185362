"""Rebuild the read models from the events, in one transaction."""

from collections.abc import Callable, Iterator, Sequence

from sqlalchemy import Connection, Engine

from receiver.readmodels import standings
from receiver.readmodels.events import StoredEvent, events, facts_of
from receiver.readmodels.projections import clear, refold
from shared.audit import note
from shared.bulk import table_of
from shared.database import analyze, hold_write_lock
from shared.models import Event, RebuildDue
from shared.queries import rows_of

BATCH = 10_000


def rebuild(engine: Engine, on_progress: Callable[[int], None] = lambda _: None) -> int:
    """Empty the read models and fold every event into them again.

    Readers go on seeing the old tables. Receivers cannot write meanwhile: they answer 503 after a
    few seconds, and the vendors try again. `on_progress` is given
    the number of events so far. Returns that number.
    """
    with engine.connect().execution_options(immediate=True) as connection, connection.begin():
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
    for batch in _batches(connection):
        refold(connection, [fact for one in batch for fact in facts_of(one)])
        done += sum(one.payload != "" for one in batch)
        on_progress(done)
    standings.make_all(connection)
    return done


def _batches(connection: Connection) -> Iterator[Sequence[StoredEvent]]:
    id_ = table_of(Event).c.id
    query = events().limit(BATCH)
    last = 0
    while batch := rows_of(StoredEvent, connection.execute(query.where(id_ > last))):
        yield batch
        last = batch[-1].id
