"""Quarantined deliveries, and requests to replay them."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from sqlalchemy import Connection, func, insert, select

from shared.audit import note
from shared.bulk import table_of
from shared.models import Delivery, Quarantine, QuarantineTotal, ReplayRequest
from shared.queries import rows_of

held = table_of(Quarantine).c
delivery = table_of(Delivery).c
total = table_of(QuarantineTotal).c
request = table_of(ReplayRequest)


class KindTotal(NamedTuple):
    """Quarantined deliveries of a kind, and those dropped to stay within the caps."""

    kind: str
    held: int
    held_bytes: int
    dropped: int


def totals(connection: Connection, vendor: str) -> Sequence[KindTotal]:
    """A vendor's quarantine by kind."""
    columns = (total.kind, total.held, total.held_bytes, total.dropped)
    query = select(*columns).where(total.vendor == vendor).order_by(total.kind)
    return rows_of(KindTotal, connection.execute(query))


class OutcomeTotal(NamedTuple):
    """Quarantined deliveries of an outcome."""

    outcome: str
    deliveries: int


def by_outcome(connection: Connection, vendor: str) -> Sequence[OutcomeTotal]:
    """A vendor's quarantine by outcome, the most frequent first."""
    query = (
        select(
            delivery.outcome,
            func.count().label("deliveries"),
        )
        .join(table_of(Delivery), delivery.id == held.delivery_id)
        .where(held.vendor == vendor, held.state == "held")
        .group_by(delivery.outcome)
        .order_by(func.count().desc(), delivery.outcome)
    )
    return rows_of(OutcomeTotal, connection.execute(query))


class Request(NamedTuple):
    """A request for a replay or a dry run, and its result so far."""

    outcome: str | None
    dry_run: bool
    requested_at: datetime
    state: str
    finished_at: datetime | None
    taken: int
    already_delivered: int
    still_refused: int
    problem: str | None
    refused_as: str | None

    @property
    def reasons(self) -> Mapping[str, int]:
        """Those still refused, by outcome."""
        return json.loads(self.refused_as) if self.refused_as else {}


def requests(connection: Connection, vendor: str, limit: int = 5) -> Sequence[Request]:
    """A vendor's latest requests, the latest first."""
    columns = (request.c[name] for name in Request._fields)
    query = select(*columns).where(request.c.vendor == vendor)
    return rows_of(Request, connection.execute(query.order_by(request.c.id.desc()).limit(limit)))


def ask_for_replay(
    connection: Connection,
    vendor: str,
    outcome: str | None,
    actor: str,
    *,
    dry_run: bool,
    expected: int | None = None,
) -> None:
    """Ask a receiver to verify quarantined deliveries again, and note it in the audit log: a
    request that no receiver takes up has no other entry. `expected` is how many events the person
    has confirmed, by a dry run. The caller commits."""
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
    action = "ask for replay dry run" if dry_run else "ask for replay"
    confirmed = "" if expected is None else f"; {expected:,} confirmed after a dry run"
    note(connection, actor, action, vendor, f"{outcome or 'all outcomes'}{confirmed}")
