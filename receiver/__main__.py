"""The command line: `repboard <command>`, or `python -m receiver <command>`."""

import sqlite3
import sys

import typer
from sqlalchemy import make_url
from sqlalchemy.exc import SQLAlchemyError

from receiver.commands.dashboard import dashboard
from receiver.commands.erase import erase
from receiver.commands.follow import follow
from receiver.commands.imports import import_
from receiver.commands.migrate import migrate
from receiver.commands.notify import notify
from receiver.commands.prune import prune
from receiver.commands.rebuild import rebuild
from receiver.commands.replay import replay
from receiver.commands.serve import serve
from receiver.commands.simulate import simulate
from receiver.commands.vendors import vendors
from receiver.commands.webhooks import webhooks
from receiver.errors import ReceiverError
from shared.settings import ReceiverSettings, SettingsError
from shared.store_errors import in_words

cli = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
cli.add_typer(webhooks, name="webhooks")
cli.add_typer(vendors, name="vendors")
for command in (serve, follow, notify, dashboard, migrate, simulate, replay, rebuild, prune, erase):
    cli.command()(command)
cli.command("import")(import_)


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
