"""MindTickle: six event types, signed with HMAC-SHA256 over timestamp, colon and raw body."""

import hashlib
import hmac
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

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
    age_complaint,
    event_type_of,
    hmac_sha256,
    json_object,
    key_of,
    short_text,
    text_of,
)
from receiver.vendors.fields import (
    Email,
    Id,
    Name,
    Number,
    Percent,
    Seconds,
    Time,
    TimeAnnounced,
    TimeBefore,
    by_arrival,
    read,
    signed_time,
)
from shared.facts import (
    Attempted,
    Completed,
    Deprovisioned,
    Expired,
    Fact,
    Progressed,
    Provisioned,
    trimmed,
)
from shared.outcomes import Outcome
from shared.retries import Schedule
from shared.settings import (
    TEN_YEARS_SEC,
    AccountId,
    ApiToken,
    ApiUrl,
    Delays,
    Secrets,
    Tolerances,
    guessable,
)
from shared.vendors import ProgressFields, SetUp, VendorFacts

SLUG = "mindtickle"
SIGNATURE = "x-mt-webhook-signature"
TIMESTAMP = "x-mt-webhook-timestamp"
EVENT_ID = "x-mt-event-id"


class MindTickle:
    """The adapter under one installation's secrets. Several secrets are valid during a rotation."""

    slug: str = SLUG
    kept_headers: Sequence[str] = (SIGNATURE, TIMESTAMP, EVENT_ID)
    secret_headers: Sequence[str] = ()

    def __init__(
        self, secrets: Sequence[bytes], company_id: str | None, past: int, future: int
    ) -> None:
        self._secrets = secrets
        self._company_id = company_id and trimmed(company_id)
        self._past = past
        self._future = future

    def authenticate(self, incoming: Incoming) -> None:
        signature = incoming.headers.get(SIGNATURE)
        timestamp = incoming.headers.get(TIMESTAMP)
        if not signature or not timestamp:
            missing = SIGNATURE if not signature else TIMESTAMP
            raise Rejected(
                Outcome.MISSING_CREDENTIALS,
                f"No {missing} header. MindTickle always sends one: this is another sender, "
                "or a proxy removes it.",
            )
        expected = (sign(secret, timestamp, incoming.body) for secret in self._secrets)
        if not any(hmac.compare_digest(one, signature) for one in expected):
            raise Rejected(
                Outcome.BAD_SIGNATURE,
                "The signature fits no configured secret. If the secret was rotated, copy the new "
                "one from Admin > Integrations into MINDTICKLE_WEBHOOK_SECRET and restart.",
            )
        signed_at = _signed_at(timestamp)
        if late := age_complaint(signed_at, incoming.received_at, self._past, self._future):
            raise Rejected(Outcome.STALE_TIMESTAMP, late)

    def may_be_signed(self, incoming: Incoming) -> bool:
        try:
            at = _signed_at(incoming.headers.get(TIMESTAMP, b""))
        except Rejected:
            return False
        late = age_complaint(at, incoming.received_at, self._past, self._future)
        return not late and bool(_HEX.fullmatch(incoming.headers.get(SIGNATURE, b"")))

    def parse(self, incoming: Incoming) -> VendorEvent:
        body = json_object(incoming.body)
        event_type = _event_type(body)  # first: a body without one is no delivery of the vendor
        company = trimmed(short_text(body.get("companyId")) or "") or None
        if self._company_id is not None and company != self._company_id:
            raise Rejected(
                Outcome.WRONG_COMPANY,
                "The delivery is for another company than MINDTICKLE_COMPANY_ID. "
                "Correct the setting, or the subscription's companyId.",
            )
        digest = self.digest(incoming)
        event_key = key_of(incoming.headers.get(EVENT_ID, b"")) or f"digest:{digest}"
        data, ignored = _data(event_type, body, incoming.received_at)
        said_at = (data.own_time() if data else None) or _signed_at(incoming.headers[TIMESTAMP])
        occurred_at = by_arrival(said_at, incoming.received_at)
        return VendorEvent(
            event_key=event_key,
            digest=digest,
            type=event_type,
            company_id=company,
            user_id=data.user_id if data else None,
            occurred_at=occurred_at,
            payload=text_of(incoming.body),
            facts=(data.fact(event_key, occurred_at),) if data else (),
            ignored=ignored,
        )

    def digest(self, incoming: Incoming) -> str:
        signed = incoming.headers.get(TIMESTAMP, b"") + b":" + incoming.body
        return hashlib.sha256(signed).hexdigest()

    def claims(self, incoming: Incoming) -> Claims:
        try:
            claimed = json_object(incoming.body).get("event")
        except Unreadable:
            claimed = None
        key = key_of(incoming.headers.get(EVENT_ID, b""))
        return Claims(key or None, short_text(claimed))


def sign(secret: bytes, timestamp: bytes, body: bytes) -> bytes:
    """The signature header of a delivery, lower-case hex."""
    return hmac_sha256(secret, timestamp + b":" + body).hex().encode()


_HEX = re.compile(rb"[0-9a-f]{64}")


def _signed_at(header: bytes) -> datetime:
    """Epoch seconds, epoch milliseconds or ISO 8601 with seconds; anything else is refused."""
    if (at := signed_time(header)) is None:
        raise Rejected(
            Outcome.STALE_TIMESTAMP,
            f"The {TIMESTAMP} header is neither epoch seconds, epoch milliseconds nor ISO 8601 "
            "with date, time and seconds.",
        )
    return at


def _event_type(body: dict[str, Any]) -> str:
    event_type = event_type_of(body.get("event"))
    if event_type is None:
        raise Unreadable("event: should be the name of an event type.")
    return event_type


class _Data(BaseModel, ABC):
    """What has a default only describes, and is ignored if it is wrong."""

    model_config = ConfigDict(alias_generator=to_camel, extra="ignore")

    user_id: Id

    def own_time(self) -> datetime | None:
        """The event's time where the payload has one; else the timestamp header is its time."""
        return None

    @abstractmethod
    def fact(self, key: str, at: datetime) -> Fact:
        """What the event says, having happened at `at`."""


class _Provisioned(_Data):
    email: Email = None
    role: Name = None
    team_id: Name = None

    def fact(self, key: str, at: datetime) -> Fact:
        return Provisioned(SLUG, self.user_id, self.email, None, self.role, self.team_id, at)


class _Deprovisioned(_Data):
    email: Email = None
    reason: Name = None
    deprovisioned_at: TimeAnnounced | None = None

    def own_time(self) -> datetime | None:
        return self.deprovisioned_at

    def fact(self, key: str, at: datetime) -> Fact:
        later = _if_later(self.deprovisioned_at, at)
        return Deprovisioned(SLUG, self.user_id, self.email, at, self.reason, later)


class _Progressed(_Data):
    module_id: Id
    module_name: Name = None
    progress_pct: Percent
    time_spent_sec: Seconds | None = None

    def fact(self, key: str, at: datetime) -> Fact:
        seconds = int(self.time_spent_sec or 0)
        return Progressed(
            SLUG, self.user_id, self.module_id, self.module_name, self.progress_pct, seconds, at
        )


LEAST_MAXIMUM = 0.01
"""Points. A quiz that is worth less is worth nothing."""


class _Submitted(_Data):
    quiz_id: Id
    quiz_name: Name = None
    quiz_type: Name = None
    score: Number | None = None
    max_score: Number | None = None
    passed: bool | None = None

    def fact(self, key: str, at: datetime) -> Fact:
        practice = "practice" in (self.quiz_type or "").lower()
        # A survey is worth 0 points. A score without a maximum is graded, without a percentage.
        survey = self.max_score is not None and self.max_score < LEAST_MAXIMUM
        scored = self.score is not None and not survey
        return Attempted(
            vendor=SLUG,
            event_key=key,
            user_id=self.user_id,
            quiz_id=self.quiz_id,
            quiz_name=self.quiz_name,
            score=self.score,
            max_score=None if survey else self.max_score,
            passed=self.passed,
            graded=not practice and (scored or self.passed is not None),
            submitted_at=at,
        )


class _Completed(_Data):
    course_id: Id
    course_name: Name = None
    score: Number | None = None
    completed_at: TimeBefore | None = None

    def own_time(self) -> datetime | None:
        return self.completed_at

    def fact(self, key: str, at: datetime) -> Fact:
        return Completed(SLUG, key, self.user_id, self.course_id, self.course_name, self.score, at)


class _Expired(_Data):
    cert_name: Id
    expired_at: TimeAnnounced | None = None
    renewal_deadline: Time | None = None

    def own_time(self) -> datetime | None:
        return self.expired_at

    def fact(self, key: str, at: datetime) -> Fact:
        later = _if_later(self.expired_at, at)
        return Expired(SLUG, self.user_id, self.cert_name, at, self.renewal_deadline, later)


def _if_later(said: datetime | None, at: datetime) -> datetime | None:
    """What was announced at `at`, if it was."""
    return said if said and said > at else None


_DATA: dict[str, type[_Data]] = {
    "course.completed": _Completed,
    "quiz.submitted": _Submitted,
    "user.provisioned": _Provisioned,
    "user.deprovisioned": _Deprovisioned,
    "module.progress": _Progressed,
    "certification.expired": _Expired,
}
EVENT_TYPES: Sequence[str] = tuple(_DATA)


def _data(
    event_type: str, body: dict[str, Any], received_at: datetime
) -> tuple[_Data | None, Sequence[Ignored]]:
    """The fields of a known type; None for one we do not know, which is kept all the same.

    Raises Unreadable if a known type lacks a field that it needs, or has a wrong one.
    """
    known = _DATA.get(event_type)
    if known is None:
        return None, ()
    return read(known, event_type, body.get("data"), received_at, whole="data")


def kept_facts(event: KeptEvent) -> Sequence[Fact]:
    """What a kept event says, for `rebuild`."""
    data, _ = _data(event.type, json_object(event.payload.encode()), event.received_at)
    return (data.fact(event.event_key, event.occurred_at),) if data else ()


class MindTickleSettings(VendorSettings, Tolerances):
    mindtickle_webhook_secret: Secrets = ()
    mindtickle_company_id: AccountId | None = None
    mindtickle_api_token: ApiToken | None = None
    mindtickle_api_url: ApiUrl = "https://api.mindtickle.com"
    mindtickle_retry_delays: Delays = (300, 900, 3600, 21_600)
    """Seconds before each retry, as MindTickle's guide publishes them."""
    mindtickle_retry_reading: Literal["gaps", "offsets"] = "gaps"
    """Whether a delay counts from the attempt before, or from the first."""
    mindtickle_suspend_after: Annotated[int, Field(ge=60, le=TEN_YEARS_SEC)] = 86_400
    """Seconds in which every delivery fails until MindTickle suspends the webhook."""

    def vendor(self) -> MindTickle | None:
        secrets = [one.get_secret_value().encode() for one in self.mindtickle_webhook_secret]
        if not secrets:
            return None
        past, future = self.timestamp_tolerance_past, self.timestamp_tolerance_future
        return MindTickle(secrets, self.mindtickle_company_id, past, future)

    def weaknesses(self) -> Iterator[str]:
        cure = "have MindTickle make another, under Admin > Integrations"
        yield from guessable("MINDTICKLE_WEBHOOK_SECRET", self.mindtickle_webhook_secret, cure)

    def facts(self) -> VendorFacts:
        return VendorFacts(
            slug=SLUG,
            name="MindTickle",
            schedule=Schedule.of(self.mindtickle_retry_delays, self.mindtickle_retry_reading),
            suspend_after=timedelta(seconds=self.mindtickle_suspend_after),
            reactivate="When deliveries would pass again, re-activate the webhook under Admin > "
            "Integrations, or run: repboard webhooks reactivate <id>",
            cures={
                Outcome.BAD_SIGNATURE: "Copy the new secret from Admin > Integrations into "
                "MINDTICKLE_WEBHOOK_SECRET, beside the old one, restart the receiver, then replay.",
                Outcome.WRONG_COMPANY: "Correct MINDTICKLE_COMPANY_ID, or the companyId of the "
                "subscription, then replay.",
            },
            set_up=SetUp(
                "MINDTICKLE_WEBHOOK_SECRET",
                "Register this address in MindTickle under Admin > Integrations > Webhooks:",
                tuple(EVENT_TYPES),
                CURL,
            ),
            secret_headers=(SIGNATURE,),
            roster_event="user.provisioned",
            timed_by_signing=("module.progress", "quiz.submitted"),
            progress=ProgressFields(
                "module.progress", "data.moduleId", "data.moduleName", "data.progressPct"
            ),
        )


CURL = (
    FROM_ENV
    + """\
secret=$(setting MINDTICKLE_WEBHOOK_SECRET)
company=$(setting MINDTICKLE_COMPANY_ID)
body='{"event": "module.progress", "companyId": "'"${company:-demo}"'", "data": {"userId": "u-1",
 "moduleName": "Discovery calls", "moduleId": "m-1", "progressPct": 40, "timeSpentSec": 600}}'
at=$(date +%s)
signature=$(printf '%s:%s' "$at" "$body" |
  openssl dgst -sha256 -hmac "${secret%%,*}" | sed 's/^.* //')
curl -sS "$url" -H 'content-type: application/json' \\
  -H "x-mt-event-id: first-$at" -H "x-mt-webhook-timestamp: $at" \\
  -H "x-mt-webhook-signature: $signature" --data-binary "$body"
"""
)
ADAPTER = Adapter(SLUG, "mindtickle_webhook_secret", MindTickleSettings, kept_facts)
