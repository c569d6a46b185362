"""The command line: `python -m receiver serve|migrate|simulate|rebuild`."""

import gc
import signal
import sys
from typing import Annotated

import typer
import uvicorn
from sqlalchemy.exc import SQLAlchemyError

from receiver import logs
from receiver.app import create_app
from receiver.errors import ReceiverError, StartError
from receiver.rebuild import rebuild as rebuild_read_models
from receiver.simulator import Plan, Summary
from receiver.simulator import simulate as run_simulation
from receiver.vendors import configured
from shared.database import is_current, open_engine
from shared.database import migrate as upgrade
from shared.settings import ReceiverSettings, SettingsError

DRAIN_SEC = 20
GC_THRESHOLD = 20_000

cli = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@cli.command()
def serve() -> None:
    """Take deliveries in until stopped. What is waiting then is still written and answered."""
    logs.configure()
    settings = ReceiverSettings.load()
    _check(settings)
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
        http="httptools",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,  # the pipeline counts trusted proxies itself
        timeout_graceful_shutdown=DRAIN_SEC,
    )


def _check(settings: ReceiverSettings) -> None:
    if not configured(settings):
        raise StartError("MINDTICKLE_WEBHOOK_SECRET: is not set, so no vendor could be served.")
    if not is_current(open_engine(settings.database_url)):
        raise StartError("The store has no current schema: run `python -m receiver migrate`.")


@cli.command()
def migrate() -> None:
    """Bring the store to the newest schema."""
    upgrade(open_engine(ReceiverSettings.load().database_url))


@cli.command()
def rebuild() -> None:
    """Derive leaderboards, quiz results and roster anew from the kept events."""
    logs.configure()
    engine = open_engine(ReceiverSettings.load().database_url)
    events = rebuild_read_models(engine, lambda done: typer.echo(f"{done:,} events", err=True))
    typer.echo(f"Rebuilt from {events:,} events.")


@cli.command()
def simulate(
    url: Annotated[str | None, typer.Option(help="The receiver. Default: this machine's.")] = None,
    seed: Annotated[int, typer.Option(help="The same seed plays the same company.")] = 7,
    learners: Annotated[int, typer.Option(min=1, max=100_000)] = 120,
    rate: Annotated[float, typer.Option(min=0.01, max=10_000, help="Deliveries a second.")] = 5.0,
    backfill_days: Annotated[int, typer.Option(min=0, max=730, help="Days of history first.")] = 0,
    duration: Annotated[
        float | None,
        typer.Option(min=0, help="Seconds to go on after that. Default: until Ctrl-C."),
    ] = None,
    faults: Annotated[
        float, typer.Option(min=0, max=1, help="Share of repeated, refused and broken ones.")
    ] = 0.06,
) -> None:
    """Play a company: signed MindTickle deliveries over HTTP, a few of them wrong."""
    settings = ReceiverSettings.load()
    if not settings.mindtickle_webhook_secret:
        raise StartError("MINDTICKLE_WEBHOOK_SECRET: is not set, so nothing can be signed.")
    plan = Plan(
        url=url or f"http://{settings.receiver_host}:{settings.receiver_port}",
        secret=settings.mindtickle_webhook_secret[0].get_secret_value(),
        company_id=settings.mindtickle_company_id or "demo",
        seed=seed,
        learners=learners,
        rate=rate,
        backfill_days=backfill_days,
        duration=duration,
        faults=faults,
    )
    typer.echo(
        _in_words(run_simulation(plan, lambda so_far: typer.echo(_in_words(so_far), err=True)))
    )


def _in_words(summary: Summary) -> str:
    return (
        f"{summary.sent:,} sent: {summary.accepted:,} accepted, {summary.duplicates:,} duplicates, "
        f"{summary.refused:,} refused, {summary.failed:,} without an answer"
    )


def main() -> None:
    """Run a command; anything wrong is one line on standard error and a non-zero exit."""
    try:
        cli()
    except (SettingsError, ReceiverError) as error:
        _fail(str(error))
    except SQLAlchemyError as error:
        original = getattr(error, "orig", None) or error
        _fail(f"DATABASE_URL: the store cannot be used: {str(original).splitlines()[0]}")
    except KeyboardInterrupt:
        sys.exit(130)


def _fail(line: str) -> None:
    typer.echo(line, err=True)
    sys.exit(1)


if __name__ == "__main__":
    main()
