"""`repboard webhooks register|reactivate|retry-failed`: manage webhooks at MindTickle and
360Learning."""

import re
import shlex
from datetime import UTC, datetime
from typing import Annotated

import typer

from receiver.commands.replay import moment
from receiver.errors import WebhooksError
from receiver.retry_failed import KEPT, ApiSettings, retry_failed as ask_to_retry
from receiver.vendors.mindtickle import MindTickleSettings
from receiver.vendors.mindtickle.contract import EVENT_TYPES, SLUG
from receiver.webhooks import WebhooksApi
from shared.setting_types import is_loopback
from shared.settings import ReceiverSettings

webhooks = typer.Typer(no_args_is_help=True, help="Manage webhooks at MindTickle and 360Learning.")


@webhooks.command()
def register(
    url: Annotated[
        str | None,
        typer.Option(help="Where to deliver. Default: PUBLIC_URL and /webhooks/mindtickle."),
    ] = None,
    event: Annotated[
        list[str] | None,
        typer.Option(help=f"Event type to deliver; repeatable. Default: {', '.join(EVENT_TYPES)}."),
    ] = None,
) -> None:
    """Register this receiver at MindTickle for the events of MINDTICKLE_COMPANY_ID."""
    settings = ReceiverSettings.load()
    api = _api(settings)
    company_id = settings.of_vendor(MindTickleSettings).mindtickle_company_id
    if company_id is None:
        raise WebhooksError("MINDTICKLE_COMPANY_ID is not set. Set it to the company to register.")
    address = url or _public_address(settings)
    webhook_id = api.register(address, event or EVENT_TYPES, company_id)
    typer.echo(f"Registered as webhook {webhook_id}. Keep this ID.")
    typer.echo(
        "Next: put the webhook's signing secret (Admin > Integrations) into "
        "MINDTICKLE_WEBHOOK_SECRET and restart the receiver. After a suspension, run:\n"
        f"repboard webhooks reactivate {shlex.quote(webhook_id)}"
    )


@webhooks.command()
def reactivate(
    webhook_id: Annotated[str, typer.Argument(metavar="ID", help="As `register` printed it.")],
) -> None:
    """Reactivate a webhook that MindTickle suspended. Fix the cause of the failures first."""
    _api(ReceiverSettings.load()).reactivate(webhook_id)
    typer.echo("Reactivated. The Deliveries page shows whether the next deliveries are accepted.")


@webhooks.command("retry-failed")
def retry_failed(
    subscription: Annotated[
        str, typer.Argument(metavar="ID", help="Of the subscription at 360Learning.")
    ],
    since: Annotated[
        str,
        typer.Option(help="Events that failed since: 2026-03-01T00:00:00Z, or 45m, 2h, 3d ago."),
    ] = "3d",
) -> None:
    """Let 360Learning send failed events again: it keeps them for 90 days. Fix the cause first."""
    now = datetime.now(UTC)
    start = moment(since, now)
    if not now - KEPT <= start < now:
        raise WebhooksError("--since: 360Learning keeps failed events for 90 days.")
    if not re.fullmatch(r"[0-9a-fA-F]{24}", subscription):
        raise WebhooksError("ID: a subscription's ID has 24 digits and letters from a to f.")
    ask_to_retry(ApiSettings.load(), subscription, start, now)
    typer.echo("Asked. The Deliveries page shows the events as they arrive.")


def _api(settings: ReceiverSettings) -> WebhooksApi:
    own = settings.of_vendor(MindTickleSettings)
    token = own.mindtickle_api_token
    if token is None:
        raise WebhooksError("MINDTICKLE_API_TOKEN is not set. MindTickle's API requires it.")
    return WebhooksApi(
        own.mindtickle_api_url, token, on_pause=lambda line: typer.echo(line, err=True)
    )


def _public_address(settings: ReceiverSettings) -> str:
    """Where MindTickle reaches this receiver over the internet: public, and encrypted."""
    public = settings.public_url or ""
    if not public.startswith("https://") or is_loopback(public):
        raise WebhooksError(
            "PUBLIC_URL: should be the https://… address at which MindTickle reaches the "
            "receiver. Set it, or use --url."
        )
    return f"{settings.receiver_url}/webhooks/{SLUG}"
