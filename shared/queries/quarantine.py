"""What is held back, and what was asked to be verified again."""

from collections.abc import Sequence
from datetime import UTC, datetime

from sqlalchemy import Connection, func, insert, select

from shared.bulk import table_of
from shared.models import Delivery, Quarantine, QuarantineTotal, ReplayRequest
from shared.queries import AnyRow

held = table_of(Quarantine).c
delivery = table_of(Delivery).c
total = table_of(QuarantineTotal).c
request = table_of(ReplayRequest)


def totals(connection: Connection, vendor: str) -> Sequence[AnyRow]:
    """What is held and what was dropped to stay within the caps: kind, held, held_bytes, dropped,
    dropped_bytes."""
    columns = (total.kind, total.held, total.held_bytes, total.dropped, total.dropped_bytes)
    query = select(*columns).where(total.vendor == vendor).order_by(total.kind)
    return connection.execute(query).all()


def held_by_outcome(connection: Connection, vendor: str) -> Sequence[AnyRow]:
    """Why deliveries are held: outcome, deliveries, first, last."""
    query = (
        select(
            delivery.outcome,
            func.count().label("deliveries"),
            func.min(held.received_at).label("first"),
            func.max(held.received_at).label("last"),
        )
        .join(table_of(Delivery), delivery.id == held.delivery_id)
        .where(held.vendor == vendor, held.state == "held")
        .group_by(delivery.outcome)
        .order_by(func.count().desc(), delivery.outcome)
    )
    return connection.execute(query).all()


def requests(connection: Connection, vendor: str, limit: int = 5) -> Sequence[AnyRow]:
    """The latest requests for replay, as they stand."""
    query = select(*request.c).where(request.c.vendor == vendor)
    return connection.execute(query.order_by(request.c.id.desc()).limit(limit)).all()


def ask_for_replay(
    connection: Connection, vendor: str, outcome: str | None, actor: str, *, dry_run: bool
) -> None:
    """Have a receiver verify again what is held. The caller commits."""
    connection.execute(
        insert(request).values(
            vendor=vendor,
            outcome=outcome,
            dry_run=dry_run,
            requested_by=actor,
            requested_at=datetime.now(UTC),
            state="requested",
            taken=0,
            already_delivered=0,
            still_refused=0,
        )
    )
