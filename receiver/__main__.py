"""The command line: `python -m receiver`, and a command of those below."""

import gc
import re
import signal
import sqlite3
import sys
from datetime import UTC, datetime, timedelta
from typing import Annotated

import structlog
import typer
import uvicorn
from sqlalchemy import make_url
from sqlalchemy.exc import SQLAlchemyError

from receiver import logs
from receiver.app import create_app, security_headers
from receiver.commands.erase import erase
from receiver.commands.simulate import simulate
from receiver.commands.webhooks import webhooks
from receiver.errors import ReceiverError, ReplayError, StartError
from receiver.protocol import BoundedProtocol
from receiver.prune import prune as remove_old
from receiver.readmodels.rebuild import rebuild as rebuild_read_models
from receiver.replay import HELD_BACK
from receiver.replay import replay as verify_again
from receiver.schema import current_engine
from receiver.vendors import ADAPTERS, configured
from shared.database import migrate as upgrade
from shared.database import open_engine, rebuild_is_due, require_schema
from shared.settings import ReceiverSettings, SettingsError
from shared.store_errors import in_words

DRAIN_SEC = 20
GC_THRESHOLD = 20_000

log = structlog.get_logger()

cli = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
cli.add_typer(webhooks, name="webhooks")
cli.command()(simulate)
cli.command()(erase)


@cli.command()
def serve() -> None:
    """Take deliveries in until stopped. What is waiting then is still written and answered."""
    logs.configure()
    settings = ReceiverSettings.load()
    _check(settings)
    for weakness in settings.weaknesses():
        log.warning("weak setting", problem=weakness)
    # When all is written, uvicorn raises the signal that stopped it once more.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    app = create_app(settings)
    # What is loaded by now stays, so collections need not walk it; requests leave few cycles.
    gc.freeze()
    gc.set_threshold(GC_THRESHOLD)
    uvicorn.run(
        app,
        host=settings.receiver_host,
        port=settings.receiver_port,
        loop="uvloop",
        http=BoundedProtocol,
        ws="none",
        access_log=False,
        log_config=None,
        server_header=False,
        headers=list(security_headers(settings)),
        proxy_headers=False,  # the pipeline counts trusted proxies itself
        timeout_keep_alive=settings.keep_alive_sec,
        timeout_graceful_shutdown=DRAIN_SEC,
    )


def _check(settings: ReceiverSettings) -> None:
    if not configured(settings):
        first, *others = (adapter.setting.upper() for adapter in ADAPTERS.values())
        raise StartError(
            f"{first}: is not set, and neither is {' or '.join(others)}, so no vendor could be "
            "served."
        )
    current_engine(settings)


@cli.command()
def migrate() -> None:
    """Bring the store to the newest schema, and what is derived from events with it."""
    engine = open_engine(ReceiverSettings.load().database_url)
    upgrade(engine)
    with engine.connect() as connection:
        due = rebuild_is_due(connection)
    if due:
        rebuild()


@cli.command()
def rebuild() -> None:
    """Derive leaderboards, quiz results and roster anew from the kept events."""
    logs.configure()
    engine = open_engine(ReceiverSettings.load().database_url)
    require_schema(engine)
    events = rebuild_read_models(engine, lambda done: typer.echo(f"{done:,} events", err=True))
    typer.echo(f"Rebuilt from {events:,} events.")


@cli.command()
def replay(
    vendor: Annotated[str, typer.Option(help=f"As in the webhook address: {', '.join(ADAPTERS)}.")],
    since: Annotated[
        str | None,
        typer.Option(help="Only what arrived since: 2026-03-01T00:00:00Z, or 45m, 2h, 3d ago."),
    ] = None,
    reason: Annotated[
        str | None, typer.Option(help=f"Only what was refused as: {', '.join(HELD_BACK)}.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would become of them.")
    ] = False,
) -> None:
    """Verify held deliveries again under today's settings, and take in what passes."""
    logs.configure()
    settings = ReceiverSettings.load()
    arrived_since = None if since is None else moment(since, datetime.now(UTC))
    _check(settings)
    become = verify_again(
        open_engine(settings.database_url),
        configured(settings),
        vendor,
        since=arrived_since,
        outcome=reason,
        dry_run=dry_run,
    )
    typer.echo(f"{'Dry run: ' if dry_run else ''}{become.in_words()}")


UNITS = {"m": "minutes", "h": "hours", "d": "days"}


def moment(text: str, now: datetime) -> datetime:
    """`45m`, `2h`, `3d` before `now`, or ISO 8601, without an offset in UTC."""
    try:
        if ago := re.fullmatch(r"([0-9]+)([mhd])", text):
            return now - timedelta(**{UNITS[ago[2]]: int(ago[1])})
        at = datetime.fromisoformat(text)
        return at.replace(tzinfo=at.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ReplayError(
            f"--since: {text!r} is no time; use 2026-03-01T00:00:00Z, or 45m, 2h, 3d ago."
        ) from None


@cli.command()
def prune(
    days: Annotated[
        int | None,
        typer.Option(min=1, max=36_500, help="Keep so many days. Default: RETENTION_DAYS."),
    ] = None,
) -> None:
    """Remove old deliveries and what is held of them. Events and roll-ups stay."""
    settings = ReceiverSettings.load()
    engine = current_engine(settings)
    days = settings.retention_days if days is None else days
    if not days:
        typer.echo("Nothing removed: RETENTION_DAYS is 0, which keeps deliveries for ever.")
        return
    removed = remove_old(engine, days)
    typer.echo(f"Removed {removed.in_words()}.")


def main() -> None:
    """Run a command; anything wrong is one line on standard error and a non-zero exit."""
    try:
        cli()
    except (SettingsError, ReceiverError) as error:
        _fail(str(error))
    except (SQLAlchemyError, sqlite3.Error) as error:
        _fail(in_words(error, make_url(ReceiverSettings.load().database_url)))
    except KeyboardInterrupt:
        sys.exit(130)


def _fail(line: str) -> None:
    typer.echo(line, err=True)
    sys.exit(1)


if __name__ == "__main__":
    main()
