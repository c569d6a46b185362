"""`repboard import`: reconcile a vendor's export with the stored events."""

from pathlib import Path
from typing import Annotated

import typer
from sqlalchemy import Engine

from receiver.errors import ImportingError
from receiver.imports.run import asked_of, reconcile
from receiver.schema import current_engine
from receiver.vendors import vendor_facts
from shared.imports import IN_WORDS, by_cause, rest, statement
from shared.queries import imports
from shared.settings import ReceiverSettings


def import_(
    file: Annotated[Path, typer.Argument(help="The vendor's export: CSV, or JSON lines.")],
    vendor: Annotated[str, typer.Option(help="Its slug, as in the webhook's address.")],
    mapping_file: Annotated[
        Path, typer.Option("--mapping", help="Which column is what: docs/importing.md.")
    ],
    apply: Annotated[
        bool, typer.Option("--apply", help="Store missing events; otherwise only report them.")
    ] = False,
) -> None:
    """Say which events of an export arrived, and take in the others with --apply."""
    settings = ReceiverSettings.load()
    vendors = vendor_facts(settings)
    if vendor not in vendors:
        raise ImportingError(f"--vendor: use one of {', '.join(vendors)}.")
    engine = current_engine(settings)
    export, asked = asked_of(file, vendors[vendor], mapping_file, applies=apply)
    stderr = typer.get_text_stream("stderr")
    with typer.progressbar(length=export.size, label=file.name, file=stderr) as bar:
        number = reconcile(engine, export, asked, lambda read: bar.update(read - bar.pos))
    _report(engine, number, applies=apply)


def _report(engine: Engine, number: int, *, applies: bool) -> None:
    with engine.connect() as connection:
        row, days = imports.one(connection, number), imports.days(connection, number)
    if row is None:
        raise ImportingError("This import was removed meanwhile. Run it again.")
    typer.echo(statement(row.counts))
    for cause, events in by_cause(days).items():
        typer.echo(f"  {events:,}: {IN_WORDS[cause]}")
    if more := rest(row.counts):
        typer.echo(more)
    if not applies and row.missing > row.imported:
        typer.echo("Nothing was imported. --apply imports the missing events.")
