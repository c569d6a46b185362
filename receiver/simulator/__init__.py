"""A vendor to play with: seeded, signed deliveries of a company over HTTP.

`company` lives through the months and tells its events, without I/O; `scenarios` says what is the
matter with the live part; `post` signs the events and lets some go wrong; `deliverer` sends them.
One plan from one start always tells the same story.
"""

import asyncio
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import httpx

from receiver.errors import SimulatorError
from receiver.simulator.company import Company
from receiver.simulator.deliverer import Deliverer, Summary
from receiver.simulator.post import Delivery, Event, MindTickleWire, Post
from receiver.simulator.scenarios import OPEN_END, TWISTS, Scenario, Twist, scenario_named

__all__ = ["Plan", "Play", "Scenario", "Summary", "scenario_named", "simulate"]

FOREVER = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Plan:
    """What to play, and where to send it."""

    url: str
    secret: str = field(repr=False)
    retry_after: tuple[timedelta, ...]
    """From the first attempt to each retry, as the vendor does it."""
    suspend_after: timedelta | None = None
    """How long every delivery fails until the vendor stops; None if it never does."""
    tolerance_future: timedelta = timedelta(minutes=5)
    """How far the receiver lets a clock be ahead."""
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
    scenario: Scenario | None = None
    """What is the matter with the live part."""


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
            await deliverer.send_paced(
                play.live(_now, until, deliverer.taken), plan.rate, plan.duration
            )
    return deliverer.summary


def _now() -> datetime:
    return datetime.now(UTC)


class Play:
    """The deliveries of a plan: first its history, then what happens live."""

    def __init__(self, plan: Plan, start: datetime) -> None:
        start = start.astimezone(UTC).replace(microsecond=0)
        self._plan = plan
        self._twist = TWISTS[plan.scenario] if plan.scenario else Twist()
        self._company = Company(plan.seed, plan.learners, start, plan.backfill_days)
        # A later play of the same plan must not send the ids of an earlier one: all would count
        # as duplicates.
        self._seed = f"{plan.seed} {start.isoformat()}"

    def history(self) -> Iterator[Delivery]:
        """The backfill up to the start, in order of time. To be taken once, before `live`."""
        plan, end = self._plan, self._company.end
        wire = MindTickleWire(plan.secret, plan.company_id)
        post = Post(wire, plan.faults, self._seed, plan.retry_after)
        for event in filter(self._is_subscribed, self._company.history()):
            post.add(event, until=end)
            yield from post.due(event.at)
        yield from post.due(end)

    def live(
        self,
        now: Callable[[], datetime],
        until: datetime | None = None,
        taken: Container[str] = (),
    ) -> Iterator[Delivery | None]:
        """Goes on where the history ended, until `until`, the vendor's suspension or without end.

        `now` is asked for the time whenever a delivery is taken. None is a turn in which nothing
        is sent. Where a scenario has retries, there are none of the ids that are in `taken`.
        """
        began = at = now()
        until = min(until or FOREVER, self._suspended_at(began))
        post = self._live_post(began)
        while at < until:
            delivery = next(post.due(at, taken), None)
            if delivery is None:
                for event in filter(self._is_subscribed, [self._company.live_event(at)]):
                    for told in self._twist.tells(event):
                        post.add(told, until)
                delivery = next(post.due(at, taken), None)
            yield delivery
            at = now()
        yield from post.due(until, taken)

    def _is_subscribed(self, event: Event) -> bool:
        return event.type not in self._twist.unsubscribed

    def _suspended_at(self, began: datetime) -> datetime:
        after = self._plan.suspend_after
        return began + after if after and self._twist.suspended else FOREVER

    def _live_post(self, began: datetime) -> Post:
        plan, twist = self._plan, self._twist
        length = timedelta(seconds=plan.duration) if plan.duration else OPEN_END
        gain = twist.clock_gain * plan.tolerance_future
        wire = MindTickleWire(
            plan.secret + twist.secret,
            plan.company_id + twist.company,
            lambda at: gain * min(1.0, (at - began) / length),
        )
        return Post(
            wire,
            plan.faults,
            f"{self._seed} live",
            plan.retry_after,
            retried=twist.retried,
            beside=twist.beside,
            arriving_from=began + twist.unreachable * length,
        )
