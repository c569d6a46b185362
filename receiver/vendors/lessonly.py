"""Seismic Learning (Lessonly): the completed lesson, verified by its Authorization header.

The vendor sends the value exactly as its admin typed it. For the vendor it is optional, for
Repboard it is required.
"""

import hashlib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict

from receiver.vendors.base import (
    FROM_ENV,
    Adapter,
    Claims,
    Ignored,
    Incoming,
    KeptEvent,
    Rejected,
    Unreadable,
    VendorEvent,
    VendorSettings,
    json_object,
    key_of,
    presents,
    text_of,
)
from receiver.vendors.fields import (
    Email,
    Id,
    Name,
    Percent,
    TimeBefore,
    WebAddress,
    by_arrival,
    read,
)
from shared.facts import Attempted, Completed, Fact, Identified
from shared.outcomes import Outcome
from shared.retries import Schedule
from shared.setting_types import Delays, Secrets
from shared.settings import guessable
from shared.vendors import SetUp, VendorFacts

SLUG = "lessonly"
AUTHORIZATION = "authorization"
COMPLETED = "lesson.completed"
READ = ("user.id", "user.name", "user.email", "lesson.id", "lesson.title", "lesson.retake_score",
        "score_percent", "completed_at", "report_card_url")  # fmt: skip
"""The fields that are read."""


class Lessonly:
    """The adapter under one installation's values; several are valid during a rotation."""

    slug: str = SLUG
    kept_headers: Sequence[str] = ()
    secret_headers: Sequence[str] = (AUTHORIZATION,)

    def __init__(self, values: Sequence[bytes]) -> None:
        self._values = values

    def authenticate(self, incoming: Incoming) -> None:
        if not (incoming.headers.get(AUTHORIZATION) or incoming.digests.get(AUTHORIZATION)):
            raise Rejected(
                Outcome.MISSING_CREDENTIALS,
                "No Authorization header. If this is Lessonly, enter the value of "
                "LESSONLY_AUTHORIZATION in its webhook settings. If not, this is another sender.",
            )
        if not presents(incoming, AUTHORIZATION, self._values):
            raise Rejected(
                Outcome.WRONG_CREDENTIALS,
                "The Authorization header is none of LESSONLY_AUTHORIZATION. Copy the value there "
                "exactly as it stands in Lessonly's webhook settings, and restart.",
            )

    def may_be_signed(self, incoming: Incoming) -> bool:
        return False

    def parse(self, incoming: Incoming) -> VendorEvent:
        done, ignored = _completion(json_object(incoming.body), incoming.received_at)
        digest = self.digest(incoming)
        event_key = _event_key(done, ignored) or f"digest:{digest}"
        occurred_at = by_arrival(done.completed_at or incoming.received_at, incoming.received_at)
        return VendorEvent(
            event_key=event_key,
            digest=digest,
            type=COMPLETED,
            company_id=None,
            user_id=done.user.id,
            occurred_at=occurred_at,
            payload=text_of(incoming.body),
            facts=done.facts(event_key, occurred_at),
            ignored=ignored,
        )

    def digest(self, incoming: Incoming) -> str:
        return hashlib.sha256(incoming.body).hexdigest()

    def claims(self, incoming: Incoming) -> Claims:
        try:
            done, ignored = _completion(json_object(incoming.body), incoming.received_at)
        except Unreadable:
            return Claims(None, None)
        return Claims(_event_key(done, ignored), COMPLETED)


class _User(BaseModel):
    model_config = ConfigDict(extra="ignore")

    id: Id
    name: Name = None
    email: Email = None


class _Lesson(BaseModel):
    model_config = ConfigDict(extra="ignore")

    id: Id
    title: Name = None
    retake_score: Percent | None = None


class _Completion(BaseModel):
    # `score` from 0 to 1 is left alone: it is deprecated, and where `score_percent` is missing
    # the lesson has no questions, so a number there is no result.
    model_config = ConfigDict(extra="ignore")

    user: _User
    lesson: _Lesson
    score_percent: Percent | None = None
    completed_at: TimeBefore | None = None
    report_card_url: WebAddress = None

    def facts(self, key: str, at: datetime) -> Sequence[Fact]:
        """What the event says, having happened at `at`."""
        user, lesson, score = self.user, self.lesson, self.score_percent
        who = Identified(SLUG, user.id, user.email, user.name, at)
        done = Completed(
            SLUG, key, user.id, lesson.id, lesson.title, score, at, self.report_card_url
        )
        if score is None:
            return who, done
        attempt = Attempted(
            vendor=SLUG,
            event_key=key,
            user_id=user.id,
            quiz_id=lesson.id,
            quiz_name=lesson.title,
            score=score,
            max_score=100,
            passed=None,  # the vendor only sends the score below which to retake
            graded=True,
            submitted_at=at,
            retake_pct=lesson.retake_score,
        )
        return who, done, attempt


def _completion(
    body: dict[str, Any], received_at: datetime
) -> tuple[_Completion, Sequence[Ignored]]:
    """Raises Unreadable if the body is no completed lesson."""
    return read(_Completion, COMPLETED, body, received_at)


def _event_key(done: _Completion, ignored: Sequence[Ignored]) -> str | None:
    """The vendor sends no event ID, so the key is user, lesson and time, each quoted. None without
    a time from the vendor: the arrival differs with each retry."""
    if done.completed_at is None or any(one.field == "completed_at" for one in ignored):
        return None
    at = done.completed_at.astimezone(UTC).isoformat()
    parts = (quote(one, safe="") for one in (done.user.id, done.lesson.id))
    return key_of(":".join((*parts, at)).encode())


def kept_facts(event: KeptEvent) -> Sequence[Fact]:
    """What a kept event says, for `rebuild`."""
    done, _ = _completion(json_object(event.payload.encode()), event.received_at)
    return done.facts(event.event_key, event.occurred_at)


class LessonlySettings(VendorSettings):
    lessonly_authorization: Secrets = ()
    """Values of the whole header. A comma separates them, so no value may contain one."""
    lessonly_retry_delays: Delays = (300, 300, 300)

    def vendor(self) -> Lessonly | None:
        values = [value.get_secret_value().encode() for value in self.lessonly_authorization]
        return Lessonly(values) if values else None

    def weaknesses(self) -> Iterator[str]:
        cure = "enter the output of `openssl rand -hex 32` there and here"
        yield from guessable("LESSONLY_AUTHORIZATION", self.lessonly_authorization, cure)

    def facts(self) -> VendorFacts:
        return VendorFacts(
            slug=SLUG,
            name="Seismic Learning (Lessonly)",
            schedule=Schedule.of(self.lessonly_retry_delays, "gaps"),
            suspend_after=None,
            reactivate="Nothing to re-activate: after three failed retries the vendor stops until "
            "the next lesson is completed.",
            cures={
                Outcome.WRONG_CREDENTIALS: "Copy the value from Lessonly's webhook settings into "
                "LESSONLY_AUTHORIZATION, beside the old one, restart the receiver, then replay.",
                Outcome.MISSING_CREDENTIALS: "If it is Lessonly, enter the value of "
                "LESSONLY_AUTHORIZATION in its webhook settings. If not, it is another sender, or "
                "a proxy that removes headers.",
            },
            set_up=SetUp(
                "LESSONLY_AUTHORIZATION",
                "In Lessonly's webhook settings, enter the value of LESSONLY_AUTHORIZATION as "
                "authorization, and this address:",
                curl=CURL,
            ),
            secret_headers=(AUTHORIZATION,),
            fields={COMPLETED: READ},
        )


CURL = (
    FROM_ENV
    + """\
value=$(setting LESSONLY_AUTHORIZATION)
at=$(date -u +%Y-%m-%dT%H:%M:%SZ)
body='{"user": {"id": "u-1", "name": "Dana Example", "email": "dana@example.com"},
 "lesson": {"id": "l-1", "title": "Discovery calls"}, "score_percent": 80,
 "completed_at": "'"$at"'"}'
printf 'authorization: %s' "${value%%,*}" |
  curl -sS "$url" -H 'content-type: application/json' -H @- --data-binary "$body"
"""
)
ADAPTER = Adapter(SLUG, "lessonly_authorization", LessonlySettings, kept_facts)
