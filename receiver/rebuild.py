"""Derive the read models anew from the events, in one transaction."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import structlog
from sqlalchemy import Connection, Engine, Row, select
from sqlmodel import SQLModel

from receiver.audit import note
from receiver.vendors import ADAPTERS
from receiver.vendors.base import Unreadable
from shared.bulk import table_of
from shared.models import Event
from shared.projections import READ_MODELS, Fact, clear, project

BATCH = 10_000

log = structlog.get_logger()


def rebuild(engine: Engine, on_progress: Callable[[int], None] = lambda _: None) -> int:
    """Empty the read models and fold every event into them again.

    Readers go on seeing the old tables. Receivers cannot write meanwhile: they answer 503 after a
    few seconds, and the vendors try again. `on_progress` is given
    the number of events so far. Returns that number.
    """
    done = 0
    with engine.connect().execution_options(immediate=True) as connection, connection.begin():
        if engine.dialect.name == "postgresql":
            locked: Sequence[type[SQLModel]] = (Event, *READ_MODELS)
            tables = ", ".join(table_of(model).name for model in locked)
            connection.exec_driver_sql(f"LOCK TABLE {tables} IN SHARE ROW EXCLUSIVE MODE")
        clear(connection)
        for events in _batches(connection):
            project(connection, (fact for event in events for fact in _facts(event)))
            done += len(events)
            on_progress(done)
        note(connection, "command line", "rebuild", None, f"{done} events")
    return done


def _batches(connection: Connection) -> Iterator[Sequence[Row[*tuple[Any, ...]]]]:
    event = table_of(Event).c
    columns = (
        event.id,
        event.vendor,
        event.event_key,
        event.type,
        event.occurred_at,
        event.payload,
    )
    query = select(*columns).order_by(event.id).limit(BATCH)
    last = 0
    while events := connection.execute(query.where(event.id > last)).all():
        yield events
        last = events[-1].id


def _facts(event: Row[*tuple[Any, ...]]) -> Sequence[Fact]:
    adapter = ADAPTERS.get(event.vendor)
    if adapter is None:
        return ()
    try:
        return adapter.facts(event.event_key, event.type, event.occurred_at, event.payload)
    except Unreadable as error:
        log.warning("event_not_understood", event_id=event.id, reason=error.reason)
        return ()
