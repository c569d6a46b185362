"""What an event says, the same for every vendor."""

from datetime import datetime
from typing import NamedTuple


class Provisioned(NamedTuple):
    """Somebody joined, or their role or team changed."""

    vendor: str
    user_id: str
    email: str | None
    name: str | None
    role: str | None
    team_id: str | None
    provisioned_at: datetime


class Deprovisioned(NamedTuple):
    """Somebody left."""

    vendor: str
    user_id: str
    email: str | None
    deprovisioned_at: datetime
    reason: str | None = None


class Identified(NamedTuple):
    """Who a learner is, told by a vendor that sends no roster."""

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
    """A certificate ran out."""

    vendor: str
    user_id: str
    cert_name: str
    expired_at: datetime
    renewal_deadline: datetime | None


Fact = Provisioned | Deprovisioned | Identified | Progressed | Attempted | Completed | Expired


def person_of(vendor: str, user_id: str, email: str | None) -> str:
    """The same for one person at several vendors: by e-mail, compared without case and
    surrounding space. Nobody is merged without one: vendor and id, and a space, which no
    e-mail has, stand in for it."""
    address = (email or "").strip().lower()
    is_address = "@" in address and not any(map(str.isspace, address))
    return address if is_address else f"{vendor} {user_id}"
