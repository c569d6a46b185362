"""Calls an address while the notifier works: a service elsewhere notices when it does not."""

import time
from select import select

import requests
import structlog
from pydantic import SecretStr

from receiver.notify.outbox import Failed
from receiver.notify.sending import Answer, Sender

EVERY_SEC = 60.0

log = structlog.get_logger()


class Heartbeat:
    """Calls `url` once a minute, if there is one; `private`: it may be a private address."""

    def __init__(self, url: SecretStr | None, *, private: bool) -> None:
        self._url = url
        self._private = private
        self._next = float("-inf")
        self._call_made: Sender | None = None

    def beat(self) -> None:
        """Say that all is well, if it is time for that. Waits for no answer: that of a call is
        looked at when this is called again."""
        self._look()
        if self._url is None or self._call_made or time.monotonic() < self._next:
            return
        self._next = time.monotonic() + EVERY_SEC
        self._call_made = Sender(self._call, private=self._private)
        self._call_made.begin("")

    def _look(self) -> None:
        made = self._call_made
        if made is None or (made.left_sec and not select([made], [], [], 0)[0]):
            return
        if isinstance(result := made.result(), Failed):
            log.warning("heartbeat_failed", error=result.error)
        made.end()
        self._call_made = None

    def _call(self, _: str) -> Answer:
        """In a process of its own, which bounds the time."""
        assert self._url is not None  # noqa: S101 (asked for before)
        answer = requests.get(
            self._url.get_secret_value(), timeout=10, allow_redirects=False, stream=True
        )
        return Answer(answer.ok, answer.status_code)
