"""A vendor to play with: seeded, signed deliveries of a company over HTTP.

`company` lives through the months and tells its events, without I/O; `post` signs them and lets
some go wrong; `deliverer` sends them. One plan from one start always tells the same story.
"""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import httpx

from receiver.errors import SimulatorError
from receiver.simulator.company import Company
from receiver.simulator.deliverer import Deliverer, Summary
from receiver.simulator.post import Delivery, MindTickleWire, Post

__all__ = ["Plan", "Play", "Summary", "simulate"]

FOREVER = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Plan:
    """What to play, and where to send it."""

    url: str
    secret: str = field(repr=False)
    company_id: str = "demo"
    seed: int = 7
    learners: int = 120
    rate: float = 5.0
    """Deliveries a second, once the history is told."""
    backfill_days: int = 90
    duration: float | None = None
    """Seconds to go on after the history; None is without end."""
    faults: float = 0.06
    """Share of the events around which something goes wrong, 0 to 1."""


def simulate(
    plan: Plan,
    on_progress: Callable[[Summary], object] | None = None,
    start: datetime | None = None,
) -> Summary:
    """Send the history before `start` (default: now), then go on live for `plan.duration`.

    `on_progress` is called after every 500 deliveries. Raises SimulatorError if no receiver
    answers at `plan.url`.
    """
    return asyncio.run(_simulate(plan, on_progress, start or datetime.now(UTC)))


async def _simulate(
    plan: Plan, on_progress: Callable[[Summary], object] | None, start: datetime
) -> Summary:
    play = Play(plan, start)
    try:
        deliverer = Deliverer(plan.url, MindTickleWire.path, on_progress)
    except httpx.InvalidURL as error:
        raise SimulatorError(f"{plan.url} is no address of a receiver: {error}") from None
    async with deliverer:
        await deliverer.wait_for_receiver()
        await deliverer.send_all(play.history())
        if plan.duration != 0:
            until = None if plan.duration is None else _now() + timedelta(seconds=plan.duration)
            await deliverer.send_paced(play.live(_now, until), plan.rate, plan.duration)
    return deliverer.summary


def _now() -> datetime:
    return datetime.now(UTC)


class Play:
    """The deliveries of a plan: first its history, then what happens live."""

    def __init__(self, plan: Plan, start: datetime) -> None:
        start = start.astimezone(UTC).replace(microsecond=0)
        self._company = Company(plan.seed, plan.learners, start, plan.backfill_days)
        # A later play of the same plan must not send the ids of an earlier one: all would count
        # as duplicates.
        seed = f"{plan.seed} {start.isoformat()}"
        self._post = Post(MindTickleWire(plan.secret, plan.company_id), plan.faults, seed)

    def history(self) -> Iterator[Delivery]:
        """The backfill up to the start, in order of time. To be taken once, before `live`."""
        end = self._company.end
        for event in self._company.history():
            self._post.add(event, until=end)
            yield from self._post.due(event.at)
        yield from self._post.due(end)

    def live(
        self, now: Callable[[], datetime], until: datetime | None = None
    ) -> Iterator[Delivery]:
        """Goes on where the history ended, until `until` or without end.

        `now` is asked for the time whenever a delivery is taken.
        """
        until = until or FOREVER
        while (at := now()) < until:
            delivery = next(self._post.due(at), None)
            if delivery is None:
                self._post.add(self._company.live_event(at), until)
                delivery = next(self._post.due(at))
            yield delivery
        yield from self._post.due(until)
