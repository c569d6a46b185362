"""`repboard webhooks register|reactivate`: manage the webhook at MindTickle."""

import shlex
from typing import Annotated

import typer

from receiver.errors import WebhooksError
from receiver.vendors.mindtickle import EVENT_TYPES, SLUG, MindTickleSettings
from receiver.webhooks import WebhooksApi
from shared.settings import ReceiverSettings, is_loopback

webhooks = typer.Typer(
    no_args_is_help=True, help="Manage the webhook at MindTickle. Needs MINDTICKLE_API_TOKEN."
)


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
    """Register this receiver for the events of MINDTICKLE_COMPANY_ID."""
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
    """Reactivate a suspended webhook. Fix the cause of the failures first."""
    _api(ReceiverSettings.load()).reactivate(webhook_id)
    typer.echo("Reactivated. The Deliveries page shows whether the next deliveries are accepted.")


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
