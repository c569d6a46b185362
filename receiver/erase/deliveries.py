"""What deliveries and their quarantined bodies say of a person."""

from collections.abc import Iterator, Sequence

from sqlalchemy import Connection, and_, select, update

from receiver import quarantine
from receiver.erase.person import batches
from receiver.errors import EraseError
from shared.bulk import table_of
from shared.models import Delivery, Event, Quarantine

event = table_of(Event)
delivery = table_of(Delivery)
body = table_of(Quarantine)


def remove_bodies(connection: Connection, found: Sequence[int]) -> list[int]:
    """Remove the quarantined bodies of these deliveries. Returns the IDs of those that were there.
    A body is signed as a whole, so no part of it can stay."""
    there: list[int] = []
    for ids in batches(found):
        there += connection.scalars(select(body.c.delivery_id).where(body.c.delivery_id.in_(ids)))
    for ids in batches(there):
        if len(quarantine.remove(connection, ids)) < len(ids):
            raise EraseError("A replay is using one of the person's deliveries. Try again.")
    return there


def repeats_of(connection: Connection, bodies: Sequence[int]) -> Iterator[int]:
    """The deliveries that repeated one of these bodies."""
    for ids in batches(bodies):
        yield from connection.scalars(select(delivery.c.id).where(delivery.c.held_as.in_(ids)))


def deliveries_of(connection: Connection, events: Sequence[int]) -> Iterator[int]:
    """The IDs of the deliveries of these events."""
    same = and_(event.c.vendor == delivery.c.vendor, event.c.event_key == delivery.c.event_key)
    for ids in batches(events):
        of_them = select(delivery.c.id).join(event, same).where(event.c.id.in_(ids))
        yield from connection.scalars(of_them)


def forget_deliveries(connection: Connection, found: set[int]) -> None:
    """Remove key and address; the rows stay, for the counts. A person with access to the vendor can
    look the key up. The address may be that of the person's own machine."""
    for ids in batches(sorted(found)):
        forgotten = update(delivery).where(delivery.c.id.in_(ids))
        connection.execute(forgotten.values(event_key=None, remote_ip=None))
