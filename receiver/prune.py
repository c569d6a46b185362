"""Retention: raw deliveries, their quarantine and what came to no vendor go by age; events and
roll-ups stay."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from sqlalchemy import Connection, Engine, delete, exists, select

from receiver.errors import Stopping
from receiver.quarantine import size_of
from receiver.replay import breathe, remove_from_totals
from shared.audit import note
from shared.bulk import table_of
from shared.database import hold_write_lock
from shared.models import Delivery, Quarantine, UnknownAddress
from shared.outcomes import QuarantineState

BATCH = 1_000

delivery = table_of(Delivery)
quarantine = table_of(Quarantine)
unknown_address = table_of(UnknownAddress)


class Pruned(NamedTuple):
    """How many rows were removed."""

    deliveries: int = 0
    quarantined: int = 0

    def in_words(self) -> str:
        return f"{self.deliveries:,} deliveries, {self.quarantined:,} of them with a kept body"


def prune(
    engine: Engine,
    days: int,
    *,
    actor: str = "command line",
    stopping: Callable[[], bool] = breathe,
) -> Pruned:
    """Remove the deliveries that came more than `days` days ago, held or not.

    `stopping` is asked between two transactions whether to break off; it may wait, as others have
    the store meanwhile. Raises Stopping if it was; what is removed by then stays so.
    """
    before = datetime.now(UTC) - timedelta(days=days)
    removed = Pruned()
    with engine.connect().execution_options(immediate=True) as connection, connection.begin():
        connection.execute(delete(unknown_address).where(unknown_address.c.hour < before))
    try:
        while (batch := _remove_some(engine, before)).deliveries:
            removed = Pruned(*(one + more for one, more in zip(removed, batch, strict=True)))
            if stopping():
                raise Stopping("The receiver stopped before all that is old was removed.")
    finally:
        if removed.deliveries:
            with engine.begin() as connection:
                note(connection, actor, "prune", None, f"{removed.in_words()}; {days} days kept")
    return removed


def _remove_some(engine: Engine, before: datetime) -> Pruned:
    with engine.connect().execution_options(immediate=True) as connection, connection.begin():
        hold_write_lock(connection)  # an erasure takes the same rows in another order
        oldest = (
            select(delivery.c.id)
            .where(delivery.c.received_at < before)
            .order_by(delivery.c.received_at)
            .limit(BATCH)
            .with_for_update(skip_locked=True)
        )
        ids = connection.scalars(oldest).all()
        if not ids:
            return Pruned()
        quarantined = _remove_quarantined(connection, ids)
        # One whose body a replay has in hand just now goes another time.
        free = ~exists().where(quarantine.c.delivery_id == delivery.c.id)
        gone = connection.execute(delete(delivery).where(delivery.c.id.in_(ids), free))
        return Pruned(gone.rowcount, quarantined)


def _remove_quarantined(connection: Connection, ids: Sequence[int]) -> int:
    row = quarantine.c
    found = connection.execute(
        select(row.delivery_id, row.vendor, row.kind, row.state, size_of(row).label("size"))
        .where(row.delivery_id.in_(ids))
        .with_for_update(skip_locked=True)
    ).all()
    if found:
        gone = [one.delivery_id for one in found]
        connection.execute(delete(quarantine).where(row.delivery_id.in_(gone)))
    remove_from_totals(
        connection,
        [
            (one.vendor, one.kind, one.size)
            for one in found
            if one.state == QuarantineState.QUARANTINED
        ],
    )
    return len(found)
