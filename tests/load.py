"""Vendors that deliver without a pause."""

import itertools
import threading
from datetime import UTC, datetime
from typing import Any, Self

import httpx

from tests import playing

SENDERS = 6


class Load:
    """Deliveries from several senders at once, until it is left. Every event id begins `prefix`.

    `sent` holds every delivery that was tried, `acknowledged` the ids that were answered 200, and
    `refused` every other answer.
    """

    def __init__(self, url: str, prefix: str = "evt") -> None:
        self._url = url
        self._prefix = prefix
        self._numbers = itertools.count()
        self._over = threading.Event()
        self._senders = [threading.Thread(target=self._send) for _ in range(SENDERS)]
        self.sent: dict[str, tuple[bytes, dict[str, str]]] = {}
        self.acknowledged: set[str] = set()
        self.refused: list[httpx.Response] = []

    def __enter__(self) -> Self:
        for sender in self._senders:
            sender.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for sender in self._senders:
            sender.join()

    def _send(self) -> None:
        with httpx.Client(base_url=self._url, timeout=30, verify=False, trust_env=False) as client:
            while not self._over.is_set():
                number = next(self._numbers)
                event_id = f"{self._prefix}-{number}"
                body = playing.body_of(*self._event(number))
                headers = playing.signed(body, datetime.now(UTC), event_id)
                self.sent[event_id] = (body, headers)
                try:
                    answer = client.post("/webhooks/mindtickle", content=body, headers=headers)
                except httpx.TransportError:
                    return  # the receiver is gone
                if answer.status_code == 200:
                    self.acknowledged.add(event_id)
                else:
                    self.refused.append(answer)

    def _event(self, number: int) -> tuple[str, dict[str, Any]]:
        user = f"u-{number % 11}"
        note = f"{self._prefix}-{number}"
        if number % 3:
            return "module.progress", playing.progress(user, progressPct=number % 101, note=note)
        quiz = {"userId": user, "quizId": "q-1", "score": number % 11, "maxScore": 10}
        return "quiz.submitted", quiz | {"note": note}
