"""Group commit: all waiting deliveries share one transaction.

One thread writes. While it commits a batch, the event loop verifies the deliveries of the next one,
so batches grow with the load and share one sync to disk. A delivery is answered after its commit.
"""

import asyncio
import queue
import secrets
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import compress, repeat
from operator import not_
from typing import Any, TypeAlias

import structlog
from sqlalchemy import Connection, Engine

from receiver.deadlines import Deadlines
from receiver.errors import StoreUnavailable, first_line, is_of_the_store
from receiver.metrics import Metrics
from receiver.quarantine import Caps
from receiver.store import PARTS, Entry, Written, try_out, write_batch, write_heartbeat
from shared.outcomes import HAS_EVENT, Outcome
from shared.queries.follower import Lag, lag as lag_in
from shared.sqlite_file import require_in_place

MAX_BATCH = 500
COMMIT_DELAY_SEC = 0.003
"""Under load the first delivery of a batch waits this long for more, like Postgres' `commit_delay`.
More deliveries then share the cost of a batch, and the event loop has the interpreter meanwhile."""
HEARTBEAT_EVERY = timedelta(seconds=15)
ANSWER_SEC = 10
"""How long a delivery waits for its commit. MindTickle closes the connection after 15 s, and the
body took time to arrive. https://www.standardwebhooks.com advises senders to wait 15 to 30 s."""
CLOSE_SEC = 10

log = structlog.get_logger()


Result: TypeAlias = Written | Lag | StoreUnavailable | None


class Waiting:
    """An entry of `size` bytes, and what is called with its result, once. Without an entry: a
    request for a heartbeat, whose result is how far the read models are behind."""

    __slots__ = ("_answer", "entry", "is_answered", "size")

    def __init__(self, entry: Entry | None, size: int, answer: Callable[[Any], object]) -> None:
        self.entry = entry
        self.size = size
        self.is_answered = False
        self._answer = answer

    def answer(self, result: Result) -> None:
        """Do nothing if the request has its answer already: it waited too long."""
        if not self.is_answered:
            self.is_answered = True
            self._answer(result)


class Writer:
    """The only writer of deliveries in this process."""

    def __init__(
        self,
        engine: Engine,
        metrics: Metrics,
        max_deliveries: int,
        max_bytes: int,
        caps: Caps | None = None,
        answer_sec: float = ANSWER_SEC,
        *,
        logs_batches: bool = True,
    ) -> None:
        self._engine = engine
        self._metrics = metrics
        self._max_deliveries = max_deliveries
        self._max_bytes = max_bytes
        self._caps = caps
        self._answer_sec = answer_sec
        self._logs_batches = logs_batches
        self._deadlines = Deadlines(self._give_up)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._deliveries = 0
        self._bytes = 0
        self._check: asyncio.Future[Lag] | None = None
        self._waiting: queue.SimpleQueue[Waiting | None] = queue.SimpleQueue()
        self._part = 1 + secrets.randbelow(PARTS)
        self._name = f"{socket.gethostname()}-{uuid.uuid4().hex[:8]}"
        self._started_at = datetime.now(UTC)
        self._seen_at: datetime | None = None
        self._under_load = False
        self._busy_since: float | None = None
        # A daemon: a store that hangs must not keep the process alive.
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def close(self) -> None:
        """Write all waiting entries, then stop. Waits up to CLOSE_SEC."""
        self._waiting.put(None)
        self._thread.join(CLOSE_SEC)

    async def write(self, entry: Entry) -> Written:
        """Wait until `entry` is committed. Raises StoreUnavailable, as `put` answers it."""
        written: Written = await _result(lambda answer: self.put(entry, answer))
        return written

    def put(self, entry: Entry, answer: Callable[[Written | StoreUnavailable], object]) -> None:
        """Have `answer` called in the event loop once `entry` is committed, or with
        StoreUnavailable: at once, or after `answer_sec` at the latest. The entry is then not
        written, unless its transaction has already begun."""
        size = entry.body_bytes if entry.quarantined or entry.event else 0
        if lacking := self._lacks_room(size):
            answer(lacking)
            return
        self._deliveries += 1
        self._bytes += size
        self._queue(Waiting(entry, size, answer))

    async def check(self) -> Lag:
        """Wait until a heartbeat is committed: how far the read models are behind. Raises
        StoreUnavailable. All who ask meanwhile wait for the same one, outside the places of
        deliveries: anyone can ask."""
        if lacking := self._lacks_room(0):
            raise lacking
        if self._check is None or self._check.done():
            self._check = _result(lambda answer: self._queue(Waiting(None, 0, answer)))
        return await asyncio.shield(self._check)

    def _lacks_room(self, size: int) -> StoreUnavailable | None:
        if self._deliveries >= self._max_deliveries or self._bytes + size > self._max_bytes:
            return StoreUnavailable("too many deliveries are waiting")
        if self._hangs():
            return StoreUnavailable("the store does not answer")
        return None

    def _queue(self, one: Waiting) -> None:
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
        self._deadlines.set(one, self._answer_sec)
        self._waiting.put(one)

    def _give_up(self, one: Waiting) -> None:
        one.answer(StoreUnavailable(f"the store took more than {self._answer_sec:g} s"))

    def _hangs(self) -> bool:
        """Whether the current transaction takes so long that a new entry should not wait."""
        since = self._busy_since
        return since is not None and time.monotonic() - since > self._answer_sec

    def _run(self) -> None:
        closing = False
        while not closing:
            batch, closing = self._next_batch()
            self._under_load = len(batch) > 1
            self._busy_since = time.monotonic()
            self._write(batch)
            self._busy_since = None

    def _next_batch(self) -> tuple[list[Waiting], bool]:
        """All waiting entries, up to MAX_BATCH, and whether to stop after them."""
        batch: list[Waiting] = []
        try:
            one = self._waiting.get(timeout=HEARTBEAT_EVERY.total_seconds())
            if self._under_load:
                time.sleep(COMMIT_DELAY_SEC)
            while one is not None:
                batch.append(one)
                if len(batch) == MAX_BATCH:
                    return batch, False
                one = self._waiting.get_nowait()
        except queue.Empty:
            return batch, False
        return batch, True

    def _write(self, batch: Sequence[Waiting]) -> None:
        """Write the entries whose request still waits. The others were answered 503."""
        waits = [not one.is_answered for one in batch]
        waiting = list(compress(batch, waits))
        self._answer(list(compress(batch, map(not_, waits))), repeat(None))
        if (error := self._try(waiting, joins=True)) is None:
            return
        if is_of_the_store(error) or len(waiting) <= 1:
            self._fail(waiting)
        else:
            self._write_each(waiting)

    def _write_each(self, batch: Sequence[Waiting]) -> None:
        """Write each entry alone, so that one bad row fails alone."""
        for place, one in enumerate(batch):
            if error := self._try([one]):
                if is_of_the_store(error):
                    self._fail(batch[place:])
                    return
                self._fail([one])

    def _try(self, batch: list[Waiting], *, joins: bool = False) -> Exception | None:
        """Commit and answer these entries, and with `joins` those that arrive until the transaction
        begins, which then are in `batch` too. Returns the error if that fails."""
        try:
            results, lag = self._commit(batch, joins=joins)
        except Exception as error:  # without this thread no delivery is accepted
            self._metrics.store_failures.inc()
            log.error("commit_failed", deliveries=len(batch), error=first_line(error))
            return error
        written = iter(results)
        self._answer(batch, [next(written) if one.entry else lag for one in batch])
        if self._logs_batches:
            _log_accepted(_entries(batch), results)
        return None

    def _fail(self, batch: Sequence[Waiting]) -> None:
        self._answer(batch, repeat(StoreUnavailable("the store cannot be written")))

    def _commit(self, batch: list[Waiting], *, joins: bool) -> tuple[list[Written], Lag | None]:
        now = datetime.now(UTC)
        beat = self._seen_at is None or now - self._seen_at >= HEARTBEAT_EVERY
        if not batch and not beat:
            return [], None
        with (
            self._metrics.commit_seconds.time(),
            self._engine.connect().execution_options(immediate=True) as connection,
        ):
            with connection.begin():
                if joins:
                    self._join(batch)
                heartbeat = any(one.entry is None for one in batch)
                entries = _entries(batch)
                results = self._write_entries(connection, entries) if entries else []
                if beat or heartbeat:
                    write_heartbeat(connection, self._name, self._started_at, now)
                lag = lag_in(connection) if heartbeat else None
            require_in_place(connection)
        if beat or heartbeat:
            self._seen_at = now
        self._metrics.batch_size.observe(len(entries))
        return results, lag

    def _join(self, batch: list[Waiting]) -> None:
        """Add what has arrived while the transaction waited for SQLite's write lock."""
        with suppress(queue.Empty):
            while len(batch) < MAX_BATCH:
                one = self._waiting.get_nowait()
                if one is None:  # to stop, after this batch
                    self._waiting.put(None)
                    return
                if one.is_answered:
                    self._answer([one], [None])
                else:
                    batch.append(one)

    def _write_entries(self, connection: Connection, entries: Sequence[Entry]) -> list[Written]:
        real = [entry for entry in entries if not entry.trial]
        written = iter(write_batch(connection, real, self._caps, self._part))
        return [
            try_out(connection, entry, self._caps, self._part) if entry.trial else next(written)
            for entry in entries
        ]

    def _answer(self, batch: Sequence[Waiting], results: Iterable[Result]) -> None:
        if batch and self._loop:
            with suppress(RuntimeError):  # the receiver has stopped meanwhile
                self._loop.call_soon_threadsafe(self._settle, batch, results)

    def _settle(self, batch: Sequence[Waiting], results: Iterable[Result]) -> None:
        # An entry counts until now, even if its request gave up earlier.
        self._deliveries -= sum(one.entry is not None for one in batch)
        self._bytes -= sum(one.size for one in batch)
        for one, result in zip(batch, results, strict=False):
            self._deadlines.clear(one)
            try:
                one.answer(result)
            except Exception as error:  # the others are to have their answer too
                log.error("answer_failed", error=first_line(error))


def _result(ask: Callable[[Callable[[Any], object]], object]) -> asyncio.Future[Any]:
    """The result of something that calls what it is given with a result or a StoreUnavailable."""
    future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    def settle(result: Result) -> None:
        if future.done():  # its task was cancelled
            return
        if isinstance(result, StoreUnavailable):
            future.set_exception(result)
        else:
            future.set_result(result)

    ask(settle)
    return future


def _entries(batch: Iterable[Waiting]) -> list[Entry]:
    return [one.entry for one in batch if one.entry]


def _log_accepted(entries: Sequence[Entry], results: Sequence[Written]) -> None:
    """One line for the events of a transaction: a line for each is a tenth of what they cost."""
    keys: dict[Outcome, list[str | None]] = {one: [] for one in HAS_EVENT}
    for entry, written in zip(entries, results, strict=True):
        if written.outcome in keys and not entry.trial:
            keys[written.outcome].append(entry.claims.event_key)
    if found := {outcome.value: some for outcome, some in keys.items() if some}:
        log.info("deliveries", **found)
