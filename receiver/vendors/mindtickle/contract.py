"""What MindTickle sends: the names in its deliveries, and the fields of its events."""

import re
import tomllib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from receiver.vendors.base import (
    Ignored,
    KeptEvent,
    Unreadable,
    event_type_of,
    hmac_sha256,
    json_object,
)
from receiver.vendors.declared.kinds import attempt, if_later
from receiver.vendors.declared.names import Names
from receiver.vendors.declared.places import InBody, InHeader, in_body
from receiver.vendors.declared.proof import SignedText, spelled
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
    read,
)
from shared.facts import (
    Attempted,
    Completed,
    Deprovisioned,
    Expired,
    Fact,
    Progressed,
    Provisioned,
)

SLUG = "mindtickle"
TABLE: Mapping[str, Any] = tomllib.loads(
    (Path(__file__).parents[1] / f"{SLUG}.toml").read_text(encoding="utf-8")
)
"""The published names, as they are written."""
NAMES = Names.model_validate(TABLE)
"""The published names."""


class _Data(BaseModel, ABC):
    """What has a default only describes, and is ignored if it is wrong."""

    model_config = ConfigDict(extra="ignore")

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
        later = if_later(self.deprovisioned_at, at)
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


class _Submitted(_Data):
    quiz_id: Id
    quiz_name: Name = None
    quiz_type: Name = None
    score: Number | None = None
    max_score: Number | None = None
    passed: bool | None = None

    def fact(self, key: str, at: datetime) -> Fact:
        practice = "practice" in (self.quiz_type or "").lower()
        return attempt(
            Attempted(
                vendor=SLUG,
                event_key=key,
                user_id=self.user_id,
                quiz_id=self.quiz_id,
                quiz_name=self.quiz_name,
                score=self.score,
                max_score=self.max_score,
                passed=self.passed,
                graded=not practice,
                submitted_at=at,
            )
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
        later = if_later(self.expired_at, at)
        return Expired(SLUG, self.user_id, self.cert_name, at, self.renewal_deadline, later)


_DATA: dict[str, type[_Data]] = {
    "course.completed": _Completed,
    "quiz.submitted": _Submitted,
    "user.provisioned": _Provisioned,
    "user.deprovisioned": _Deprovisioned,
    "module.progress": _Progressed,
    "certification.expired": _Expired,
}
EVENT_TYPES: Sequence[str] = tuple(_DATA)
PROGRESSED = "module.progress"


class Contract:
    """The deliveries of an account with these names."""

    def __init__(self, names: Names) -> None:
        self.names = names
        headers = {
            "id": InHeader(names.headers.event_id),
            "timestamp": InHeader(names.headers.timestamp),
        }
        self.text = SignedText(names.signature.signed, headers.get)
        signature = r"[0-9a-f]{64}" if names.signature.encoding == "hex" else "[A-Za-z0-9+/]{43}="
        self.form = re.compile((re.escape(names.signature.prefix) + signature).encode())
        """Of a signature."""
        self._models = {
            one.type: _spelled(_DATA[event], one.fields) for event, one in names.events.items()
        }
        paths = {one.type: one.fields.values() for one in names.events.values()}
        self._deep = {
            event_type: [in_body(path) for path in of_type]
            for event_type, of_type in paths.items()
            if any(in_body(path).names != (path,) for path in of_type)
        }
        """The fields of the types that have them elsewhere than as keys of `data`."""

    def sign(self, secret: bytes, message: bytes) -> bytes:
        """The signature header."""
        form = self.names.signature
        return spelled(hmac_sha256(secret, message), form.encoding, form.prefix)

    def event_type(self, body: Mapping[str, Any]) -> str:
        """Raises Unreadable for a body without one."""
        event_type = event_type_of(self.names.body.event.find(body))
        if event_type is None:
            raise Unreadable(f"{self.names.body.event.path}: should be the name of an event type.")
        return event_type

    def data(
        self, event_type: str, body: Mapping[str, Any], received_at: datetime
    ) -> tuple[_Data | None, Sequence[Ignored]]:
        """The fields of a known type; None for one we do not know, which is kept all the same.

        Raises Unreadable if a known type lacks a field that it needs, or has a wrong one.
        """
        known = self._models.get(event_type)
        if known is None:
            return None, ()
        where = self.names.body.data
        sent = where.find(body)
        if event_type in self._deep and isinstance(sent, dict):
            found = {one.path: one.find(sent) for one in self._deep[event_type]}
            sent = {path: value for path, value in found.items() if value is not None}
        return read(known, event_type, sent, received_at, whole=where.path)

    def kept_facts(self, event: KeptEvent) -> Sequence[Fact]:
        """What a kept event says, for `rebuild`."""
        body = json_object(event.payload.encode())
        data, _ = self.data(event.type, body, event.received_at)
        return (data.fact(event.event_key, event.occurred_at),) if data else ()

    def type_of(self, event: str) -> str:
        """The account's name of a type, by the published one."""
        return self.names.events[event].type

    def body(
        self, event: str, company_id: str, values: Mapping[str, object]
    ) -> dict[str, object] | None:
        """A body of a type; None if a name is no plain path, so that it cannot be written."""
        one, names = self.names.events[event], self.names.body
        written: dict[InBody, object] = {
            names.event: one.type,
            names.company_id: company_id,
            **{self.names.place_of(event, name): value for name, value in values.items()},
        }
        body: dict[str, object] = {}
        for where, value in written.items():
            if where.names is None:
                return None
            inner: Any = body
            for name in where.names[:-1]:
                inner = inner.setdefault(name, {})
            inner[where.names[-1]] = value
        return body


def _spelled(model: type[_Data], fields: Mapping[str, str]) -> type[_Data]:
    """The model that reads these names."""
    config = ConfigDict(alias_generator=fields.__getitem__)
    made: type[_Data] = type(model.__name__, (model,), {"model_config": config})
    return made


PUBLISHED = Contract(NAMES)
"""The deliveries of an account with the published names."""
