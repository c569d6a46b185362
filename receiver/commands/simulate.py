"""The command line of the simulator: `python -m receiver simulate`."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated

import typer

from receiver.errors import SimulatorError, StartError
from receiver.simulator import (
    PARTS,
    TWISTS,
    Plan,
    Scenario,
    Summary,
    scenario_named,
    scenarios_of,
)
from receiver.simulator import simulate as run_simulation
from receiver.vendors import ADAPTERS, configured
from shared.settings import ReceiverSettings
from shared.vendors import vendor_facts

SCENARIOS = "; ".join(
    f"{vendor or 'each vendor'}: {', '.join(scenarios_of(vendor))}"
    for vendor in dict.fromkeys(twist.vendor for twist in TWISTS.values())
)


def simulate(
    vendor: Annotated[
        list[str] | None,
        typer.Option(
            help=f"Who plays: {', '.join(PARTS)}; may be repeated. Default: each whose credential "
            "is set. Innovative Educators are let in if 127.0.0.1 is on the allowlist."
        ),
    ] = None,
    url: Annotated[str | None, typer.Option(help="The receiver. Default: this machine's.")] = None,
    seed: Annotated[int, typer.Option(help="The same seed plays the same company.")] = 7,
    learners: Annotated[int, typer.Option(min=1, max=100_000)] = 120,
    rate: Annotated[
        float, typer.Option(min=0.01, max=10_000, help="Deliveries a second, of all vendors.")
    ] = 5.0,
    backfill_days: Annotated[
        int,
        typer.Option(
            min=0, max=730, help="Days of history first. standard-webhooks are live only."
        ),
    ] = 0,
    duration: Annotated[
        float | None,
        typer.Option(min=0, help="Seconds to go on after that. Default: until Ctrl-C."),
    ] = None,
    faults: Annotated[
        float, typer.Option(min=0, max=1, help="Share of repeated, refused and broken ones.")
    ] = 0.06,
    scenario: Annotated[
        str | None,
        typer.Option(help=f"What is the matter with the live part. {SCENARIOS}."),
    ] = None,
) -> None:
    """Play a company: deliveries of its vendors over HTTP, a few of them wrong."""
    wanted = None if scenario is None else scenario_named(scenario)
    settings = ReceiverSettings.load()
    vendors = _playing(vendor, settings)
    _check_scenario(wanted, vendors)
    facts = vendor_facts(settings)
    weights = sum(PARTS[slug].weight for slug in vendors)
    plans = [
        Plan(
            url=url or f"http://{settings.receiver_host}:{settings.receiver_port}",
            vendor=slug,
            secret=PARTS[slug].credential(settings),
            retry_after=facts[slug].schedule.offsets[1:],
            suspend_after=facts[slug].suspend_after,
            tolerance_future=timedelta(seconds=settings.timestamp_tolerance_future),
            company_id=settings.mindtickle_company_id or "demo",
            seed=seed,
            learners=learners,
            rate=rate * PARTS[slug].weight / weights,
            backfill_days=backfill_days,
            duration=duration,
            faults=faults,
            scenario=wanted,
        )
        for slug in vendors
    ]
    for slug, summary in run_simulation(plans, _report).items():
        typer.echo(_in_words(slug, summary))


def _playing(wanted: Sequence[str] | None, settings: ReceiverSettings) -> Sequence[str]:
    """Who plays. Raises an error for those that nobody knows, or that cannot be let in."""
    ready = configured(settings)
    for slug in wanted or ():
        if slug not in ADAPTERS:
            raise SimulatorError(f"--vendor: {slug!r} is unknown; use one of {', '.join(PARTS)}.")
        if slug not in ready:
            name = ADAPTERS[slug].setting.upper()
            raise StartError(f"{name}: is not set, so {slug} would not be let in.")
    if not ready:
        first, *others = (adapter.setting.upper() for adapter in ADAPTERS.values())
        raise StartError(
            f"{first}: is not set, and neither is {' or '.join(others)}, so no vendor can play."
        )
    return list(dict.fromkeys(wanted or ready))


def _check_scenario(scenario: Scenario | None, vendors: Sequence[str]) -> None:
    needed = TWISTS[scenario].vendor if scenario else None
    if needed and needed not in vendors:
        raise SimulatorError(
            f"--scenario: {scenario} is played by {needed}, which does not play: "
            f"set {ADAPTERS[needed].setting.upper()}, or add --vendor {needed}."
        )


def _report(slug: str, so_far: Summary) -> None:
    typer.echo(_in_words(slug, so_far), err=True)


def _in_words(slug: str, summary: Summary) -> str:
    return (
        f"{slug}: {summary.sent:,} sent, of which {summary.accepted:,} accepted, "
        f"{summary.duplicates:,} duplicates, {summary.refused:,} refused, "
        f"{summary.failed:,} without an answer"
    )
