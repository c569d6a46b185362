"""What a diagnosis of a vendor's deliveries is judged from."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from shared.drift import Drift
from shared.outcomes import Outcome
from shared.retries import Forecast, Silence, Suspension
from shared.vendors import VendorFacts


class Failures(NamedTuple):
    """Failed deliveries of one outcome in the window. An event may have several attempts."""

    events: int
    attempts: int
    first: datetime
    last: datetime
    reason: str | None = None
    """The commonest one."""
    open: int = 0
    """Events that are not stored since."""
    first_loss: datetime | None = None
    """When the first of these has its last retry."""


class Failing(NamedTuple):
    """Every delivery since `since` failed."""

    since: datetime
    events: int
    attempts: int
    bad_signature: int
    """Attempts with a wrong signature."""


class Replayed(NamedTuple):
    """All events of the time in which every delivery failed are stored by now."""

    events: int
    """How many by replay."""
    next_due: datetime | None
    """When the vendor's next delivery is due: a retry or, without one, by its usual traffic."""


class Stored(NamedTuple):
    """A vendor's events, as the read models have them."""

    events: int
    """Counted up to a few hundred."""
    provisioned: bool
    duplicates: int
    retakes: int
    """Learners who completed one course more than once."""
    practice: int
    """Quiz submissions without a grade."""


class Lag(NamedTuple):
    """Between signing and arrival of the latest deliveries; below zero is signed in the future."""

    least: timedelta
    median: timedelta


class Strangers(NamedTuple):
    """Requests in the window that are not the vendor's."""

    requests: Mapping[Outcome, int]
    unlisted: int
    """How many of them are only counted."""
    names_event: bool
    """Whether one without a credential names a type of event."""
    since_accepted: int = 0
    """How many of these came after the last accepted delivery, of the latest ones."""

    @property
    def total(self) -> int:
        return sum(self.requests.values())


NO_STRANGERS = Strangers({}, 0, names_event=False)


class Latest(NamedTuple):
    """A vendor's latest delivery."""

    at: datetime
    outcome: Outcome


class Evidence(NamedTuple):
    """The input of a diagnosis."""

    vendor: VendorFacts
    failures: Mapping[Outcome, Failures]
    failing: Failing | None
    forecast: Forecast
    suspension: Suspension | None
    silence: Silence | None
    stored: Stored
    lag: Lag | None
    tolerance_past: timedelta
    tolerance_future: timedelta
    accepted: int = 0
    """Deliveries that were accepted, duplicates included."""
    strangers: Strangers = NO_STRANGERS
    replayed: Replayed | None = None
    """None while an event of the failing time is open."""
    restarted_at: datetime | None = None
    """The latest start of a receiver."""
    last: Latest | None = None
    drifts: Sequence[Drift] = ()
    """Fields that are missing or have another shape lately."""

    @property
    def deliveries(self) -> int:
        """A vendor's in the window, with any outcome."""
        return self.accepted + sum(one.attempts for one in self.failures.values())

    @property
    def open(self) -> int:
        """Events that failed in the window and are not stored."""
        return sum(one.open for one in self.failures.values())


def loss_order(evidence: Evidence) -> tuple[datetime, int, str]:
    """Sorts vendors: first the one whose first loss comes soonest, of equal ones the one with more
    events that failed."""
    return (evidence.forecast.first_loss or NEVER, -evidence.open, evidence.vendor.slug)


NEVER = datetime.max.replace(tzinfo=UTC)
