"""MindTickle's REST API, as far as it manages webhooks: register, list, re-activate.

An answer is untrusted text. The API token goes to the configured address and nowhere else: not
along a redirect, not through a proxy in clear text, not into an error.
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
from typing import Any, NamedTuple
from urllib.parse import quote

import httpx
from pydantic import SecretStr
from pydantic_core import from_json, to_json

from receiver.errors import WebhooksError

PATH = "/v2/webhooks"
MAX_ANSWER_BYTES = 262_144
MAX_TEXT = 200
"""Characters of an id, or of what the API says."""

IN_ADMIN = "look in MindTickle under Admin > Integrations"
NOT_LISTED = f"MindTickle's API does not list webhooks; {IN_ADMIN}."
NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError)

HINTS: Mapping[int, str] = {
    HTTPStatus.UNAUTHORIZED: "Check MINDTICKLE_API_TOKEN: it may be mistyped or expired.",
    HTTPStatus.FORBIDDEN: "This MINDTICKLE_API_TOKEN may not do that: use one that may manage "
    "the company's webhooks.",
    HTTPStatus.NOT_FOUND: "Check MINDTICKLE_API_URL: no webhooks are managed there.",
    HTTPStatus.TOO_MANY_REQUESTS: "Those were too many requests: try again in some minutes.",
    3: "A redirect is not followed, as the token would go along: correct MINDTICKLE_API_URL.",
    4: "Correct what was asked for.",
    5: "Its API is in trouble: try again later.",
}
"""What to do, by status, or else by its first digit."""


@dataclass(frozen=True)
class Timings:
    """How long the API is given, in seconds."""

    connect: float = 5.0
    read: float = 20.0
    backoff: Sequence[float] = (1.0, 2.0, 4.0, 8.0)
    """At most so long before each further attempt, at least half of it: so that clients which
    failed together do not come back together."""
    longest_pause: float = 60.0
    """Not more than this, whatever a Retry-After header asks for."""


class Webhook(NamedTuple):
    """A webhook as MindTickle lists it. What the answer does not say is empty."""

    id: str
    status: str
    url: str
    events: str


class _Request(NamedTuple):
    method: str
    path: str
    content: Mapping[str, Any] | None
    hints: Mapping[int, str]
    repeatable: bool = True
    """Whether it does no harm to be done twice."""


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
    def says_undone(self) -> bool:
        """Whether nothing was begun."""
        return self.status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)


_Outcome = _Answer | httpx.TransportError


class WebhooksApi:
    """The API at one address, under one token. Raises WebhooksError for all that goes wrong.

    `tell` is given a line before each pause, as one may last a minute.
    """

    def __init__(
        self,
        url: str,
        token: SecretStr,
        timings: Timings = Timings(),
        tell: Callable[[str], object] = lambda _: None,
    ) -> None:
        self._url = url
        self._token = token
        self._timings = timings
        self._tell = tell

    def register(self, url: str, events: Sequence[str], company_id: str) -> str:
        """Have `events` of a company delivered to `url`. Returns the webhook's id."""
        request = _Request(
            "POST",
            PATH,
            {"url": url, "events": list(events), "companyId": company_id},
            {HTTPStatus.CONFLICT: f"It is registered already: {IN_ADMIN}, and re-activate it."},
            repeatable=False,
        )
        content = self._ask(request)
        sent = content.get("webhookId") if isinstance(content, dict) else None
        webhook_id = str(sent) if isinstance(sent, str | int) else ""
        # One that is not clean could not be shown as it is, and is none that a vendor makes.
        if not webhook_id or webhook_id != self._clean(webhook_id):
            raise WebhooksError(f"MindTickle's answer has no usable webhookId.{_doubt(request)}")
        return webhook_id

    def reactivate(self, webhook_id: str) -> None:
        """Switch a webhook on again that was suspended."""
        if not webhook_id.strip(". ") or len(webhook_id) > MAX_TEXT:
            raise WebhooksError(f"'{self._clean(webhook_id)}' is no id of a webhook.")
        self._ask(
            _Request(
                "PATCH",
                f"{PATH}/{quote(webhook_id, safe='', errors='surrogateescape')}",
                {},  # no content is published; an empty object is JSON, and asks for nothing else
                {
                    HTTPStatus.NOT_FOUND: "It knows no webhook "
                    f"'{self._clean(webhook_id)}': check the id, or register anew.",
                    HTTPStatus.CONFLICT: f"It may be active already: {IN_ADMIN}.",
                },
            )
        )

    def registered(self) -> Sequence[Webhook]:
        """All webhooks of the token's company.

        MindTickle does **not publish** a way to list webhooks. `GET /v2/webhooks` is what its
        other two addresses suggest; an answer of any shape not expected here is an error that
        says where to look instead.
        """
        request = _Request(
            "GET",
            PATH,
            None,
            {HTTPStatus.NOT_FOUND: NOT_LISTED, HTTPStatus.METHOD_NOT_ALLOWED: NOT_LISTED},
        )
        content = self._ask(request)
        listed = content.get("webhooks") if isinstance(content, dict) else content
        if not isinstance(listed, list) or not all(isinstance(one, dict) for one in listed):
            raise WebhooksError(f"MindTickle's answer is no list of webhooks; {IN_ADMIN}.")
        return [self._webhook(entry) for entry in listed]

    def _webhook(self, sent: Mapping[str, Any]) -> Webhook:
        # Only these: an answer may carry the webhook's signing secret as well.
        events = sent.get("events")
        return Webhook(
            self._clean(str(sent.get("webhookId") or sent.get("id") or "(no id)")),
            self._clean(str(sent.get("status") or "")),
            self._clean(str(sent.get("url") or "")),
            self._clean(", ".join(map(str, events)) if isinstance(events, list) else ""),
        )

    def _ask(self, request: _Request) -> Any:
        """The JSON content of a good answer, None if it has none."""
        outcome = self._outcome(request)
        if isinstance(outcome, httpx.TransportError):
            raise self._unanswered(request, outcome)
        if not outcome.is_good:
            raise self._refused(request, outcome)
        try:
            return from_json(outcome.body) if outcome.body.strip() else None
        except ValueError:
            raise WebhooksError(
                f"MindTickle answered {outcome.status} with what is no JSON, or too long: check "
                f"MINDTICKLE_API_URL.{_doubt(request)}"
            ) from None

    def _outcome(self, request: _Request) -> _Outcome:
        """The first outcome that is not to be tried again, or the last."""
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
            # In clear text the token is for this machine alone, and a proxy would read it.
            may_use_proxy = self._url.startswith("https:")
            return httpx.Client(timeout=timeout, trust_env=may_use_proxy, follow_redirects=False)
        except (ImportError, OSError, ValueError, httpx.InvalidURL):
            raise WebhooksError(
                "The proxy or the certificates that the environment names cannot be used: correct "
                "HTTPS_PROXY, ALL_PROXY, SSL_CERT_FILE or SSL_CERT_DIR."
            ) from None

    def _attempt(self, client: httpx.Client, request: _Request) -> _Outcome:
        content = None if request.content is None else json.dumps(request.content).encode()
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
        what = f"answered {outcome.status}" if isinstance(outcome, _Answer) else "gave no answer"
        self._tell(f"MindTickle {what}; trying again in {pause:.1f} s.")
        sleep(pause)

    def _unanswered(self, request: _Request, error: httpx.TransportError) -> WebhooksError:
        if isinstance(error, NEVER_SENT):
            why = self._clean(str(error))
            return WebhooksError(
                f"{self._url} cannot be reached ({why}): check MINDTICKLE_API_URL and the network."
            )
        what = (
            f"gave no answer within {self._timings.read:g} s"
            if isinstance(error, httpx.TimeoutException)
            else "broke the connection off"
        )
        return WebhooksError(f"{self._url} {what}: try again later.{_doubt(request)}")

    def _refused(self, request: _Request, answer: _Answer) -> WebhooksError:
        status = answer.status
        hint = request.hints.get(status) or HINTS.get(status) or HINTS.get(status // 100, "")
        doubt = _doubt(request) if answer.is_failure and not answer.says_undone else ""
        return WebhooksError(f"MindTickle answered {status}. {hint}{doubt}{self._said(answer)}")

    def _said(self, answer: _Answer) -> str:
        """What the API says of a refusal. In which shape is not published."""
        try:
            content = from_json(answer.body)
        except ValueError:  # the page of some proxy, or nothing
            return ""
        # What refuses a token may quote a part of it.
        if not content or answer.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            return ""
        if isinstance(content, dict):
            named = (content.get(name) for name in ("message", "error", "detail"))
            content = next(filter(None, named), content)
        words = content if isinstance(content, str) else to_json(content).decode()
        return f' It says: "{self._clean(words)}"'

    def _clean(self, text: str) -> str:
        """Foreign text for a terminal: one line of printable characters, short, no token."""
        printable = "".join(one if one.isprintable() else " " for one in text)
        line = " ".join(printable.replace(self._token.get_secret_value(), "[token]").split())
        return line if len(line) <= MAX_TEXT else f"{line[:MAX_TEXT]}…"


def _may_repeat(request: _Request, outcome: _Outcome) -> bool:
    """Whether another attempt may help, and does no harm.

    A second POST would register a second webhook. So it is repeated only where the first was
    never sent, or was turned away undone. A time-out after sending, a broken connection or
    another 5xx may have come after the webhook was made, and a person has to look.
    """
    if isinstance(outcome, httpx.TransportError):
        return request.repeatable or isinstance(outcome, NEVER_SENT)
    return outcome.says_undone or (request.repeatable and outcome.is_failure)


def _doubt(request: _Request) -> str:
    if request.repeatable:
        return ""
    return f" The webhook may be registered all the same: {IN_ADMIN} before you try again."


def _body(response: httpx.Response) -> bytes:
    """The body as sent, cut where it is too long. Unpacking it could make it a thousandfold."""
    body = b""
    for chunk in response.iter_raw():
        body += chunk
        if len(body) > MAX_ANSWER_BYTES:
            break
    return body


def _retry_after(outcome: _Outcome) -> float | None:
    """The seconds that the header Retry-After asks for: a number of them, or a date."""
    sent = outcome.retry_after if isinstance(outcome, _Answer) else ""
    if re.fullmatch(r"[0-9]{1,9}", sent):
        return float(sent)
    try:
        at = parsedate_to_datetime(sent)
    except (ValueError, OverflowError):
        return None
    return max(0.0, (at.replace(tzinfo=at.tzinfo or UTC) - datetime.now(UTC)).total_seconds())
