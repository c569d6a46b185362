"""Stored events, and what they say."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import structlog
from sqlalchemy import Select, select

from receiver.imports import canonical
from receiver.vendors import adapter_of
from receiver.vendors.base import KeptEvent, Unreadable
from receiver.vendors.fields import by_arrival
from shared.bulk import table_of
from shared.facts import Fact
from shared.models import Event

log = structlog.get_logger()


class StoredEvent(NamedTuple):
    """The columns of an event from which its facts are read."""

    id: int
    vendor: str
    event_key: str
    type: str
    occurred_at: datetime
    received_at: datetime
    payload: str
    delivery_id: int


def events() -> Select[tuple[int, str, str, str, datetime, datetime, str, int]]:
    """All events, in the order of their IDs. Rows are those of StoredEvent."""
    row = table_of(Event).c
    return select(*(row[name] for name in StoredEvent._fields)).order_by(row.id)


def facts_of(event: StoredEvent) -> Sequence[Fact]:
    """What an event says. Nothing if it was erased, or if its vendor's adapter does not understand
    it (any more)."""
    adapter = adapter_of(event.vendor)
    if adapter is None or not event.payload:
        return ()
    try:
        # An event of an earlier version may be stored under a time that lies ahead of its arrival.
        at = by_arrival(event.occurred_at, event.received_at)
        kept = KeptEvent(event.event_key, event.type, at, event.received_at, event.payload)
        imported = event.delivery_id < 0
        return canonical.facts(event.vendor, kept) if imported else adapter.facts(kept)
    except Unreadable as error:
        log.warning("event_not_understood", event_id=event.id, reason=error.reason)
        return ()
