"""What a diagnosis of a vendor's deliveries is judged from."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from shared.drift import Drift
from shared.outcomes import Outcome
from shared.retries import Forecast, Silence, Suspension
from shared.stopped import Stopped
from shared.vendors import VendorFacts

NO_LOSS = Forecast()
DOUBTFUL = (Outcome.IP_NOT_ALLOWED, Outcome.STALE_TIMESTAMP)
"""A replay may not recover these: a proxy's address stays one, and a delivery is judged as of its
arrival, so that the right clock alone does not help."""


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
    forecast: Forecast = NO_LOSS
    """What becomes of these."""


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
    stopped: Sequence[Stopped] = ()
    """Event types that no longer arrive."""

    @property
    def deliveries(self) -> int:
        """A vendor's in the window, with any outcome."""
        return self.accepted + sum(one.attempts for one in self.failures.values())

    @property
    def first_loss(self) -> datetime | None:
        """When events begin to be lost: with its last retry one that no replay recovers for
        certain, and all later ones with the suspension, as the vendor does not send them."""
        stops = self.suspension.at if self.suspension and not self.replayed else None
        retried = [one.forecast.retried for outcome, one in self.failures.items()
                   if outcome in DOUBTFUL]  # fmt: skip
        moments = [self.forecast.first_loss, stops, *(one.first for one in retried if one)]
        return min(filter(None, moments), default=None)

    @property
    def open(self) -> int:
        """Events that failed in the window and are not stored."""
        return sum(one.open for one in self.failures.values())


def loss_order(evidence: Evidence) -> tuple[datetime, int, str]:
    """Sorts vendors: first the one whose first loss comes soonest, of equal ones the one with more
    events that failed."""
    return (evidence.first_loss or NEVER, -evidence.open, evidence.vendor.slug)


NEVER = datetime.max.replace(tzinfo=UTC)
