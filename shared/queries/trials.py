"""Tests of a vendor's own address: asked for on the dashboard, carried out by a receiver."""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, select, text

from shared.audit import note
from shared.bulk import insert_into, table_of
from shared.clock import now
from shared.models import TRIAL_IS_OPEN, Heartbeat, Trial
from shared.outages import UNSEEN
from shared.queries import row_of

trial = table_of(Trial)


class Latest(NamedTuple):
    """A test and its result. It is open as long as `finished_at` is None."""

    asked_at: datetime
    finished_at: datetime | None
    status: int | None
    problem: str | None


def latest(connection: Connection, vendor: str) -> Latest | None:
    """The latest test of a vendor's address; None before the first."""
    columns = (trial.c[name] for name in Latest._fields)
    query = select(*columns).where(trial.c.vendor == vendor).order_by(trial.c.id.desc()).limit(1)
    return row_of(Latest, connection.execute(query))


def ask_for_test(connection: Connection, vendor: str, actor: str) -> None:
    """Ask a receiver for a test, and note it in the audit log, unless one is open already. The
    caller commits."""
    asked = insert_into(connection.dialect.name, Trial).values(
        vendor=vendor, asked_at=now(connection), asked_by=actor
    )
    once = asked.on_conflict_do_nothing(
        index_elements=["vendor"], index_where=text(TRIAL_IS_OPEN)
    ).returning(trial.c.id)
    if connection.scalar(once) is not None:
        note(connection, actor, "ask for test", vendor, "")


def receiver_is_up(connection: Connection) -> bool:
    """Whether a receiver was seen just now."""
    seen_at = table_of(Heartbeat).c.seen_at
    seen = select(seen_at).where(seen_at > now(connection) - UNSEEN).limit(1)
    return connection.scalar(seen) is not None
