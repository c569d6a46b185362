"""Rebuild the read models from the events, in one transaction."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import structlog
from sqlalchemy import Connection, Engine, Row, select

from receiver.readmodels import standings
from receiver.readmodels.projections import clear, refold
from receiver.vendors import adapter_of
from receiver.vendors.base import KeptEvent, Unreadable
from receiver.vendors.fields import by_arrival
from shared.audit import note
from shared.bulk import table_of
from shared.database import analyze, hold_write_lock
from shared.facts import Fact
from shared.models import Event, RebuildDue

BATCH = 10_000

log = structlog.get_logger()


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
    for events in _batches(connection):
        refold(connection, [fact for event in events for fact in facts_of(event)])
        done += len(events)
        on_progress(done)
    standings.make_all(connection)
    return done


def _batches(connection: Connection) -> Iterator[Sequence[Row[*tuple[Any, ...]]]]:
    event = table_of(Event).c
    columns = (
        event.id,
        event.vendor,
        event.event_key,
        event.type,
        event.occurred_at,
        event.received_at,
        event.payload,
    )
    kept = event.payload != ""  # what was erased says nothing any more
    query = select(*columns).where(kept).order_by(event.id).limit(BATCH)
    last = 0
    while events := connection.execute(query.where(event.id > last)).all():
        yield events
        last = events[-1].id


def facts_of(event: Row[*tuple[Any, ...]]) -> Sequence[Fact]:
    """What a kept event says; nothing if its vendor's adapter does not understand it (any more)."""
    adapter = adapter_of(event.vendor)
    if adapter is None:
        return ()
    try:
        # An event of an earlier version may be stored under a time that lies ahead of its arrival.
        at = by_arrival(event.occurred_at, event.received_at)
        kept = KeptEvent(event.event_key, event.type, at, event.received_at, event.payload)
        return adapter.facts(kept)
    except Unreadable as error:
        log.warning("event_not_understood", event_id=event.id, reason=error.reason)
        return ()
