"""Client for 360Learning's API: let it send failed events of a subscription again.

Sources: its API's description, *Create an access token* and *Retry the failed webhook events of a
webhook subscription*. An answer is untrusted text, of which only the status is read. The client's
secret goes to the configured address only, and never into an error message.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from http import HTTPStatus

import httpx
from pydantic import SecretStr

from receiver.errors import WebhooksError, first_line
from shared.setting_types import AccountId, ApiToken, ApiUrl
from shared.settings import Environment

KEPT = timedelta(days=90)
"""How long 360Learning keeps failed events."""
LONGEST = timedelta(days=3)
"""Of one request."""
TIMEOUT_SEC = 30
VERSION = {"360-api-version": "v2.0"}
MAX_TOKEN = 10_000
"""Characters of an access token."""
HINTS: Mapping[int, str] = {
    HTTPStatus.BAD_REQUEST: "Check the subscription's ID and the period.",
    HTTPStatus.UNAUTHORIZED: "Check V360LEARNING_CLIENT_ID and V360LEARNING_CLIENT_SECRET.",
    HTTPStatus.FORBIDDEN: "The client lacks the scope webhooks:write. Add it in 360Learning.",
    HTTPStatus.NOT_FOUND: "It has no such subscription. Its ID is under Settings > Webhooks.",
    HTTPStatus.TOO_MANY_REQUESTS: "Too many requests. Try again in a few minutes.",
}


class ApiSettings(Environment):
    """The client that an admin creates in 360Learning, for its API."""

    v360learning_client_id: AccountId | None = None
    v360learning_client_secret: ApiToken | None = None
    v360learning_api_url: ApiUrl = "https://app.360learning.com"


def periods(since: datetime, until: datetime) -> Iterator[tuple[datetime, datetime]]:
    """The time between, in parts that one request may ask for."""
    while since < until:
        end = min(since + LONGEST, until)
        yield since, end
        since = end


def retry_failed(
    settings: ApiSettings, subscription: str, since: datetime, until: datetime
) -> None:
    """Ask 360Learning to send all events again that failed in this time. Raises WebhooksError."""
    if settings.v360learning_client_id is None or settings.v360learning_client_secret is None:
        raise WebhooksError(
            "V360LEARNING_CLIENT_ID or V360LEARNING_CLIENT_SECRET is not set. 360Learning's API "
            "requires both."
        )
    url = settings.v360learning_api_url
    try:
        with httpx.Client(
            base_url=url, timeout=TIMEOUT_SEC, trust_env=url.startswith("https:"), headers=VERSION
        ) as client:
            token = _token(
                client, settings.v360learning_client_id, settings.v360learning_client_secret
            )
            for start, end in periods(since, until):
                _ask(client, token, subscription, start, end)
    except httpx.HTTPError as error:
        raise WebhooksError(
            f"Cannot reach {url} ({first_line(error)}). Check V360LEARNING_API_URL and the network."
        ) from None


def _token(client: httpx.Client, client_id: str, secret: SecretStr) -> str:
    asked = {
        "grant_type": "client_credentials",
        "client_id": client_id,
        "client_secret": secret.get_secret_value(),
    }
    answer = client.post("/api/v2/oauth2/token", json=asked)
    _require_success(answer)
    try:
        token = answer.json()["access_token"]
    except (ValueError, LookupError, TypeError):
        token = None
    if not isinstance(token, str) or not token.isascii() or not 0 < len(token) <= MAX_TOKEN:
        raise WebhooksError("360Learning's answer has no usable access token.")
    return token


def _ask(
    client: httpx.Client, token: str, subscription: str, start: datetime, end: datetime
) -> None:
    answer = client.post(
        f"/api/v2/webhooks/subscriptions/{subscription}/events/retry-failure",
        json={"startDate": _iso(start), "endDate": _iso(end)},
        headers={"Authorization": f"Bearer {token}"},
    )
    _require_success(answer)


def _iso(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _require_success(answer: httpx.Response) -> None:
    if answer.is_success:
        return
    hint = HINTS.get(answer.status_code, "Try again later.")
    raise WebhooksError(f"360Learning answered {answer.status_code}. {hint}")
