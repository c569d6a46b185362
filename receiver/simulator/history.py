# ruff: noqa: S311 (seeded dice; they protect nothing)
"""Writes the history of a company into the store, in bulk.

The receiver's own code verifies, parses and stores each delivery, with the time of its arrival in
place of now. People act in between, as `receiver.simulator.story` says.
"""

import heapq
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from operator import itemgetter
from random import Random
from typing import NamedTuple

from pydantic import SecretStr
from sqlalchemy import Connection, Engine

from receiver.pipeline import judge
from receiver.quarantine import Caps
from receiver.readmodels.follower import note_change
from receiver.readmodels.projections import project
from receiver.replay import replay
from receiver.simulator import story
from receiver.simulator.base import FORMER, Delivery
from receiver.simulator.deliverer import FOREIGN_ADDRESS
from receiver.simulator.play import Play
from receiver.simulator.story import ADMIN, OUTAGE, REPLAYS, RESTART, ROTATION, Act
from receiver.store import Entry, write_batch, write_heartbeat
from receiver.vendors import configured
from receiver.vendors.base import Incoming, Vendor
from receiver.vendors.mindtickle import MindTickleSettings
from receiver.vendors.mindtickle.contract import SLUG as MINDTICKLE
from shared import clock
from shared.database import hold_write_lock
from shared.outcomes import Outcome
from shared.settings import ReceiverSettings

BATCH = 500
ADDRESS = "127.0.0.1"

Step = tuple[datetime, Callable[[], object]]


class Arrival(NamedTuple):
    """A delivery at the address of a vendor."""

    vendor: str
    delivery: Delivery


def write_history(
    engine: Engine, settings: ReceiverSettings, plays: Sequence[Play], end: datetime
) -> int:
    """Write the histories of these plays, which end at `end`. Returns the number of deliveries.

    Also writes the receiver's runs: it was up all the time, but for the outage and a restart.
    """
    arrivals = list(heapq.merge(*map(_arrivals, plays), key=lambda one: one.delivery.at))
    begin = end - timedelta(days=plays[0].plan.backfill_days)
    archive = _Archive(engine, settings, begin, end)
    mindtickle = (one.delivery for one in arrivals if one.vendor == MINDTICKLE)
    acts = story.acts(mindtickle, end, settings, Random(plays[0].plan.seed))
    steps: Iterator[Step] = heapq.merge(
        ((one.delivery.at, partial(archive.receive, one)) for one in arrivals),
        ((one.at, partial(archive.act, one)) for one in sorted(acts, key=itemgetter(0))),
        archive.replays(),
        key=itemgetter(0),
    )
    for at, do in steps:
        if begin <= at <= end:
            do()
    archive.close()
    return len(arrivals)


def _arrivals(play: Play) -> Iterator[Arrival]:
    return (Arrival(play.plan.vendor, one) for one in play.history())


class _Archive:
    """Writes into the store under the time of each step."""

    def __init__(
        self, engine: Engine, settings: ReceiverSettings, begin: datetime, end: datetime
    ) -> None:
        self._engine = engine
        self._caps = Caps(settings.quarantine_max_deliveries, settings.quarantine_max_bytes)
        self._begin = begin
        self._end = end
        self._down = OUTAGE.before(end)
        self._rotated = ROTATION.before(end)
        self._vendors = configured(settings)
        self._with_the_former_secret = self._vendors | _with_the_former_secret(settings)
        self._waiting: list[Entry] = []

    def replays(self) -> Iterator[Step]:
        """The admin's replays of what was refused for the rotated secret."""
        for after, dry_run in REPLAYS:
            at = self._rotated.end + after
            yield at, partial(self._replay, at, dry_run=dry_run)

    def receive(self, one: Arrival) -> None:
        """Take a delivery. It is written with the next batch."""
        at = one.delivery.at
        known = self._with_the_former_secret if at < self._rotated.end else self._vendors
        self._waiting.append(judge(known[one.vendor], _incoming(one.delivery)))
        if len(self._waiting) == BATCH:
            self._flush()

    def act(self, act: Act) -> None:
        """What a person does, after all deliveries up to then."""
        with self._transaction(act.at) as connection:
            act.do(connection)

    def _replay(self, at: datetime, *, dry_run: bool) -> None:
        self._flush()
        replay(
            clock.under(self._engine, at),
            self._vendors,
            MINDTICKLE,
            since=self._rotated.begin,
            outcome=Outcome.BAD_SIGNATURE,
            dry_run=dry_run,
            actor=ADMIN,
        )

    def close(self) -> None:
        """Write what waits, and the runs of the receiver up to now."""
        restarted = self._rotated.end + RESTART
        runs = (
            (self._begin, self._rotated.end),
            (restarted, self._down.begin),
            (self._down.end, datetime.now(UTC)),
        )
        with self._transaction(self._end) as connection:
            for number, (started_at, seen_at) in enumerate(runs, 1):
                if seen_at > self._begin:
                    first = max(started_at, self._begin)
                    write_heartbeat(connection, f"history-{number}", first, seen_at)

    def _flush(self) -> None:
        with self._transaction(self._end):
            pass

    @contextmanager
    def _transaction(self, at: datetime) -> Iterator[Connection]:
        """Under the time `at`, after all deliveries up to then."""
        engine = clock.under(self._engine, at)
        with engine.connect().execution_options(immediate=True) as connection, connection.begin():
            write_batch(connection, self._waiting, self._caps)
            # People in the story read at once what followed. The follower folds it again.
            hold_write_lock(connection)
            project(
                connection,
                [fact for one in self._waiting if one.event for fact in one.event.facts],
            )
            note_change(connection)
            self._waiting.clear()
            yield connection


def _with_the_former_secret(settings: ReceiverSettings) -> dict[str, Vendor]:
    """MindTickle as it was configured before the rotation; nothing if it has no secret."""
    own = settings.of_vendor(MindTickleSettings)
    if not own.mindtickle_webhook_secret:
        return {}
    first, *_ = own.mindtickle_webhook_secret
    former = SecretStr(first.get_secret_value() + FORMER.decode())
    vendor = own.model_copy(update={"mindtickle_webhook_secret": (former,)}).vendor()
    return {MINDTICKLE: vendor} if vendor else {}


def _incoming(one: Delivery) -> Incoming:
    headers = {name.lower(): value.encode() for name, value in one.headers.items()}
    return Incoming(headers, one.body, FOREIGN_ADDRESS if one.foreign else ADDRESS, one.at)
