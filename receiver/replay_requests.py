"""Replays requested on the dashboard. It has no vendor secret, so a receiver runs them."""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import structlog
from sqlalchemy import ColumnElement, Engine, and_, func, or_, select, update

from receiver.errors import ReplayError, Stopping, first_line, is_of_the_store
from receiver.replay import Replayed, replay
from receiver.vendors.base import Vendor
from shared.bulk import table_of
from shared.database import write_transaction
from shared.models import ReplayRequest
from shared.queries import row_of

GIVEN_UP_AFTER = timedelta(minutes=10)
"""If a running request shows no progress for this long, its receiver has died."""

request = table_of(ReplayRequest)
log = structlog.get_logger()


class Request(NamedTuple):
    """A claimed row of `replay_request`."""

    id: int
    vendor: str
    outcome: str | None
    since: datetime | None
    dry_run: bool
    requested_by: str
    taken: int
    already_delivered: int


def carry_out_next(
    engine: Engine, vendors: Mapping[str, Vendor], stopping: Callable[[], bool]
) -> bool:
    """Run the oldest open request. Returns whether there was one.

    If `stopping` returns true, the request is open again, with its counts so far. Raises
    SQLAlchemyError if the store fails; the request then runs again later.
    """
    claimed = _claim(engine)
    if claimed is None:
        return False
    # What an earlier receiver accepted counts too. A dry run starts again.
    before = Replayed() if claimed.dry_run else Replayed(claimed.taken, claimed.already_delivered)
    counts = before

    def progressed(so_far: Replayed) -> None:
        nonlocal counts
        counts = before.plus(so_far)
        _write(engine, claimed.id, counts)

    try:
        replay(
            engine,
            vendors,
            claimed.vendor,
            since=claimed.since,
            outcome=claimed.outcome,
            dry_run=claimed.dry_run,
            actor=claimed.requested_by,
            on_progress=progressed,
            stopping=stopping,
        )
    except Stopping:
        _write(engine, claimed.id, counts, state="requested")
    except ReplayError as error:
        _finish(engine, claimed, counts, problem=str(error))
    except Exception as error:
        if is_of_the_store(error):
            raise
        _finish(engine, claimed, counts, problem=f"The replay failed: {first_line(error)}")
    else:
        _finish(engine, claimed, counts)
    return True


def _claim(engine: Engine) -> Request | None:
    """Looks first without a lock: nearly always there is nothing to do."""
    now = datetime.now(UTC)
    oldest = select(request.c.id).where(_is_open(now)).order_by(request.c.id).limit(1)
    with engine.connect() as connection:
        id_ = connection.scalar(oldest)
    if id_ is None:
        return None
    statement = (
        update(request)
        .where(request.c.id == id_, _is_open(now))
        .values(state="running", seen_at=now, still_refused=0, refused_as=None)
        .returning(*(request.c[name] for name in Request._fields))
    )
    with write_transaction(engine) as connection:
        return row_of(Request, connection.execute(statement))


def _is_open(now: datetime) -> ColumnElement[bool]:
    last_seen = func.coalesce(request.c.seen_at, request.c.requested_at)
    orphaned = and_(request.c.state == "running", last_seen < now - GIVEN_UP_AFTER)
    return or_(request.c.state == "requested", orphaned)


def _finish(engine: Engine, claimed: Request, counts: Replayed, problem: str | None = None) -> None:
    state = "done" if problem is None else "failed"
    _write(engine, claimed.id, counts, state=state, finished_at=datetime.now(UTC), problem=problem)
    log.info(
        "replay",
        request_id=claimed.id,
        vendor=claimed.vendor,
        outcome=claimed.outcome,
        since=claimed.since and claimed.since.isoformat(),
        dry_run=claimed.dry_run,
        requested_by=claimed.requested_by,
        state=state,
        problem=problem,
        **counts._asdict(),
    )


def _write(engine: Engine, id_: int, counts: Replayed, **more: object) -> None:
    refused_as = json.dumps(counts.refused_as) if counts.refused_as else None
    seen = {"refused_as": refused_as, "seen_at": datetime.now(UTC)}
    values = counts._asdict() | seen | more
    with write_transaction(engine) as connection:
        connection.execute(update(request).where(request.c.id == id_).values(**values))
