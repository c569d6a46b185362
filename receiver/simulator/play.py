# ruff: noqa: S311 (dice with a seed: they guard nothing)
"""The deliveries of a plan: first its history, then what happens live. Without I/O."""

from collections.abc import Callable, Container, Iterator
from datetime import UTC, datetime, timedelta
from random import Random

from receiver.simulator.company import Company
from receiver.simulator.parts import PARTS
from receiver.simulator.plan import Plan
from receiver.simulator.post import Delivery, Event, Post
from receiver.simulator.scenarios import OPEN_END, Twist, twist_of

FOREVER = datetime.max.replace(tzinfo=UTC)


class Play:
    """One vendor's part, as the plan says."""

    def __init__(self, plan: Plan, start: datetime) -> None:
        start = start.astimezone(UTC).replace(microsecond=0)
        self._plan = plan
        self._end = start
        self._part = PARTS[plan.vendor]
        self._twist = twist_of(plan.scenario, plan.vendor)
        # The same people at each vendor, however many of them play.
        company = Company(plan.seed, plan.learners, start, plan.backfill_days)
        self._story = self._part.story(company, Random(f"{plan.seed} {plan.vendor}"))
        # A later play of the same plan must not send the ids of an earlier one: all would count
        # as duplicates.
        self._seed = f"{plan.seed} {plan.vendor} {start.isoformat()}"

    def history(self) -> Iterator[Delivery]:
        """The backfill up to the start, in order of time. To be taken once, before `live`."""
        plan, end = self._plan, self._end
        wire = self._part.wire(plan, Twist(), lambda _: timedelta(0))
        post = Post(wire, plan.faults, self._seed, plan.retry_after)
        for event in filter(self._is_subscribed, self._story.history()):
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
                for event in filter(self._is_subscribed, [self._story.live_event(at)]):
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
        return Post(
            self._part.wire(plan, twist, lambda at: gain * min(1.0, (at - began) / length)),
            plan.faults,
            f"{self._seed} live",
            plan.retry_after,
            retried=twist.retried,
            beside=twist.beside,
            arriving_from=began + twist.unreachable * length,
        )
