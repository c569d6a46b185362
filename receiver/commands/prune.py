"""`repboard prune`: remove old deliveries."""

from typing import Annotated

import typer

from receiver.prune import prune as remove_old
from receiver.schema import current_engine
from shared.settings import ReceiverSettings


def prune(
    days: Annotated[
        int | None,
        typer.Option(min=1, max=36_500, help="Days to keep. Default: RETENTION_DAYS."),
    ] = None,
) -> None:
    """Remove old deliveries and their quarantine. Events and hourly totals stay."""
    settings = ReceiverSettings.load()
    engine = current_engine(settings)
    days = settings.retention_days if days is None else days
    if not days:
        typer.echo("Nothing removed. RETENTION_DAYS is 0, which keeps all deliveries.")
        return
    removed = remove_old(engine, days)
    typer.echo(f"Removed {removed.in_words()}.")
