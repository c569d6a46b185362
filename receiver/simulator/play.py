# ruff: noqa: S311 (seeded dice; they protect nothing)
"""The deliveries of a plan: first its history, then the live part. Without I/O."""

from collections.abc import Callable, Container, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from random import Random

from receiver.simulator.base import QUIET, Delivery
from receiver.simulator.company import Company
from receiver.simulator.parts import PARTS
from receiver.simulator.post import Plan, Post
from receiver.simulator.scenarios import ORDINARY

FOREVER = datetime.max.replace(tzinfo=UTC)


class Play:
    """All deliveries of one vendor."""

    def __init__(self, plan: Plan, start: datetime) -> None:
        start = start.astimezone(UTC).replace(microsecond=0)
        self.plan = plan
        self._end = start
        self._scenario = plan.scenario.at(plan.vendor)
        # All vendors know the same company, however many of them play.
        company = Company(plan.seed, plan.learners, start, plan.backfill_days)
        self._story = PARTS[plan.vendor].story(company, Random(f"{plan.seed} {plan.vendor}"))
        self._history = self._played()
        # The start is part of the seed: with the IDs of an earlier run every event would be a
        # duplicate.
        self._seed = f"{plan.seed} {plan.vendor} {start.isoformat()}"

    def history(self) -> Iterator[Delivery]:
        """The backfill until the start, in order of time: what was not taken from it before. Take
        all of it before `live`."""
        return self._history

    def _played(self) -> Iterator[Delivery]:
        post = Post(self.plan, ORDINARY, self._seed)
        for event in self._story.history():
            if event.type not in self._scenario.unsubscribed:
                post.add(event, until=self._end)
                yield from post.due(event.at)
        yield from post.due(self._end)

    def live(
        self,
        now: Callable[[], datetime],
        until: datetime | None = None,
        accepted: Container[str] = (),
    ) -> Iterator[Delivery | None]:
        """Continues the history until `until` or the vendor's suspension; without one, forever.

        Calls `now` for each delivery. None is a turn without a delivery. In a scenario with
        retries, event IDs in `accepted` are not retried.
        """
        began = at = now()
        until = min(until or FOREVER, self._suspended_at(began))
        plan = replace(self.plan, past=QUIET)
        post = Post(plan, self._scenario, f"{self._seed} live", began)
        while at < until:
            delivery = next(post.due(at, accepted), None)
            if delivery is None:
                self._happen(post, at, until)
                delivery = next(post.due(at, accepted), None)
            yield delivery
            at = now()
        yield from post.due(until, accepted)

    def _happen(self, post: Post, at: datetime, until: datetime) -> None:
        event = self._story.live_event(at)
        if event.type not in self._scenario.unsubscribed:
            for sent in self._scenario.events(event):
                post.add(sent, until)

    def _suspended_at(self, began: datetime) -> datetime:
        after = self.plan.suspend_after
        return began + after if after and self._scenario.suspended else FOREVER
