"""Innovative Educators: the course completion, verified by its source address.

The vendor signs nothing and says to accept only its own addresses. So the allowlist of addresses is
the credential, and without one this vendor is not served.
"""

import hashlib
from collections.abc import Sequence
from datetime import datetime
from ipaddress import IPv4Network, IPv6Network
from typing import Any

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from receiver.vendors.base import (
    Adapter,
    Claims,
    Ignored,
    Incoming,
    KeptEvent,
    Unreadable,
    VendorEvent,
    VendorSettings,
    json_object,
    key_of,
    short_text,
    text_of,
)
from receiver.vendors.declared.proof import FromAddress
from receiver.vendors.fields import Email, Id, Name, TimeBefore, as_text, by_arrival, read
from shared.facts import Completed, Fact, Identified
from shared.outcomes import Outcome
from shared.retries import Schedule
from shared.setting_types import Delays, Networks
from shared.vendors import SetUp, VendorFacts

SLUG = "innovative-educators"
COMPLETED = "course.completed"
TEST = "test"
"""Any other body: the format of the notification after set-up is not published."""

READ = ("id", "user", "userDetail.id", "userDetail.firstName", "userDetail.lastName",
        "notifiableId", "title", "timestamp")  # fmt: skip
"""The fields that are read of a completion."""


class InnovativeEducators:
    """The adapter under one installation's allowlist."""

    slug: str = SLUG
    kept_headers: Sequence[str] = ()
    secret_headers: Sequence[str] = ()

    def __init__(self, allowed: Sequence[IPv4Network | IPv6Network]) -> None:
        self._proof = FromAddress("INNOVATIVE_EDUCATORS_ALLOWED_IPS", allowed)

    def authenticate(self, incoming: Incoming) -> None:
        self._proof.check(incoming)

    def may_be_signed(self, incoming: Incoming) -> bool:
        return False

    def parse(self, incoming: Incoming) -> VendorEvent:
        body = json_object(incoming.body)
        event_type = _event_type(body)
        digest = self.digest(incoming)
        event_key = _event_key(body) or f"digest:{digest}"
        done, ignored = _completion(event_type, body, incoming.received_at)
        said_at = (done and done.timestamp) or incoming.received_at
        occurred_at = by_arrival(said_at, incoming.received_at)
        return VendorEvent(
            event_key=event_key,
            digest=digest,
            type=event_type,
            company_id=short_text(body.get("companyId")),
            user_id=done.user_id if done else None,
            occurred_at=occurred_at,
            payload=text_of(incoming.body),
            facts=done.facts(event_key, occurred_at) if done else (),
            ignored=ignored,
        )

    def digest(self, incoming: Incoming) -> str:
        return hashlib.sha256(incoming.body).hexdigest()

    def claims(self, incoming: Incoming) -> Claims:
        try:
            body = json_object(incoming.body)
        except Unreadable:
            return Claims(None, None)
        return Claims(_event_key(body) or None, _event_type(body))


def _event_type(body: dict[str, Any]) -> str:
    """Either field is enough: a completion with one of them changed is quarantined as not
    understood, not accepted as a test."""
    says_so = body.get("event") == "courseCompletion" or body.get("source") == "course_completed"
    return COMPLETED if says_so else TEST


def _event_key(body: dict[str, Any]) -> str:
    sent = as_text(body.get("id"))
    return key_of(sent.encode()) if isinstance(sent, str) else ""


class _Learner(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, extra="ignore")

    id: Id | None = None
    first_name: Name = None
    last_name: Name = None


class _Completion(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, extra="ignore")

    user: Email = None
    user_detail: _Learner | None = None
    notifiable_id: Id
    title: Name = None
    timestamp: TimeBefore | None = None

    @property
    def user_id(self) -> str:
        """The vendor's own id of the learner; without one, the e-mail address.

        Raises Unreadable if there is neither.
        """
        own = self.user_detail and self.user_detail.id
        learner = own or (self.user or "").lower()
        if not learner:
            raise Unreadable(f"{COMPLETED}: neither user nor userDetail.id names the learner.")
        return learner

    @property
    def name(self) -> str | None:
        who = self.user_detail or _Learner()
        return " ".join(filter(None, (who.first_name, who.last_name))) or None

    def facts(self, key: str, at: datetime) -> Sequence[Fact]:
        """What the event says, having happened at `at`."""
        return (
            Identified(SLUG, self.user_id, self.user, self.name, at),
            Completed(SLUG, key, self.user_id, self.notifiable_id, self.title, None, at),
        )


def _completion(
    event_type: str, body: dict[str, Any], received_at: datetime
) -> tuple[_Completion | None, Sequence[Ignored]]:
    if event_type != COMPLETED:
        return None, ()
    return read(_Completion, event_type, body, received_at)


def kept_facts(event: KeptEvent) -> Sequence[Fact]:
    """What a kept event says, for `rebuild`."""
    done, _ = _completion(event.type, json_object(event.payload.encode()), event.received_at)
    return done.facts(event.event_key, event.occurred_at) if done else ()


class InnovativeEducatorsSettings(VendorSettings):
    innovative_educators_allowed_ips: Networks = ()
    innovative_educators_retry_delays: Delays = (
        20, 40, 80, 160, 320, 640, 1280, 2560, 3600, 3600,
    )  # fmt: skip
    """Seconds between attempts: doubling from 20 to at most an hour, ten times."""

    def vendor(self) -> InnovativeEducators | None:
        allowed = self.innovative_educators_allowed_ips
        return InnovativeEducators(allowed) if allowed else None

    def facts(self) -> VendorFacts:
        return VendorFacts(
            slug=SLUG,
            name="Innovative Educators",
            schedule=Schedule.of(self.innovative_educators_retry_delays, "gaps"),
            suspend_after=None,
            reactivate="Nothing to re-activate: the vendor gives up on an event after the last "
            "retry and goes on with the next.",
            cures={
                Outcome.IP_NOT_ALLOWED: "See whose address it is. That of your proxy: never list "
                "it, as then every sender is accepted. Correct TRUSTED_PROXY_HOPS and restart the "
                "receiver before the last retry: only a retry recovers these, no replay. A new "
                "address of the vendor, by its own word: add it to "
                "INNOVATIVE_EDUCATORS_ALLOWED_IPS beside the others, restart the receiver, then "
                "replay.",
            },
            set_up=SetUp(
                "INNOVATIVE_EDUCATORS_ALLOWED_IPS",
                "Give Innovative Educators this address for live event webhooks. The vendor then "
                "sends a test notification, which only its own servers can send:",
            ),
            fields={COMPLETED: READ},
        )


ADAPTER = Adapter(SLUG, "innovative_educators_allowed_ips", InnovativeEducatorsSettings, kept_facts)
