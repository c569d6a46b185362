"""`repboard replay`: verify quarantined deliveries again."""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from receiver import logs
from receiver.errors import ReplayError
from receiver.key_sets import load_keys
from receiver.replay import REPLAYABLE, replay as verify_again
from receiver.schema import current_engine
from receiver.vendors import ADAPTERS, required
from shared.settings import ReceiverSettings

UNITS = {"m": "minutes", "h": "hours", "d": "days"}


def replay(
    vendor: Annotated[
        str,
        typer.Option(
            help=f"As in the webhook address: {', '.join(ADAPTERS)}, or one of VENDORS_FILE."
        ),
    ],
    since: Annotated[
        str | None,
        typer.Option(
            help="Only deliveries received since: 2026-03-01T00:00:00Z, or 45m, 2h, 3d ago."
        ),
    ] = None,
    reason: Annotated[
        str | None, typer.Option(help=f"Only deliveries refused as: {', '.join(REPLAYABLE)}.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only report the results; change nothing.")
    ] = False,
) -> None:
    """Verify quarantined deliveries again with today's settings, and accept those that pass."""
    logs.configure()
    settings = ReceiverSettings.load()
    received_since = None if since is None else moment(since, datetime.now(UTC))
    vendors, engine = required(settings), current_engine(settings)
    load_keys(engine, vendors)
    replayed = verify_again(
        engine,
        vendors,
        vendor,
        since=received_since,
        outcome=reason,
        dry_run=dry_run,
    )
    typer.echo(f"{'Dry run: ' if dry_run else ''}{replayed.in_words()}")


def moment(text: str, now: datetime) -> datetime:
    """`45m`, `2h`, `3d` before `now`, or ISO 8601; a time without an offset is UTC."""
    try:
        if ago := re.fullmatch(r"([0-9]+)([mhd])", text):
            return now - timedelta(**{UNITS[ago[2]]: int(ago[1])})
        at = datetime.fromisoformat(text)
        return at.replace(tzinfo=at.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ReplayError(
            f"--since: {text!r} is not a time. Use 2026-03-01T00:00:00Z, or 45m, 2h, 3d ago."
        ) from None
