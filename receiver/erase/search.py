"""Where the store mentions a person: what has to be read as a whole to find them.

On SQLite this is done before the write lock is taken, as it takes seconds for a million events.
With the lock only what has arrived since is searched.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from sqlalchemy import Connection, func, or_, select

from receiver.erase.person import ID_BATCH, may_mention
from receiver.readmodels.events import StoredEvent, facts_of
from receiver.traces import Traces
from shared.bulk import table_of
from shared.facts import Acted
from shared.models import Delivery, Event, Quarantine
from shared.queries import rows_of

BODY_BATCH = 50
TEXTS = ("event_type", "reason")
"""Columns of `delivery` with words of a sender."""

event = table_of(Event).c
delivery = table_of(Delivery).c
body = table_of(Quarantine).c


class Newest(NamedTuple):
    """The largest IDs in the store, 0 without any."""

    event: int = 0
    delivery: int = 0


class Found(NamedTuple):
    """IDs of rows that mention the person."""

    about: Sequence[int] = ()
    """Events without a learner that are not what another person did."""
    payloads: Sequence[int] = ()
    """Events."""
    bodies: Sequence[int] = ()
    """Quarantined bodies, by delivery."""
    keys: Sequence[int] = ()
    """Deliveries whose key names them."""
    texts: Sequence[int] = ()
    """Deliveries with their address in a word of the sender."""

    def and_also(self, later: "Found") -> "Found":
        """These and rows that have arrived later."""
        return Found(*([*old, *new] for old, new in zip(self, later, strict=True)))


def newest(connection: Connection) -> Newest:
    """The largest IDs now."""
    ids = (connection.scalar(select(func.max(row.id))) or 0 for row in (event, delivery))
    return Newest(*ids)


def search(connection: Connection, traces: Traces, after: Newest) -> Found:
    """Search all rows with larger IDs than these."""
    return Found(
        list(_about(connection, traces, after.event)),
        list(_payloads(connection, traces, after.event)),
        list(_bodies(connection, traces, after.delivery)),
        list(_keys(connection, traces, after.delivery)),
        list(_texts(connection, traces, after.delivery)),
    )


def _about(connection: Connection, traces: Traces, after: int) -> Iterator[int]:
    columns = (event[name] for name in StoredEvent._fields)
    query = select(*columns).where(
        event.id > after,
        event.user_id.is_(None),
        event.payload != "",
        may_mention(event.payload, traces),
    )
    for row in connection.execute(query, execution_options={"yield_per": ID_BATCH}):
        if traces.in_body(row.vendor, row.payload.encode()) and not any(
            isinstance(fact, Acted) and not traces.in_text(fact.person)
            for fact in facts_of(StoredEvent._make(row))
        ):
            yield row.id


def _payloads(connection: Connection, traces: Traces, after: int) -> Iterator[int]:
    query = select(event.id, event.vendor, event.payload).where(
        event.id > after, event.payload != "", may_mention(event.payload, traces)
    )
    for row in connection.execute(query, execution_options={"yield_per": ID_BATCH}):
        if traces.replaced(row.vendor, row.payload) != row.payload:
            yield row.id


class QuarantinedBody(NamedTuple):
    """What quarantine has of a delivery."""

    delivery_id: int
    vendor: str
    headers: str
    body: bytes


def _bodies(connection: Connection, traces: Traces, after: int) -> Iterator[int]:
    query = select(*(body[name] for name in QuarantinedBody._fields))
    query = query.order_by(body.delivery_id).limit(BODY_BATCH)
    last = after
    while rows := rows_of(
        QuarantinedBody, connection.execute(query.where(body.delivery_id > last))
    ):
        for row in rows:
            if any(traces.in_body(row.vendor, one) for one in (row.body, row.headers.encode())):
                yield row.delivery_id
        last = rows[-1].delivery_id


def _keys(connection: Connection, traces: Traces, after: int) -> Iterator[int]:
    query = select(delivery.id, delivery.vendor, delivery.event_key).where(
        delivery.id > after, may_mention(delivery.event_key, traces)
    )
    for row in connection.execute(query):
        if traces.in_key(row.vendor, row.event_key):
            yield row.id


def _texts(connection: Connection, traces: Traces, after: int) -> Iterator[int]:
    columns = [delivery[name] for name in TEXTS]
    mentioned = or_(*(may_mention(one, traces) for one in columns))
    for id_, *texts in connection.execute(
        select(delivery.id, *columns).where(delivery.id > after, mentioned)
    ):
        if any(text and traces.without(text) != text for text in texts):
            yield id_
