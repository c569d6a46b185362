"""How each vendor delivers, for tests that hold for all of them: a new vendor is one more line."""

import base64
import hmac
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from tests import playing


class Sender(NamedTuple):
    """Bodies as the vendor sends them, and the headers that make any body authentic."""

    bodies: Sequence[bytes]
    credentials: Callable[[bytes], Mapping[str, str]]


def _mindtickle(body: bytes) -> Mapping[str, str]:
    return playing.signed(body, datetime.now(UTC), playing.new_id())


def _innovative_educators(_body: bytes) -> Mapping[str, str]:
    return {}  # its address is its credential


def _lessonly(_body: bytes) -> Mapping[str, str]:
    return {"authorization": playing.AUTHORIZATION}


def _standard_webhooks(body: bytes) -> Mapping[str, str]:
    """Signed by hand, as the reference package signs text only."""
    event_id, at = playing.new_id(), str(int(datetime.now(UTC).timestamp()))
    key = base64.b64decode(playing.WHSEC.removeprefix("whsec_"))
    token = hmac.digest(key, f"{event_id}.{at}.".encode() + body, "sha256")
    return {
        "webhook-id": event_id,
        "webhook-timestamp": at,
        "webhook-signature": f"v1,{base64.b64encode(token).decode()}",
    }


SENDERS: Mapping[str, Sender] = {
    "mindtickle": Sender(
        [
            playing.body_of("module.progress", playing.progress()),
            playing.body_of("quiz.submitted", {"userId": "u-1", "quizId": "q", "score": 7,
                                               "maxScore": 10, "passed": True}),
            playing.body_of("course.completed", {"userId": "u-1", "courseId": "c", "score": 80,
                                                 "completedAt": "2025-11-22T08:30:00Z"}),
            playing.body_of("user.provisioned", {"userId": "u-1", "email": "dana@example.com",
                                                 "role": "rep", "teamId": "west"}),
            playing.body_of("user.deprovisioned", {"userId": "u-1", "reason": "left",
                                                   "deprovisionedAt": "2025-11-22T08:30:00Z"}),
            playing.body_of("certification.expired", {"userId": "u-1", "certName": "Basics",
                                                      "expiredAt": "2025-11-22T08:30:00Z"}),
            playing.body_of("badge.earned", {"userId": "u-1"}),
        ],
        _mindtickle,
    ),
    "innovative-educators": Sender(
        [playing.course(), playing.sample("innovative-educators", "test")], _innovative_educators
    ),
    "lessonly": Sender(
        [playing.lesson(), playing.sample("lessonly", "completion.no-questions")], _lessonly
    ),
    "standard-webhooks": Sender(
        [b'{"type": "deal.won", "timestamp": "2025-11-22T08:30:00Z", "data": {"id": 7}}'],
        _standard_webhooks,
    ),
}  # fmt: skip
