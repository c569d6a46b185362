"""What an event says, the same for every vendor."""

from datetime import datetime
from typing import NamedTuple


class Provisioned(NamedTuple):
    """A learner joined, or changed role or team."""

    vendor: str
    user_id: str
    email: str | None
    name: str | None
    role: str | None
    team_id: str | None
    provisioned_at: datetime


class Deprovisioned(NamedTuple):
    """A learner left, or leaves at `leaves_at` where that was announced at `deprovisioned_at`."""

    vendor: str
    user_id: str
    email: str | None
    deprovisioned_at: datetime
    reason: str | None = None
    leaves_at: datetime | None = None


class Identified(NamedTuple):
    """Who a learner is, from a vendor that sends no roster."""

    vendor: str
    user_id: str
    email: str | None
    name: str | None
    identified_at: datetime


class Progressed(NamedTuple):
    """Running totals of a learner in a module."""

    vendor: str
    user_id: str
    module_id: str
    module_name: str | None
    progress_pct: float
    time_spent_sec: int
    updated_at: datetime


class Attempted(NamedTuple):
    """A quiz was submitted. Under `retake_pct` the vendor itself wants it taken again."""

    vendor: str
    event_key: str
    user_id: str
    quiz_id: str
    quiz_name: str | None
    score: float | None
    max_score: float | None
    passed: bool | None
    graded: bool
    submitted_at: datetime
    retake_pct: float | None = None


class Completed(NamedTuple):
    """A course was completed."""

    vendor: str
    event_key: str
    user_id: str
    course_id: str
    course_name: str | None
    score: float | None
    completed_at: datetime
    report_url: str | None = None


class Expired(NamedTuple):
    """A certificate ran out, or does at `expires_at` where that was announced at `expired_at`."""

    vendor: str
    user_id: str
    cert_name: str
    expired_at: datetime
    renewal_deadline: datetime | None
    expires_at: datetime | None = None


class Acted(NamedTuple):
    """A person did something that only counts, as a meeting or a deal; `kind` is the event type,
    `person` as `person_of` makes it of their e-mail address."""

    vendor: str
    event_key: str
    person: str
    kind: str
    happened_at: datetime


Fact = (
    Provisioned | Deprovisioned | Identified | Progressed | Attempted | Completed | Expired | Acted
)


BLANKS = (
    "\t\n\v\f\r\x1c\x1d\x1e\x1f \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006"
    "\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
    "\u00ad\u180e\u200b\u200c\u200d\u200e\u200f\u2060\ufeff"
)
"""White space, and signs without width: around an id or a name they are no part of it."""


def trimmed(text: str) -> str:
    """The text without blanks around it."""
    return text.strip() if text.isascii() else text.strip(BLANKS)


def person_of(vendor: str, user_id: str, email: str | None) -> str:
    """The same for one person at several vendors: by e-mail, compared without case and
    surrounding space. Without one no two are merged: vendor and id, and a space, which no
    e-mail has, stand in for it."""
    address = trimmed(email or "").lower()
    is_address = "@" in address and not any(map(str.isspace, address))
    return address if is_address else f"{vendor} {user_id}"
