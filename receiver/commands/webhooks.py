"""The command line of `python -m receiver webhooks register|list|reactivate`."""

import shlex
from typing import Annotated

import typer

from receiver.errors import WebhooksError
from receiver.vendors.mindtickle import EVENT_TYPES, SLUG
from receiver.webhooks import WebhooksApi
from shared.settings import ReceiverSettings, is_loopback

webhooks = typer.Typer(
    no_args_is_help=True, help="Manage the webhook at MindTickle, with MINDTICKLE_API_TOKEN."
)


@webhooks.command()
def register(
    url: Annotated[
        str | None,
        typer.Option(help="Where to deliver. Default: PUBLIC_URL and /webhooks/mindtickle."),
    ] = None,
    event: Annotated[
        list[str] | None,
        typer.Option(help=f"One to deliver; repeatable. Default: {', '.join(EVENT_TYPES)}."),
    ] = None,
) -> None:
    """Have MindTickle deliver the events of MINDTICKLE_COMPANY_ID to this receiver."""
    settings = ReceiverSettings.load()
    api = _api(settings)
    if settings.mindtickle_company_id is None:
        raise WebhooksError("MINDTICKLE_COMPANY_ID: is not set; whose events should be delivered?")
    address = url or _public_address(settings)
    webhook_id = api.register(address, event or EVENT_TYPES, settings.mindtickle_company_id)
    typer.echo(f"Registered, as webhook {webhook_id}. Keep this id.")
    typer.echo(
        "Next: put the webhook's signing secret (Admin > Integrations) into "
        "MINDTICKLE_WEBHOOK_SECRET, and restart the receiver. After a suspension:\n"
        f"python -m receiver webhooks reactivate {shlex.quote(webhook_id)}"
    )


@webhooks.command("list")
def show() -> None:
    """List the registered webhooks. MindTickle does not publish that its API can."""
    listed = _api(ReceiverSettings.load()).registered()
    for webhook in listed:
        typer.echo("  ".join(filter(None, webhook)))
    if not listed:
        typer.echo("No webhook is registered.")


@webhooks.command()
def reactivate(
    webhook_id: Annotated[str, typer.Argument(metavar="ID", help="As `register` printed it.")],
) -> None:
    """Switch a suspended webhook on again. First mend what made the deliveries fail."""
    _api(ReceiverSettings.load()).reactivate(webhook_id)
    typer.echo("Re-activated. The page Deliveries shows whether the next events are taken.")


def _api(settings: ReceiverSettings) -> WebhooksApi:
    token = settings.mindtickle_api_token
    if token is None:
        raise WebhooksError("MINDTICKLE_API_TOKEN: is not set, and MindTickle's API asks for it.")
    return WebhooksApi(
        settings.mindtickle_api_url, token, tell=lambda line: typer.echo(line, err=True)
    )


def _public_address(settings: ReceiverSettings) -> str:
    """Where MindTickle reaches this receiver: over the internet, so neither here nor readable."""
    public = settings.public_url or ""
    if not public.startswith("https://") or is_loopback(public):
        raise WebhooksError(
            "PUBLIC_URL: should be the https://… address at which MindTickle reaches the "
            "receiver; set it, or give --url."
        )
    return f"{settings.receiver_url}/webhooks/{SLUG}"
