"""Group commit: all deliveries that are waiting share one transaction.

One thread writes. While it commits batch N, the event loop verifies the deliveries of batch
N + 1, so batches grow with the load and a sync to disk is shared by all of them. A delivery
is answered only after its commit.
"""

import asyncio
import queue
import socket
import threading
import time
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import structlog
from sqlalchemy import Engine

from receiver.errors import StoreUnavailable, first_line, is_of_the_store
from receiver.metrics import Metrics
from receiver.quarantine import Caps
from receiver.store import Entry, Written, write_batch, write_heartbeat

MAX_BATCH = 500
COMMIT_DELAY_SEC = 0.003
"""Under load the first of a batch waits so long for others, as under Postgres' `commit_delay`: what
a batch costs by itself is shared by more, and meanwhile the event loop has the interpreter."""
HEARTBEAT_EVERY = timedelta(seconds=15)

log = structlog.get_logger()


class Waiting(NamedTuple):
    """An entry and where to tell what became of it. Without an entry: a question if all is well."""

    entry: Entry | None
    told: asyncio.Future[Written | None]


class Writer:
    """The only writer of deliveries in this process."""

    def __init__(
        self,
        engine: Engine,
        metrics: Metrics,
        max_deliveries: int,
        max_bytes: int,
        caps: Caps | None = None,
    ) -> None:
        self._engine = engine
        self._metrics = metrics
        self._max_deliveries = max_deliveries
        self._max_bytes = max_bytes
        self._caps = caps
        self._deliveries = 0
        self._bytes = 0
        self._waiting: queue.SimpleQueue[Waiting | None] = queue.SimpleQueue()
        self._name = f"{socket.gethostname()}-{uuid.uuid4().hex[:8]}"
        self._started_at = datetime.now(UTC)
        self._seen_at: datetime | None = None
        self._under_load = False
        self._thread = threading.Thread(target=self._run, name="writer")

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def close(self) -> None:
        """Write all that is waiting, then stop."""
        self._waiting.put(None)
        self._thread.join()

    async def write(self, entry: Entry) -> Written:
        """Wait until `entry` is committed. Raises StoreUnavailable."""
        written = await self._wait(entry)
        assert written is not None  # noqa: S101 (an entry is always told what became of it)
        return written

    async def check(self) -> None:
        """Wait until a heartbeat is committed. Raises StoreUnavailable."""
        await self._wait(None)

    async def _wait(self, entry: Entry | None) -> Written | None:
        size = entry.body_bytes if entry and (entry.held or entry.event) else 0
        if self._deliveries >= self._max_deliveries or self._bytes + size > self._max_bytes:
            raise StoreUnavailable("too many deliveries are waiting")
        told: asyncio.Future[Written | None] = asyncio.get_running_loop().create_future()
        self._deliveries += 1
        self._bytes += size
        self._waiting.put(Waiting(entry, told))
        try:
            return await told
        finally:
            self._deliveries -= 1
            self._bytes -= size

    def _run(self) -> None:
        closing = False
        while not closing:
            batch, closing = self._next_batch()
            self._under_load = len(batch) > 1
            self._write(batch)

    def _next_batch(self) -> tuple[list[Waiting], bool]:
        """All that is waiting, up to a limit, and whether to stop after it."""
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
        try:
            results = self._commit([one.entry for one in batch if one.entry], all_well=_asks(batch))
        except Exception as error:  # the thread must outlive any bug, or nothing is taken in
            self._recover(batch, error)
        else:
            written = iter(results)
            _tell(batch, [next(written) if one.entry else None for one in batch])

    def _commit(self, entries: Sequence[Entry], *, all_well: bool) -> list[Written]:
        now = datetime.now(UTC)
        beat = all_well or self._seen_at is None or now - self._seen_at >= HEARTBEAT_EVERY
        if not entries and not beat:
            return []
        with (
            self._metrics.commit_seconds.time(),
            self._engine.connect().execution_options(immediate=True) as connection,
            connection.begin(),
        ):
            results = write_batch(connection, entries, self._caps) if entries else []
            if beat:
                write_heartbeat(connection, self._name, self._started_at, now)
        if beat:
            self._seen_at = now
        self._metrics.batch_size.observe(len(entries))
        return results

    def _recover(self, batch: Sequence[Waiting], error: Exception) -> None:
        """A failed batch: all fail if the store is down, else each is tried by itself, so that
        one poisoned row never costs its neighbours."""
        self._metrics.store_failures.inc()
        log.error("commit_failed", deliveries=len(batch), error=first_line(error))
        if is_of_the_store(error) or len(batch) <= 1:
            failed = StoreUnavailable("the store cannot be written")
            _tell(batch, [failed] * len(batch))
            return
        for one in batch:
            self._write([one])


def _asks(batch: Sequence[Waiting]) -> bool:
    return any(one.entry is None for one in batch)


def _tell(batch: Sequence[Waiting], results: Sequence[Written | StoreUnavailable | None]) -> None:
    if batch:
        batch[0].told.get_loop().call_soon_threadsafe(_settle, batch, results)


def _settle(batch: Sequence[Waiting], results: Sequence[Written | StoreUnavailable | None]) -> None:
    for one, result in zip(batch, results, strict=True):
        if one.told.done():  # its request was cancelled
            continue
        if isinstance(result, StoreUnavailable):
            one.told.set_exception(result)
        else:
            one.told.set_result(result)
