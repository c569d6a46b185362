"""The command line: `repboard <command>`, or `python -m receiver <command>`."""

import gc
import signal
import sqlite3
import sys

import structlog
import typer
import uvicorn
from sqlalchemy import make_url
from sqlalchemy.exc import SQLAlchemyError

from receiver import logs
from receiver.app import create_app, security_headers
from receiver.commands.dashboard import dashboard
from receiver.commands.erase import erase
from receiver.commands.migrate import migrate
from receiver.commands.prune import prune
from receiver.commands.rebuild import rebuild
from receiver.commands.replay import replay
from receiver.commands.simulate import simulate
from receiver.commands.webhooks import webhooks
from receiver.errors import ReceiverError
from receiver.protocol import BoundedProtocol
from receiver.schema import current_engine
from receiver.vendors import required
from shared.settings import ReceiverSettings, SettingsError
from shared.store_errors import in_words

DRAIN_SEC = 20
GC_THRESHOLD = 20_000

log = structlog.get_logger()

cli = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
cli.add_typer(webhooks, name="webhooks")
for command in (dashboard, migrate, simulate, replay, rebuild, prune, erase):
    cli.command()(command)


@cli.command()
def serve() -> None:
    """Receive deliveries until stopped. Waiting deliveries are still stored and answered."""
    logs.configure()
    settings = ReceiverSettings.load()
    required(settings)
    current_engine(settings)
    for weakness in settings.weaknesses():
        log.warning("weak setting", problem=weakness)
    # After its shutdown uvicorn raises the signal again.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    app = create_app(settings)
    # Objects loaded by now stay, so the collector can skip them; requests leave few cycles.
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


def main() -> None:
    """Run a command. Every error is one line on standard error and a non-zero exit."""
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
