"""Client for MindTickle's webhook API: register and reactivate.

A response is untrusted text. The API token goes to the configured address only: never to a
redirect target, through a proxy in clear text, or into an error message.
"""

import json
import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from time import sleep
from typing import NamedTuple
from urllib.parse import quote

import httpx
from pydantic import SecretStr
from pydantic_core import from_json, to_json

from receiver.errors import WebhooksError

PATH = "/v2/webhooks"
MAX_ANSWER_BYTES = 262_144
MAX_TEXT = 200
"""Characters of an ID, or of a message from the API."""

IN_ADMIN = "look in MindTickle under Admin > Integrations"
NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError)

HINTS: Mapping[int, str] = {
    HTTPStatus.UNAUTHORIZED: "Check MINDTICKLE_API_TOKEN. It may be mistyped or expired.",
    HTTPStatus.FORBIDDEN: "This MINDTICKLE_API_TOKEN lacks permission. Use one that can manage "
    "the company's webhooks.",
    HTTPStatus.NOT_FOUND: "Check MINDTICKLE_API_URL. The webhook API is not there.",
    HTTPStatus.TOO_MANY_REQUESTS: "Too many requests. Try again in a few minutes.",
    3: "Redirects are not followed, to protect the token. Correct MINDTICKLE_API_URL.",
    4: "Correct the request.",
    5: "Its API has a problem. Try again later.",
}
"""What to do, by status or by its first digit."""


@dataclass(frozen=True)
class Timings:
    """Timeouts and pauses, in seconds."""

    connect: float = 5.0
    read: float = 20.0
    backoff: Sequence[float] = (1.0, 2.0, 4.0, 8.0)
    """The longest pause before each retry. The actual one is random, at least half as long, so
    that clients that failed together do not return together."""
    longest_pause: float = 60.0
    """The limit, whatever a Retry-After header says."""


class _Request(NamedTuple):
    method: str
    path: str
    content: Mapping[str, object]
    hints: Mapping[int, str]
    repeatable: bool = True
    """Whether sending it twice is safe."""


class _Answer(NamedTuple):
    status: int
    retry_after: str
    body: bytes

    @property
    def is_good(self) -> bool:
        return HTTPStatus.OK <= self.status < HTTPStatus.MULTIPLE_CHOICES

    @property
    def is_failure(self) -> bool:
        return self.status >= HTTPStatus.INTERNAL_SERVER_ERROR

    @property
    def was_turned_away(self) -> bool:
        """Whether the API refused before it did anything."""
        return self.status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)


_Outcome = _Answer | httpx.TransportError


class WebhooksApi:
    """The API at one address, with one token. Raises WebhooksError for every failure.

    `on_pause` receives a line before each pause, which may last a minute.
    """

    def __init__(
        self,
        url: str,
        token: SecretStr,
        timings: Timings = Timings(),
        on_pause: Callable[[str], object] = lambda _: None,
    ) -> None:
        self._url = url
        self._token = token
        self._timings = timings
        self._on_pause = on_pause

    def register(self, url: str, events: Sequence[str], company_id: str) -> str:
        """Register `url` for `events` of a company. Returns the webhook's ID."""
        request = _Request(
            "POST",
            PATH,
            {"url": url, "events": list(events), "companyId": company_id},
            {HTTPStatus.CONFLICT: f"It is already registered: {IN_ADMIN} and reactivate it."},
            repeatable=False,
        )
        content = self._ask(request)
        sent = content.get("webhookId") if isinstance(content, dict) else None
        webhook_id = str(sent) if isinstance(sent, str | int) else ""
        # An ID that cleaning changes cannot be printed as it is, and no real vendor makes one.
        if not webhook_id or webhook_id != self._clean(webhook_id):
            raise WebhooksError(f"MindTickle's response has no usable webhookId.{_doubt(request)}")
        return webhook_id

    def reactivate(self, webhook_id: str) -> None:
        """Reactivate a suspended webhook."""
        if not webhook_id.strip(". ") or len(webhook_id) > MAX_TEXT:
            raise WebhooksError(f"'{self._clean(webhook_id)}' is not a webhook ID.")
        self._ask(
            _Request(
                "PATCH",
                f"{PATH}/{quote(webhook_id, safe='', errors='surrogateescape')}",
                {},  # no body is published; an empty object is valid JSON and changes nothing
                {
                    HTTPStatus.NOT_FOUND: "It has no webhook "
                    f"'{self._clean(webhook_id)}'. Check the ID, or register again.",
                    HTTPStatus.CONFLICT: f"It may already be active: {IN_ADMIN}.",
                },
            )
        )

    def _ask(self, request: _Request) -> object:
        """The JSON body of a successful response, None if it is empty."""
        outcome = self._outcome(request)
        if isinstance(outcome, httpx.TransportError):
            raise self._unanswered(request, outcome)
        if not outcome.is_good:
            raise self._refused(request, outcome)
        try:
            return from_json(outcome.body) if outcome.body.strip() else None
        except ValueError:
            raise WebhooksError(
                f"MindTickle answered {outcome.status}, but the body is not JSON or too long. "
                f"Check MINDTICKLE_API_URL.{_doubt(request)}"
            ) from None

    def _outcome(self, request: _Request) -> _Outcome:
        """The first outcome that must not be retried, or the last one."""
        with self._client() as client:
            for backoff in self._timings.backoff:
                outcome = self._attempt(client, request)
                if not _may_repeat(request, outcome):
                    return outcome
                self._pause(outcome, backoff)
            return self._attempt(client, request)

    def _client(self) -> httpx.Client:
        timeout = httpx.Timeout(self._timings.read, connect=self._timings.connect)
        try:
            # Clear text is for this machine only; a proxy could read the token.
            may_use_proxy = self._url.startswith("https:")
            return httpx.Client(timeout=timeout, trust_env=may_use_proxy, follow_redirects=False)
        except (ImportError, OSError, ValueError, httpx.InvalidURL):
            raise WebhooksError(
                "The proxy or the certificates from the environment do not work. Correct "
                "HTTPS_PROXY, ALL_PROXY, SSL_CERT_FILE or SSL_CERT_DIR."
            ) from None

    def _attempt(self, client: httpx.Client, request: _Request) -> _Outcome:
        content = json.dumps(request.content).encode()
        headers = {
            "Authorization": f"Bearer {self._token.get_secret_value()}",
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            "Content-Type": "application/json",
        }
        url = f"{self._url}{request.path}"
        try:
            with client.stream(request.method, url, content=content, headers=headers) as response:
                retry_after = response.headers.get("Retry-After", "")
                return _Answer(response.status_code, retry_after, _body(response))
        except httpx.TransportError as error:
            return error

    def _pause(self, outcome: _Outcome, backoff: float) -> None:
        asked = _retry_after(outcome)
        pause = random.uniform(backoff / 2, backoff) if asked is None else asked  # noqa: S311
        pause = min(pause, self._timings.longest_pause)
        what = f"answered {outcome.status}" if isinstance(outcome, _Answer) else "did not answer"
        self._on_pause(f"MindTickle {what}; retrying in {pause:.1f} s.")
        sleep(pause)

    def _unanswered(self, request: _Request, error: httpx.TransportError) -> WebhooksError:
        if isinstance(error, NEVER_SENT):
            why = self._clean(str(error))
            return WebhooksError(
                f"Cannot reach {self._url} ({why}). Check MINDTICKLE_API_URL and the network."
            )
        what = (
            f"did not answer within {self._timings.read:g} s"
            if isinstance(error, httpx.TimeoutException)
            else "closed the connection"
        )
        return WebhooksError(f"{self._url} {what}. Try again later.{_doubt(request)}")

    def _refused(self, request: _Request, answer: _Answer) -> WebhooksError:
        status = answer.status
        hint = request.hints.get(status) or HINTS.get(status) or HINTS.get(status // 100, "")
        doubt = _doubt(request) if answer.is_failure and not answer.was_turned_away else ""
        return WebhooksError(f"MindTickle answered {status}. {hint}{doubt}{self._said(answer)}")

    def _said(self, answer: _Answer) -> str:
        """The API's message with a refusal. Its shape is not published."""
        try:
            content = from_json(answer.body)
        except ValueError:  # a proxy's error page, or nothing
            return ""
        # A refusal of a token may quote a part of it.
        if not content or answer.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            return ""
        if isinstance(content, dict):
            named = (content.get(name) for name in ("message", "error", "detail"))
            content = next(filter(None, named), content)
        words = content if isinstance(content, str) else to_json(content).decode()
        return f' Message: "{self._clean(words)}"'

    def _clean(self, text: str) -> str:
        """Untrusted text for a terminal: one short printable line, without the token."""
        printable = "".join(one if one.isprintable() else " " for one in text)
        line = " ".join(printable.replace(self._token.get_secret_value(), "[token]").split())
        return line if len(line) <= MAX_TEXT else f"{line[:MAX_TEXT]}…"


def _may_repeat(request: _Request, outcome: _Outcome) -> bool:
    """Whether a retry can help and is safe.

    A second POST would register a second webhook. So a POST is retried only if the first was
    never sent or was turned away. After a timeout, a broken connection or another 5xx the
    webhook may exist, and a person has to check.
    """
    if isinstance(outcome, httpx.TransportError):
        return request.repeatable or isinstance(outcome, NEVER_SENT)
    return outcome.was_turned_away or (request.repeatable and outcome.is_failure)


def _doubt(request: _Request) -> str:
    if request.repeatable:
        return ""
    return f" The webhook may be registered anyway: {IN_ADMIN} before you retry."


def _body(response: httpx.Response) -> bytes:
    """The body as sent, cut if too long. Decompressed, it could be a thousand times as long."""
    body = b""
    for chunk in response.iter_raw():
        body += chunk
        if len(body) > MAX_ANSWER_BYTES:
            break
    return body


def _retry_after(outcome: _Outcome) -> float | None:
    """Seconds from the Retry-After header, which is a number or a date."""
    sent = outcome.retry_after if isinstance(outcome, _Answer) else ""
    if re.fullmatch(r"[0-9]{1,9}", sent):
        return float(sent)
    try:
        at = parsedate_to_datetime(sent)
    except (ValueError, OverflowError):
        return None
    return max(0.0, (at.replace(tzinfo=at.tzinfo or UTC) - datetime.now(UTC)).total_seconds())
