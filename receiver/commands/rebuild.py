"""`repboard rebuild`: make the read models from the events."""

import typer

from receiver import logs
from receiver.readmodels.rebuild import rebuild as rebuild_read_models
from shared.database import open_engine, require_schema
from shared.settings import ReceiverSettings


def rebuild() -> None:
    """Rebuild leaderboards, quiz results and roster from the stored events."""
    logs.configure()
    engine = open_engine(ReceiverSettings.load().database_url)
    require_schema(engine)
    events = rebuild_read_models(engine, lambda done: typer.echo(f"{done:,} events", err=True))
    typer.echo(f"Rebuilt from {events:,} events.")
