"""Replays that the dashboard asks for: it holds no secret, so a receiver carries them out."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import ColumnElement, Engine, Row, and_, func, or_, select, update

from receiver.errors import ReplayError, Stopping, first_line, is_of_the_store
from receiver.replay import Replayed, replay
from receiver.vendors.base import Vendor
from shared.bulk import table_of
from shared.models import ReplayRequest

GIVEN_UP_AFTER = timedelta(minutes=10)
"""A running request of which nothing was heard for so long had a receiver that died."""

request = table_of(ReplayRequest)
log = structlog.get_logger()

RequestRow = Row[*tuple[Any, ...]]


def carry_out_next(
    engine: Engine, vendors: Mapping[str, Vendor], stopping: Callable[[], bool]
) -> bool:
    """Carry out the oldest open request, if there is one, and say whether there was.

    If `stopping` says so it is handed back with what was done of it. Raises SQLAlchemyError if
    the store fails; the request is then taken up again later.
    """
    asked = _claim(engine)
    if asked is None:
        return False
    # What a receiver before this one took of it counts; a dry run begins anew.
    before = Replayed() if asked.dry_run else Replayed(asked.taken, asked.already_delivered)
    counts = before

    def progressed(so_far: Replayed) -> None:
        nonlocal counts
        counts = before.plus(so_far)
        _write(engine, asked.id, counts)

    try:
        replay(
            engine,
            vendors,
            asked.vendor,
            since=asked.since,
            outcome=asked.outcome,
            dry_run=asked.dry_run,
            actor=asked.requested_by,
            on_progress=progressed,
            stopping=stopping,
        )
    except Stopping:
        _write(engine, asked.id, counts, state="requested")
    except ReplayError as error:
        _finish(engine, asked, counts, problem=str(error))
    except Exception as error:
        if is_of_the_store(error):
            raise
        _finish(engine, asked, counts, problem=f"The replay broke off: {first_line(error)}")
    else:
        _finish(engine, asked, counts)
    return True


def _claim(engine: Engine) -> RequestRow | None:
    """Looks first without any lock: nearly always there is nothing to do."""
    now = datetime.now(UTC)
    oldest = select(request.c.id).where(_is_open(now)).order_by(request.c.id).limit(1)
    with engine.connect() as connection:
        id_ = connection.scalar(oldest)
    if id_ is None:
        return None
    claimed = (
        update(request)
        .where(request.c.id == id_, _is_open(now))
        .values(state="running", seen_at=now, still_refused=0)
        .returning(*request.c)
    )
    with engine.connect().execution_options(immediate=True) as connection, connection.begin():
        return connection.execute(claimed).one_or_none()


def _is_open(now: datetime) -> ColumnElement[bool]:
    heard_of = func.coalesce(request.c.seen_at, request.c.requested_at)
    orphaned = and_(request.c.state == "running", heard_of < now - GIVEN_UP_AFTER)
    return or_(request.c.state == "requested", orphaned)


def _finish(
    engine: Engine, asked: RequestRow, counts: Replayed, problem: str | None = None
) -> None:
    state = "done" if problem is None else "failed"
    _write(engine, asked.id, counts, state=state, finished_at=datetime.now(UTC), problem=problem)
    log.info(
        "replay",
        request_id=asked.id,
        vendor=asked.vendor,
        outcome=asked.outcome,
        since=asked.since and asked.since.isoformat(),
        dry_run=asked.dry_run,
        requested_by=asked.requested_by,
        state=state,
        problem=problem,
        **counts._asdict(),
    )


def _write(engine: Engine, id_: int, counts: Replayed, **more: Any) -> None:
    values = counts._asdict() | {"seen_at": datetime.now(UTC)} | more
    with engine.connect().execution_options(immediate=True) as connection, connection.begin():
        connection.execute(update(request).where(request.c.id == id_).values(**values))
