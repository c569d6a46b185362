"""Calls an address while the notifier works: a service elsewhere notices when it does not."""

import time

import requests
import structlog
from pydantic import SecretStr

from receiver.notify.outbox import Failed
from receiver.notify.sending import Answer, send_all

EVERY_SEC = 60.0

log = structlog.get_logger()


class Heartbeat:
    """Calls `url` once a minute, if there is one; `private`: it may be a private address."""

    def __init__(self, url: SecretStr | None, *, private: bool) -> None:
        self._url = url
        self._private = private
        self._next = float("-inf")

    def beat(self) -> None:
        """Say that all is well, if it is time for that."""
        if self._url is None or time.monotonic() < self._next:
            return
        self._next = time.monotonic() + EVERY_SEC
        ((result,),) = send_all([[self._call]], private=self._private)
        if isinstance(result, Failed):
            log.warning("heartbeat_failed", error=result.error)

    def _call(self) -> Answer:
        """In a process of its own, which bounds the time."""
        assert self._url is not None  # noqa: S101 (asked for before)
        answer = requests.get(
            self._url.get_secret_value(), timeout=10, allow_redirects=False, stream=True
        )
        return Answer(answer.ok, answer.status_code)
