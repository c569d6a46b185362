"""`repboard simulate`: send the deliveries of a simulated company."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from receiver.errors import SimulatorError, StartError
from receiver.schema import current_engine
from receiver.simulator import (
    PARTS,
    SCENARIOS,
    Plan,
    Play,
    Scenario,
    Summary,
    simulate as run_simulation,
)
from receiver.simulator.base import QUIET
from receiver.simulator.history import write_history
from receiver.simulator.mindtickle import company_id
from receiver.simulator.scenarios import ORDINARY
from receiver.simulator.story import past
from receiver.vendors import ADAPTERS, configured, required, vendor_facts
from shared.settings import ReceiverSettings


def simulate(
    vendor: Annotated[
        list[str] | None,
        typer.Option(
            help=f"Vendor to play: {', '.join(PARTS)}; repeatable. Default: each vendor whose "
            "credential is set. Innovative Educators needs 127.0.0.1 on its allowlist."
        ),
    ] = None,
    url: Annotated[
        str | None, typer.Option(help="Address of the receiver. Default: this machine's.")
    ] = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same company.")] = 7,
    learners: Annotated[int, typer.Option(min=1, max=100_000)] = 120,
    rate: Annotated[
        float, typer.Option(min=0.01, max=10_000, help="Deliveries a second, all vendors together.")
    ] = 5.0,
    backfill_days: Annotated[
        int,
        typer.Option(min=0, max=730, help="Days of history first, written into DATABASE_URL."),
    ] = 0,
    duration: Annotated[
        float | None,
        typer.Option(min=0, help="Seconds of live deliveries. Default: until Ctrl-C."),
    ] = None,
    faults: Annotated[
        float,
        typer.Option(min=0, max=1, help="Share of events repeated, refused or broken."),
    ] = 0.06,
    scenario: Annotated[
        str | None,
        typer.Option(help=f"What goes wrong in the live part: {', '.join(SCENARIOS)}."),
    ] = None,
) -> None:
    """Send the deliveries of a simulated company over HTTP, some of them with faults."""
    settings = ReceiverSettings.load()
    vendors = _playing(vendor, settings)
    chosen = ORDINARY if scenario is None else _scenario(scenario, vendors)
    facts = vendor_facts(settings)
    start = datetime.now(UTC).replace(microsecond=0)
    weights = sum(PARTS[slug].weight for slug in vendors)
    plans = [
        Plan(
            url=url or f"http://{settings.receiver_host}:{settings.receiver_port}",
            vendor=slug,
            secret=PARTS[slug].credential(settings),
            retry_after=facts[slug].schedule.offsets[1:],
            suspend_after=facts[slug].suspend_after,
            tolerance_future=timedelta(seconds=settings.timestamp_tolerance_future),
            company_id=company_id(settings),
            seed=seed,
            learners=learners,
            rate=rate * PARTS[slug].weight / weights,
            backfill_days=backfill_days,
            duration=duration,
            faults=faults,
            scenario=chosen,
            past=past(slug, start) if backfill_days else QUIET,
        )
        for slug in vendors
    ]

    def archive(plays: Sequence[Play], end: datetime) -> None:
        count = write_history(current_engine(settings), settings, plays, end)
        typer.echo(f"history: {count:,} deliveries of {backfill_days} days", err=True)

    summaries = run_simulation(
        plans,
        lambda slug, one: typer.echo(_line(slug, one), err=True),
        start,
        archive if backfill_days else None,
    )
    for slug, summary in summaries.items():
        typer.echo(_line(slug, summary))


def _playing(wanted: Sequence[str] | None, settings: ReceiverSettings) -> Sequence[str]:
    """The vendors to play. Raises an error for an unknown one or one without a credential."""
    ready = configured(settings)
    for slug in wanted or ():
        if slug not in PARTS:
            raise SimulatorError(f"--vendor: {slug!r} is unknown. Use one of {', '.join(PARTS)}.")
        if slug not in ready:
            raise StartError(f"{_setting(slug)} is not set. The receiver would refuse {slug}.")
    playing = [slug for slug in wanted or required(settings) if slug in PARTS]
    if not playing:
        raise SimulatorError(f"Only {', '.join(PARTS)} can be simulated. Set up one of them.")
    return list(dict.fromkeys(playing))


def _scenario(name: str, vendors: Sequence[str]) -> Scenario:
    """The scenario with this name. Raises an error if it is unknown or its vendor does not play."""
    if name not in SCENARIOS:
        known = ", ".join(SCENARIOS)
        raise SimulatorError(f"--scenario: {name!r} is unknown. Use one of {known}.")
    needed = SCENARIOS[name].vendor
    if needed and needed not in vendors:
        raise SimulatorError(
            f"--scenario: {name} needs {needed}. Set {_setting(needed)}, or add --vendor {needed}."
        )
    return SCENARIOS[name]


def _setting(slug: str) -> str:
    return ADAPTERS[slug].setting.upper()


def _line(slug: str, summary: Summary) -> str:
    return (
        f"{slug}: {summary.sent:,} sent, of which {summary.accepted:,} accepted, "
        f"{summary.duplicates:,} duplicates, {summary.refused:,} refused, "
        f"{summary.failed:,} without an answer"
    )
