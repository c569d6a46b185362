"""Chores: what a running receiver does besides deliveries, in a separate thread.

Every second it stores the counts of unknown addresses, measures how far the read models are behind,
counts the fields of new events, fetches the vendors' public keys that are due, and runs requested
tests and a requested replay. Every ten seconds it counts messages. Once an hour it updates the
statistics of the store's planner (5 ms on SQLite with a million events). Once a day it prunes.
Chores use small transactions with pauses between them, so deliveries do not wait.
"""

import threading
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from time import monotonic

import structlog
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from receiver.errors import Stopping, first_line
from receiver.field_counts import FieldCounts
from receiver.key_sets import KeySets
from receiver.metrics import Metrics
from receiver.prune import prune
from receiver.replay_requests import carry_out_next
from receiver.trials import Trials
from receiver.unknown_addresses import UnknownAddresses
from receiver.vendors.base import Vendor
from shared.database import analyze
from shared.queries.follower import lag
from shared.queries.sent import counts

POLL_SEC = 1.0
AFTER_FAILURE_SEC = 5.0
AFTER_LOCK_SEC = 60.0
PRUNE_EVERY_SEC = 86_400.0
ANALYZE_EVERY_SEC = 3_600.0
COUNT_EVERY_SEC = 10.0
DAY = timedelta(days=1)
PAUSE_SEC = 0.05
CLOSE_SEC = 5

log = structlog.get_logger()


class Chores:
    """The thread. `retention_days` 0 keeps all deliveries."""

    def __init__(
        self,
        engine: Engine,
        vendors: Mapping[str, Vendor],
        retention_days: int,
        unknown: UnknownAddresses,
        trials: Trials,
        metrics: Metrics,
        fields: FieldCounts,
    ) -> None:
        self._fields = fields
        self._key_sets = KeySets(engine, vendors)
        self._unknown = unknown
        self._trials = trials
        self._metrics = metrics
        self._engine = engine
        self._vendors = vendors
        self._retention_days = retention_days
        self._prune_at = self._analyze_at = self._count_at = monotonic()
        self._stopping = threading.Event()
        # A daemon: a store that hangs must not keep the process alive.
        self._thread = threading.Thread(target=self._run, name="chores", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def close(self) -> None:
        """Stop after the current transaction. Waits up to CLOSE_SEC for it."""
        self._stopping.set()
        self._thread.join(CLOSE_SEC)
        with suppress(SQLAlchemyError):
            self._unknown.write()

    def _run(self) -> None:
        pause = 0.0
        while not self._stopping.wait(pause):
            try:
                pause = POLL_SEC
                self._unknown.write()
                self._prune()
                self._analyze()
                self._measure_lag()
                self._count_messages()
                self._key_sets.carry_out()
                self._trials.carry_out()
                self._fields.carry_out()
                if carry_out_next(self._engine, self._vendors, self._pause):
                    pause = 0.0  # there may be another request
            except Stopping:
                return
            except Exception as error:  # the thread survives any failure of the store
                log.error("chore_failed", error=first_line(error))
                pause = AFTER_FAILURE_SEC

    def _measure_lag(self) -> None:
        with self._engine.connect() as connection:
            found = lag(connection)
        self._metrics.events_behind.set(found.events)
        self._metrics.seconds_behind.set(found.seconds)

    def _count_messages(self) -> None:
        if monotonic() < self._count_at:
            return
        with self._engine.connect() as connection:
            found = counts(connection, datetime.now(UTC) - DAY)
        self._metrics.sent({(one.rule, one.state): one.messages for one in found})
        self._count_at = monotonic() + COUNT_EVERY_SEC

    def _prune(self) -> None:
        if not self._retention_days or monotonic() < self._prune_at:
            return
        removed = prune(self._engine, self._retention_days, actor="receiver", stopping=self._pause)
        self._prune_at = monotonic() + PRUNE_EVERY_SEC
        if removed.deliveries:
            log.info("pruned", days=self._retention_days, **removed._asdict())

    def _analyze(self) -> None:
        if monotonic() >= self._analyze_at:
            done = analyze(self._engine)
            self._analyze_at = monotonic() + (ANALYZE_EVERY_SEC if done else AFTER_LOCK_SEC)

    def _pause(self) -> bool:
        """Wait between two transactions. Returns whether to stop."""
        return self._stopping.wait(PAUSE_SEC)
