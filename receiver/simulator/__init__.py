"""Simulated vendors: seeded deliveries of a company over HTTP.

- `company` and `people`: learners and their events over months, without I/O
- `base`, `parts` and one file a vendor: the events of a vendor and how it sends them
- `scenarios`: what goes wrong in the live part
- `post`: events → deliveries, some with faults
- `play`: all deliveries of one plan; `deliverer`: sends them

The same plan and start always give the same deliveries.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from functools import partial

import httpx

from receiver.errors import SimulatorError
from receiver.simulator.deliverer import FOREIGN_ADDRESS, Deliverer, Summary
from receiver.simulator.parts import PARTS
from receiver.simulator.play import Play
from receiver.simulator.post import Plan
from receiver.simulator.scenarios import SCENARIOS, Scenario

__all__ = ["PARTS", "SCENARIOS", "Plan", "Play", "Scenario", "Summary", "simulate"]

OnProgress = Callable[[str, Summary], object]


def simulate(
    plans: Sequence[Plan],
    on_progress: OnProgress = lambda *_: None,
    start: datetime | None = None,
) -> Mapping[str, Summary]:
    """Send each vendor's history before `start` (default: now), then all live parts in parallel.

    Returns a summary by vendor. Calls `on_progress` with the vendor after every 500 deliveries.
    Raises SimulatorError if no receiver answers at `plan.url`, or a scenario cannot run there.
    """
    return asyncio.run(_simulate(plans, on_progress, start or _now()))


async def _simulate(
    plans: Sequence[Plan], on_progress: OnProgress, start: datetime
) -> Mapping[str, Summary]:
    async with AsyncExitStack() as stack:
        vendors = []
        for plan in plans:
            deliverer = await stack.enter_async_context(_deliverer(plan, on_progress))
            vendors.append((plan, Play(plan, start), deliverer))
        await asyncio.gather(*(_history(*vendor) for vendor in vendors))
        await asyncio.gather(*(_live(*vendor) for vendor in vendors))
        return {plan.vendor: sender.summary for plan, _, sender in vendors}


async def _history(plan: Plan, play: Play, deliverer: Deliverer) -> None:
    await deliverer.wait_for_receiver()
    if plan.scenario.at(plan.vendor).foreign and not deliverer.reaches_from_afar:
        raise SimulatorError(
            "--scenario: this one needs a receiver on this machine, reachable from "
            f"{FOREIGN_ADDRESS}."
        )
    await deliverer.send_all(play.history())


async def _live(plan: Plan, play: Play, deliverer: Deliverer) -> None:
    if plan.duration != 0:
        until = None if plan.duration is None else _now() + timedelta(seconds=plan.duration)
        deliveries = play.live(_now, until, deliverer.accepted)
        await deliverer.send_paced(deliveries, plan.rate, plan.duration)


def _deliverer(plan: Plan, on_progress: OnProgress) -> Deliverer:
    try:
        return Deliverer(plan.url, f"/webhooks/{plan.vendor}", partial(on_progress, plan.vendor))
    except httpx.InvalidURL as error:
        raise SimulatorError(f"{plan.url} is not a receiver address: {error}") from None


def _now() -> datetime:
    return datetime.now(UTC)
