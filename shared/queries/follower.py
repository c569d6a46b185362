"""How far the read models are behind the events, and whether a follower works."""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, func, select

from shared.bulk import table_of
from shared.database import store_time
from shared.models import Checkpoint, Delivery, Event, UnfoldableEvent
from shared.queries import row_of

COUNTED = 100_000
"""Events behind are counted up to this many."""

checkpoint = table_of(Checkpoint).c
event = table_of(Event).c
delivery = table_of(Delivery).c


class Lag(NamedTuple):
    """How many events the read models do not have yet, up to COUNTED, and for how many seconds the
    oldest of them has been stored. `alive`: a follower works."""

    events: int
    seconds: float
    alive: bool


class _Reached(NamedTuple):
    newest_id: int
    lease_until: datetime | None


def lag(connection: Connection) -> Lag:
    """How far the read models are behind."""
    row = row_of(_Reached, connection.execute(select(checkpoint.newest_id, checkpoint.lease_until)))
    newest, lease_until = row or _Reached(0, None)
    now = store_time(connection)
    alive = lease_until is not None and lease_until > now
    since = oldest_behind(connection, newest)
    if since is None:
        return Lag(0, 0.0, alive)
    some = select(event.id).where(event.id > newest).limit(COUNTED).subquery()
    events = connection.scalar(select(func.count()).select_from(some)) or 0
    return Lag(events, max(0.0, (now - since).total_seconds()), alive)


def followed_to(connection: Connection, now: datetime) -> datetime:
    """The moment up to which the read models have all events that were stored; `now` if they have
    all."""
    newest = connection.scalar(select(checkpoint.newest_id)) or 0
    return oldest_behind(connection, newest) or now


def oldest_behind(connection: Connection, newest_id: int) -> datetime | None:
    """When the oldest event after `newest_id` was stored; None without one. The event of a replay
    has an earlier time of receipt than its delivery."""
    stored_at: ColumnElement[datetime] = func.coalesce(delivery.received_at, event.received_at)
    query = (
        select(stored_at)
        .join_from(
            table_of(Event), table_of(Delivery), delivery.id == event.delivery_id, isouter=True
        )
        .where(event.id > newest_id)
        .order_by(event.id)
        .limit(1)
    )
    return connection.scalar(query)


def unfoldable(connection: Connection) -> int:
    """How many events the read models cannot take."""
    return connection.scalar(select(func.count()).select_from(table_of(UnfoldableEvent))) or 0
