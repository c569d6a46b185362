"""Vendors to play with: seeded deliveries of a company over HTTP.

`company` lives through the months and tells its events, without I/O, and `people` are those of it
whom another vendor knows; a file for each vendor says what happens there and how it is sent;
`scenarios` says what is the matter with the live part; `post` lets some deliveries go wrong; `play`
puts that together for one vendor, and `deliverer` sends it. One plan from one start always tells
the same story.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta

import httpx

from receiver.errors import SimulatorError
from receiver.simulator.deliverer import FOREIGN_ADDRESS, Deliverer, Summary
from receiver.simulator.parts import PARTS
from receiver.simulator.plan import Plan
from receiver.simulator.play import Play
from receiver.simulator.scenarios import TWISTS, Scenario, scenario_named, scenarios_of, twist_of

__all__ = [
    "PARTS", "TWISTS", "Plan", "Play", "Scenario", "Summary", "scenario_named", "scenarios_of",
    "simulate",
]  # fmt: skip

OnProgress = Callable[[str, Summary], object]


def simulate(
    plans: Sequence[Plan], on_progress: OnProgress | None = None, start: datetime | None = None
) -> Mapping[str, Summary]:
    """Send what the vendors have to tell of the time before `start` (default: now), then let all
    go on live for `plan.duration`, side by side. What became of it, by vendor.

    `on_progress` is called with the vendor after every 500 of its deliveries. Raises SimulatorError
    if no receiver answers at `plan.url`, or a scenario cannot be played there.
    """
    return asyncio.run(_simulate(plans, on_progress, start or _now()))


async def _simulate(
    plans: Sequence[Plan], on_progress: OnProgress | None, start: datetime
) -> Mapping[str, Summary]:
    async with AsyncExitStack() as stack:
        deliverers = [
            await stack.enter_async_context(_deliverer(plan, on_progress)) for plan in plans
        ]
        cast = [
            (plan, Play(plan, start), post) for plan, post in zip(plans, deliverers, strict=True)
        ]
        await asyncio.gather(*(_history(*one) for one in cast))
        await asyncio.gather(*(_live(*one) for one in cast))
        return {plan.vendor: deliverer.summary for plan, _, deliverer in cast}


async def _history(plan: Plan, play: Play, deliverer: Deliverer) -> None:
    await deliverer.wait_for_receiver()
    _check_reach(plan, deliverer)
    await deliverer.send_all(play.history())


async def _live(plan: Plan, play: Play, deliverer: Deliverer) -> None:
    if plan.duration != 0:
        until = None if plan.duration is None else _now() + timedelta(seconds=plan.duration)
        await deliverer.send_paced(
            play.live(_now, until, deliverer.taken), plan.rate, plan.duration
        )


def _deliverer(plan: Plan, on_progress: OnProgress | None) -> Deliverer:
    def report(so_far: Summary) -> None:
        if on_progress:
            on_progress(plan.vendor, so_far)

    try:
        return Deliverer(plan.url, f"/webhooks/{plan.vendor}", report)
    except httpx.InvalidURL as error:
        raise SimulatorError(f"{plan.url} is no address of a receiver: {error}") from None


def _check_reach(plan: Plan, deliverer: Deliverer) -> None:
    if twist_of(plan.scenario, plan.vendor).foreign and not deliverer.reaches_from_afar:
        raise SimulatorError(
            f"--scenario: {plan.scenario} needs a receiver on this machine that can be reached "
            f"from {FOREIGN_ADDRESS}."
        )


def _now() -> datetime:
    return datetime.now(UTC)
