"""What deliveries and their quarantined bodies say of a person."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from sqlalchemy import Connection, and_, select, update

from receiver import quarantine
from receiver.erase.person import batches, may_mention
from receiver.errors import EraseError
from receiver.traces import Traces
from shared.bulk import table_of
from shared.models import Delivery, Event, Quarantine
from shared.queries import rows_of

BODY_BATCH = 50

event = table_of(Event)
delivery = table_of(Delivery)
body = table_of(Quarantine)


class QuarantinedBody(NamedTuple):
    """What quarantine has of a delivery."""

    delivery_id: int
    vendor: str
    headers: str
    body: bytes


def remove_bodies(connection: Connection, traces: Traces) -> list[int]:
    """Remove quarantined bodies that mention them. Returns their delivery IDs. A body is signed as
    a whole, so no part of it can stay."""
    found = [
        row.delivery_id
        for row in _quarantined(connection)
        if traces.in_body(row.vendor, row.body) or traces.in_body(row.vendor, row.headers.encode())
    ]
    for ids in batches(found):
        if len(quarantine.remove(connection, ids)) < len(ids):
            raise EraseError("A replay is using one of the person's deliveries. Try again.")
    return found


def repeats_of(connection: Connection, bodies: Sequence[int]) -> Iterator[int]:
    """The deliveries that repeated one of these bodies."""
    for ids in batches(bodies):
        yield from connection.scalars(select(delivery.c.id).where(delivery.c.held_as.in_(ids)))


def _quarantined(connection: Connection) -> Iterator[QuarantinedBody]:
    query = select(*(body.c[name] for name in QuarantinedBody._fields))
    query = query.order_by(body.c.delivery_id).limit(BODY_BATCH)
    last = 0
    while rows := rows_of(
        QuarantinedBody, connection.execute(query.where(body.c.delivery_id > last))
    ):
        yield from rows
        last = rows[-1].delivery_id


def deliveries_of(connection: Connection, events: Sequence[int], traces: Traces) -> Iterator[int]:
    """The IDs of the deliveries of these events, and of deliveries whose key names the person."""
    same = and_(event.c.vendor == delivery.c.vendor, event.c.event_key == delivery.c.event_key)
    for ids in batches(events):
        of_them = select(delivery.c.id).join(event, same).where(event.c.id.in_(ids))
        yield from connection.scalars(of_them)
    named = select(delivery.c.id, delivery.c.vendor, delivery.c.event_key).where(
        may_mention(delivery.c.event_key, traces)
    )
    for row in connection.execute(named).all():
        if traces.in_key(row.vendor, row.event_key):
            yield row.id


def forget_deliveries(connection: Connection, found: set[int]) -> None:
    """Remove key and address; the rows stay, for the counts. A person with access to the vendor can
    look the key up. The address may be that of the person's own machine."""
    for ids in batches(sorted(found)):
        forgotten = update(delivery).where(delivery.c.id.in_(ids))
        connection.execute(forgotten.values(event_key=None, remote_ip=None))
