"""The follower: reads the events behind its checkpoint and folds them into the read models.

A round first reads the next events and works out what they change, without a lock. Then it stores
that in one transaction, with the checkpoint in it. So a crash leaves read models and checkpoint as
they were after a round, and an event may be folded twice, which changes nothing. Each transaction
that changes read models changes the checkpoint too. If it is not as it was read, the round begins
again.

On Postgres transactions do not commit in the order of the IDs that they drew, so an event can
appear after one with a larger ID. Each missing ID below the newest known one is a gap. A gap closes
when its event appears, or when every transaction that could have drawn the ID has ended: receivers
write deliveries before events, so such a transaction has a smaller number than one that begins to
write after the gap was seen. The checkpoint is just before the first gap. Gaps are kept in memory:
numbers of transactions mean nothing in a restored copy of the store. After a restart the follower
begins at the checkpoint again. SQLite commits in the order of IDs.

The follower looks for events ten times a second. `LISTEN` would not be better: a transaction that
notifies waits at its commit for all others that do, so receivers would stand in line again.
"""

import os
import secrets
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from typing import NamedTuple

import structlog
from sqlalchemy import BigInteger, Connection, Engine, bindparam, func, insert, select, update
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.exc import SQLAlchemyError

from receiver.errors import first_line, is_of_the_store, is_passing
from receiver.readmodels.events import StoredEvent, events, facts_of
from receiver.readmodels.projections import Ready, prepare, project, store
from shared.bulk import insert_into, table_of
from shared.database import hold_write_lock, open_engine, store_time, write_transaction
from shared.models import Checkpoint, Event, UnfoldableEvent
from shared.queries import row_of, rows_of

POLL_SEC = 0.1
STANDBY_SEC = 0.5
AFTER_FAILURE_SEC = 1.0
LEASE = timedelta(seconds=5)
RENEW = timedelta(seconds=3)
"""A lease is extended when it has less than this left."""
PAUSE = timedelta(minutes=1)
MAX_BATCH = 1_000
MIN_BATCH = 50
"""What a late event costs does not depend on how many are folded with it, so smaller rounds would
take longer in all. Only the search for an event that cannot be folded makes them smaller."""
FIRST_BATCH = 100
HOLD_SEC = {"sqlite": 0.02, "postgresql": 0.3}
"""How long a round may have the write lock. On SQLite an acknowledgement waits for it."""
ANSWER_SEC = 60
"""The longest statement on Postgres."""
LONGEST_REASON = 500

checkpoint = table_of(Checkpoint)
event = table_of(Event).c
log = structlog.get_logger()


class Gap(NamedTuple):
    """Missing IDs, and the number that every transaction that drew one of them is below."""

    first: int
    last: int
    drawn_before: int


@dataclass(slots=True)
class Position:
    """How far the read models are, as of the change number `folds`."""

    newest_id: int
    folds: int
    gaps: list[Gap] = field(default_factory=list)

    @property
    def event_id(self) -> int:
        """Every event up to this one is in the read models."""
        return min((gap.first - 1 for gap in self.gaps), default=self.newest_id)


class Reached(NamedTuple):
    """The row of `checkpoint`."""

    event_id: int
    newest_id: int
    folds: int
    holder: str | None
    lease_until: datetime | None

    def is_held_by_another(self, holder: str, now: datetime) -> bool:
        """Whether another follower works."""
        return self.lease_until is not None and self.lease_until > now and self.holder != holder


class Unfoldable(Exception):
    """These events cannot be folded together. The transaction is rolled back."""

    def __init__(self, ids: Sequence[int], reason: str) -> None:
        super().__init__(reason)
        self.ids = ids
        self.reason = reason


class Round(NamedTuple):
    """What a round did. `works` is false while another follower does. `more`: there may be
    more events, as it was full."""

    works: bool
    events: int = 0
    more: bool = False


class Prepared(NamedTuple):
    """A round that is worked out, as of the row `reached` of `checkpoint`. `ids` are those of the
    events that `ready` has, `poisoned` the others of the round with the reasons."""

    reached: Reached | None
    position: Position
    events: int
    ids: Sequence[int]
    ready: Ready
    poisoned: Mapping[int, str]


def open_follower_engine(url: str) -> Engine:
    """An engine for a follower: its transactions need not survive a power cut, as the checkpoint
    would be undone with them."""
    return open_engine(url, intake=True, answer_sec=ANSWER_SEC, durable=False)


class Follower:
    """Folds events while it has the lease of the store. One at a time works; others stand by.

    `holder` names it. A process that takes the place of another that has ended may use its name,
    and then need not wait for the lease.
    """

    def __init__(self, engine: Engine, holder: str | None = None) -> None:
        self._engine = engine
        self._holder = holder or new_holder()
        self._position: Position | None = None
        self._size = FIRST_BATCH
        self._poisoned: dict[int, str] = {}

    def run(self, stopping: Callable[[float], bool]) -> None:
        """Follow until stopped, whatever the store does. Then give the lease away. `stopping` waits
        for so many seconds and says whether to stop."""
        pause = 0.0
        while not stopping(pause):
            began = time.monotonic()
            try:
                done = self.step()
            except Exception as error:  # a follower outlives any failure of the store
                log.error("follower_failed", error=first_line(error))
                pause = AFTER_FAILURE_SEC
                continue
            if not done.more:
                pause = POLL_SEC if done.works else STANDBY_SEC
            elif self._engine.dialect.name == "sqlite":
                pause = time.monotonic() - began  # its lock has no queue: others get as much time
            else:
                pause = 0.0
        with suppress(SQLAlchemyError):
            self.release()

    def step(self) -> Round:
        """One round, if there is something to do. Raises an error only if the store fails."""
        try:
            while (done := self._round()) is None:
                pass  # what was worked out is of no use any more
        except Unfoldable as found:
            self._narrow_down(found)
            return Round(works=True, events=1, more=True)
        return done

    def release(self) -> None:
        """Let another follower begin at once."""
        _release(self._engine, self._holder)

    def _round(self) -> Round | None:
        """Work out what the next events change, then store it. None to begin again: there was no
        checkpoint, or another process has moved it in between, and nothing is stored."""
        with self._engine.connect() as connection:
            with connection.begin():
                prepared = self._prepare(connection)
            if isinstance(prepared, Round):
                return prepared
            with connection.execution_options(immediate=True).begin():
                hold_write_lock(connection)
                began = time.monotonic()
                if reached_in(connection) != prepared.reached:
                    return None
                self._store(connection, prepared)
        if prepared.reached is None:
            return None
        self._position = prepared.position
        self._poisoned.clear()
        more = prepared.events == self._size
        if prepared.events:
            self._pace(prepared.events, time.monotonic() - began)
        return Round(True, prepared.events, more)

    def _prepare(self, connection: Connection) -> Prepared | Round:
        """The next events and what they change. A Round if there is nothing to store."""
        reached, now = reached_in(connection), store_time(connection)
        if reached is None:  # nothing that could show whether the read models change meanwhile
            return Prepared(None, Position(0, 0), 0, (), prepare(connection, ()), {})
        if reached.is_held_by_another(self._holder, now):
            return Round(works=False)
        position = self._position_at(reached)
        batch, after = _next_events(connection, position, self._size)
        after.folds += bool(batch)
        moves = batch or after.event_id != reached.event_id
        if not moves and not self._must_extend(reached, now):
            self._position = after
            return Round(works=True)
        poisoned = {one.id: self._poisoned[one.id] for one in batch if one.id in self._poisoned}
        good = [one for one in batch if one.id not in poisoned]
        ids = [one.id for one in good]
        with _folding(ids):
            ready = prepare(connection, [fact for one in good for fact in facts_of(one)])
        return Prepared(reached, after, len(batch), ids, ready, poisoned)

    def _store(self, connection: Connection, prepared: Prepared) -> None:
        now = store_time(connection)
        if prepared.reached is None:
            _begin(connection)
        with _folding(prepared.ids):
            store(connection, prepared.ready)
        set_aside(connection, prepared.poisoned, now)
        position = prepared.position
        values = {
            "event_id": position.event_id,
            "newest_id": position.newest_id,
            "folds": position.folds,
            "holder": self._holder,
            "lease_until": now + LEASE,
        }
        connection.execute(update(checkpoint).values(values))

    def _pace(self, events: int, held_sec: float) -> None:
        """Choose the size of the next round by the time that this one has had the write lock: half
        as many events to twice as many, as other work of the machine may have been the reason."""
        paced = int(events * HOLD_SEC[self._engine.dialect.name] / max(held_sec, 1e-6))
        least = min(self._size, MIN_BATCH)
        self._size = max(least, events // 2, min(MAX_BATCH, 2 * events, paced))

    def _must_extend(self, reached: Reached, now: datetime) -> bool:
        until = reached.lease_until
        return reached.holder != self._holder or until is None or until - now < RENEW

    def _position_at(self, reached: Reached) -> Position:
        """The position of this follower, or that in the store if another one, a rebuild or a
        restored copy of the store has moved it since."""
        known = self._position
        if (
            known is not None
            and reached.holder == self._holder
            and (known.newest_id, known.folds) == (reached.newest_id, reached.folds)
        ):
            return known
        return Position(reached.event_id, reached.folds)

    def _narrow_down(self, found: Unfoldable) -> None:
        """Make smaller rounds until one event is alone, and leave that out of the next round."""
        if len(found.ids) > 1:
            self._size = max(1, len(found.ids) // 2)
            return
        self._poisoned = dict.fromkeys(found.ids, found.reason)
        log.error("event_not_foldable", event_id=found.ids[0], reason=found.reason)


@contextmanager
def _folding(ids: Sequence[int]) -> Iterator[None]:
    """Raises Unfoldable for these events if they, and not the store, are the reason."""
    try:
        yield
    except Exception as error:
        if is_of_the_store(error) or is_passing(error):
            raise
        raise Unfoldable(ids, first_line(error)) from error


def new_holder() -> str:
    """A name for a follower that no other has."""
    return f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"


def reached_in(connection: Connection) -> Reached | None:
    """How far the read models are. None in a store in which no follower has worked yet."""
    columns = (checkpoint.c[name] for name in Reached._fields)
    return row_of(Reached, connection.execute(select(*columns)))


def _begin(connection: Connection) -> None:
    connection.execute(insert(checkpoint).values(id=1, event_id=0, newest_id=0, folds=0))


def note_change(connection: Connection) -> None:
    """Say that the read models have changed, in the transaction that does so, apart from the
    follower. What a follower has worked out from the state before is then of no use."""
    connection.execute(update(checkpoint).values(folds=checkpoint.c.folds + 1))


def _release(engine: Engine, holder: str) -> None:
    with write_transaction(engine) as connection:
        hold_write_lock(connection)
        held = update(checkpoint).where(checkpoint.c.holder == holder)
        connection.execute(held.values(lease_until=store_time(connection)))


@dataclass(frozen=True, slots=True)
class Pause:
    """In which no follower works. `newest_id` is that of the last event that had arrived when it
    began, `folds` the number of the last change to the read models before it."""

    engine: Engine
    holder: str
    newest_id: int
    folds: int

    def extend(self) -> None:
        """Let it last for PAUSE from now on. If this process ends, followers wait as long."""
        with write_transaction(self.engine) as connection:
            hold_write_lock(connection)
            _hold(connection, self.holder, PAUSE)

    def holds(self, connection: Connection) -> bool:
        """Whether no follower has worked since it began. The transaction has the write lock."""
        reached = reached_in(connection)
        return reached is not None and (reached.holder, reached.folds) == (self.holder, self.folds)


@contextmanager
def paused(engine: Engine) -> Iterator[Pause]:
    """Take the lease of the follower of this store, and give it away at the end."""
    holder = new_holder()
    with write_transaction(engine) as connection:
        hold_write_lock(connection)
        if reached_in(connection) is None:
            _begin(connection)
        _hold(connection, holder, PAUSE)
        newest = connection.scalar(select(func.max(event.id))) or 0
        folds = connection.scalar(select(checkpoint.c.folds)) or 0
    try:
        yield Pause(engine, holder, newest, folds)
    finally:
        _release(engine, holder)


def _hold(connection: Connection, holder: str, time: timedelta) -> None:
    until = store_time(connection) + time
    connection.execute(update(checkpoint).values(holder=holder, lease_until=until))


def set_aside(connection: Connection, reasons: Mapping[int, str], now: datetime) -> None:
    """Note events that cannot be folded, with the reasons."""
    if not reasons:
        return
    statement = insert_into(connection.dialect.name, UnfoldableEvent).values(
        [
            {"event_id": id_, "reason": reason[:LONGEST_REASON], "noted_at": now}
            for id_, reason in reasons.items()
        ]
    )
    new = {name: statement.excluded[name] for name in ("reason", "noted_at")}
    connection.execute(statement.on_conflict_do_update(index_elements=["event_id"], set_=new))


def _next_events(
    connection: Connection, position: Position, size: int
) -> tuple[list[StoredEvent], Position]:
    """The next events to fold, up to `size`, and the position after them."""
    if connection.dialect.name == "sqlite":
        fresh = _after(connection, position.newest_id, size)
        newest = fresh[-1].id if fresh else position.newest_id
        return fresh, Position(newest, position.folds)
    oldest_running = _oldest_running(connection)  # before the events are read
    late = _in_gaps(connection, position.gaps, size)
    fresh = _after(connection, position.newest_id, size - len(late))
    gaps = _without(position.gaps, [one.id for one in late])
    if len(late) < size:  # all that could be read of the gaps was
        gaps = [gap for gap in gaps if gap.drawn_before > oldest_running]
    ids = [position.newest_id, *(one.id for one in fresh)]
    missing = [(one + 1, other - 1) for one, other in pairwise(ids) if other > one + 1]
    if missing:
        number = _own_number(connection)
        gaps += [Gap(first, last, number) for first, last in missing]
    return [*late, *fresh], Position(ids[-1], position.folds, gaps)


def _after(connection: Connection, event_id: int, size: int) -> list[StoredEvent]:
    query = events().where(event.id > event_id).limit(size)
    return list(rows_of(StoredEvent, connection.execute(query)))


def _in_gaps(connection: Connection, gaps: Sequence[Gap], size: int) -> list[StoredEvent]:
    if not gaps:
        return []
    ids = ARRAY(BigInteger)
    given = (
        func.unnest(bindparam("firsts", type_=ids), bindparam("lasts", type_=ids))
        .table_valued("first", "last")
        .render_derived()
    )
    query = events().join(given, event.id.between(given.c.first, given.c.last)).limit(size)
    firsts, lasts = [gap.first for gap in gaps], [gap.last for gap in gaps]
    found = connection.execute(query, {"firsts": firsts, "lasts": lasts})
    return list(rows_of(StoredEvent, found))


def _without(gaps: Sequence[Gap], found: Sequence[int]) -> list[Gap]:
    """The gaps without these IDs. Both are in order."""
    left: list[Gap] = []
    ids = iter(found)
    id_ = next(ids, None)
    for gap in sorted(gaps):
        first = gap.first
        while id_ is not None and id_ <= gap.last:
            if first < id_:
                left.append(Gap(first, id_ - 1, gap.drawn_before))
            first = id_ + 1
            id_ = next(ids, None)
        if first <= gap.last:
            left.append(gap._replace(first=first))
    return left


def _oldest_running(connection: Connection) -> int:
    """The number of the oldest transaction that may still run: all before it have ended."""
    query = "SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint"
    return int(connection.exec_driver_sql(query).scalar_one())


def _own_number(connection: Connection) -> int:
    """The number of this transaction. Given now, as it has not written yet, so it is larger than
    that of any transaction that has written."""
    query = "SELECT pg_current_xact_id()::text::bigint"
    return int(connection.exec_driver_sql(query).scalar_one())


def fold_rest(connection: Connection) -> None:
    """Fold all events behind the checkpoint, in the transaction of the caller, who holds the write
    lock. The checkpoint stays: the follower folds them again, which changes nothing."""
    reached = reached_in(connection)
    last = reached.event_id if reached else 0
    row = table_of(UnfoldableEvent).c
    unfoldable = set(connection.scalars(select(row.event_id).where(row.event_id > last)))
    while batch := _after(connection, last, MAX_BATCH):
        foldable = (one for one in batch if one.id not in unfoldable)
        project(connection, [fact for one in foldable for fact in facts_of(one)])
        last = batch[-1].id
