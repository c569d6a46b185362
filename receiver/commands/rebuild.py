"""`repboard rebuild`: make the read models from the events."""

from collections.abc import Sequence

import typer
from sqlalchemy import Engine, select

from receiver import logs
from receiver.readmodels.rebuild import rebuild as rebuild_read_models
from receiver.vendors import adapters
from shared.bulk import table_of
from shared.database import open_engine, require_schema
from shared.models import Event, Vendor
from shared.settings import ReceiverSettings


def rebuild() -> None:
    """Rebuild leaderboards, quiz results and roster from the stored events."""
    logs.configure()
    settings = ReceiverSettings.load()
    engine = open_engine(settings.database_url)
    require_schema(engine)
    for slug in _unknown(engine, settings):
        typer.echo(
            f"No vendor {slug} is built in or declared, so its events count for nothing. Is "
            "VENDORS_FILE set as for the receiver?",
            err=True,
        )
    events = rebuild_read_models(engine, lambda done: typer.echo(f"{done:,} events", err=True))
    typer.echo(f"Rebuilt from {events:,} events.")


def _unknown(engine: Engine, settings: ReceiverSettings) -> Sequence[str]:
    """The vendors with events that this version and VENDORS_FILE do not have."""
    vendor, event = table_of(Vendor).c, table_of(Event).c
    with engine.connect() as connection:
        noted = set(connection.scalars(select(vendor.slug))) - adapters(settings).keys()
        of_vendor = {slug: select(event.id).where(event.vendor == slug).limit(1) for slug in noted}
        return sorted(slug for slug, query in of_vendor.items() if connection.scalar(query))
