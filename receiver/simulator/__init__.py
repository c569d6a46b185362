"""Simulated vendors: seeded deliveries of a company over HTTP.

- `company` and `people`: learners and their events over months, without I/O
- `base`, `parts` and one file a vendor: the events of a vendor and how it sends them
- `scenarios`: what goes wrong in the live part
- `post`: events → deliveries, some with faults
- `play`: all deliveries of one plan; `deliverer`: sends them
- `story`: what people did in the history; `history`: writes it into the store

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
Archive = Callable[[Sequence[Play], datetime], object]


def simulate(
    plans: Sequence[Plan],
    on_progress: OnProgress = lambda *_: None,
    start: datetime | None = None,
    archive: Archive | None = None,
) -> Mapping[str, Summary]:
    """Send each vendor's history before `start` (default: now), then all live parts in parallel.

    `archive` gets the plays and the start first. It may take the histories out of them, and write
    them to where they then need not be sent.

    Returns a summary by vendor. Calls `on_progress` with the vendor after every 500 deliveries.
    Raises SimulatorError if no receiver answers at `plan.url`, or a scenario cannot run there.
    """
    start = start or _now()
    plays = [Play(plan, start) for plan in plans]
    if archive:
        archive(plays, start)
        if all(plan.duration == 0 for plan in plans):
            return {}
    return asyncio.run(_simulate(plays, on_progress))


async def _simulate(plays: Sequence[Play], on_progress: OnProgress) -> Mapping[str, Summary]:
    async with AsyncExitStack() as stack:
        vendors = []
        for play in plays:
            deliverer = await stack.enter_async_context(_deliverer(play.plan, on_progress))
            vendors.append((play.plan, play, deliverer))
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
