"""Retention: removes old deliveries, their quarantine, counts of unknown addresses, what was sent
to people and what imports list. Events, hourly totals and the counts of imports stay."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from sqlalchemy import Engine, delete, exists, select

from receiver import quarantine
from receiver.errors import Stopping
from receiver.replay import breathe
from shared.audit import note
from shared.bulk import table_of
from shared.database import hold_write_lock, write_transaction
from shared.models import (
    Delivery,
    ImportFinding,
    ImportRun,
    Notification,
    Quarantine,
    UnknownAddress,
)

BATCH = 1_000

delivery = table_of(Delivery)
body = table_of(Quarantine)
unknown_address = table_of(UnknownAddress)
message = table_of(Notification)
import_run = table_of(ImportRun)
finding = table_of(ImportFinding)


class Pruned(NamedTuple):
    """How many rows were removed."""

    deliveries: int = 0
    quarantined: int = 0

    def in_words(self) -> str:
        return f"{self.deliveries:,} deliveries, {self.quarantined:,} of them quarantined"


def prune(
    engine: Engine,
    days: int,
    *,
    actor: str = "command line",
    stopping: Callable[[], bool] = breathe,
) -> Pruned:
    """Remove the deliveries received more than `days` days ago, quarantined or not.

    After each transaction `stopping` says whether to stop; it may wait, to leave the store to
    others. Raises Stopping if stopped; what is removed by then stays removed.
    """
    before = datetime.now(UTC) - timedelta(days=days)
    removed = Pruned()
    with write_transaction(engine) as connection:
        connection.execute(delete(unknown_address).where(unknown_address.c.hour < before))
        connection.execute(delete(message).where(message.c.caused_at < before))
        old = select(import_run.c.id).where(import_run.c.started_at < before)
        connection.execute(delete(finding).where(finding.c.run_id.in_(old)))
    try:
        while (batch := _remove_some(engine, before)).deliveries:
            removed = Pruned(*(one + more for one, more in zip(removed, batch, strict=True)))
            if stopping():
                raise Stopping("The receiver stopped before all old deliveries were removed.")
    finally:
        if removed.deliveries:
            with engine.begin() as connection:
                note(connection, actor, "prune", None, f"{removed.in_words()}; {days} days kept")
    return removed


def _remove_some(engine: Engine, before: datetime) -> Pruned:
    with write_transaction(engine) as connection:
        hold_write_lock(connection)  # `erase` locks the same rows in another order
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
        removed = quarantine.remove(connection, ids)
        # A delivery whose body a replay has locked goes next time.
        free = ~exists().where(body.c.delivery_id == delivery.c.id)
        gone = connection.execute(delete(delivery).where(delivery.c.id.in_(ids), free))
        return Pruned(gone.rowcount, len(removed))
