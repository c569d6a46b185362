"""How each vendor delivers, for tests that hold for all of them: a new vendor is one more line."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from tests import playing


class Sender(NamedTuple):
    """Bodies as the vendor sends them, and the headers that let any body in as its own."""

    bodies: Sequence[bytes]
    credentials: Callable[[bytes], Mapping[str, str]]


def _mindtickle(body: bytes) -> Mapping[str, str]:
    return playing.signed(body, datetime.now(UTC), playing.new_id())


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
}  # fmt: skip
