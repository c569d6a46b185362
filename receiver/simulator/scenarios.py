"""The scenarios: how the live part differs from an ordinary day, one row each.

Each makes one finding of `shared.diagnosis` appear at its vendor; the other vendors have an
ordinary day. The history stays the same, so that there is a past to compare with.
"""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import NamedTuple

from receiver.simulator.base import Fault
from receiver.simulator.company import COURSES, QUIZZES, Event, completed_data, quiz_data
from receiver.vendors import innovative_educators, lessonly
from receiver.vendors.mindtickle.contract import SLUG as MINDTICKLE

OPEN_END = timedelta(minutes=3)
"""The assumed length of a simulation without an end."""


def _unchanged(event: Event) -> list[Event]:
    return [event]


def _renamed(event: Event) -> list[Event]:
    """The vendor has renamed progressPct."""
    names = {"progressPct": "progressPercent"}
    return [event._replace(data={names.get(name, name): it for name, it in event.data.items()})]


def _practising(event: Event) -> list[Event]:
    """With every progress event, practice runs of half of the quizzes."""
    if event.type != "module.progress":
        return [event]
    runs = [quiz_data(event.data["userId"], quiz, "practice") for quiz in QUIZZES[::2]]
    return [event, *(Event(event.at, "quiz.submitted", data) for data in runs)]


def _retaking(event: Event) -> list[Event]:
    """With every progress event, one more completion of the first course."""
    if event.type != "module.progress":
        return [event]
    data = completed_data(event.data["userId"], COURSES[0], event.data["progressPct"], event.at)
    return [event, Event(event.at, "course.completed", data)]


class Scenario(NamedTuple):
    """How a day differs from an ordinary one; by default not at all."""

    vendor: str | None = MINDTICKLE
    """The vendor where it happens; None for every vendor."""
    secret: bytes = b""
    """Appended to the secret, so that the vendor's differs from the receiver's."""
    company: str = ""
    """Appended to the company ID."""
    foreign: bool = False
    """Whether deliveries come from an address that is not on the allowlist."""
    retried: bool = False
    """Whether the vendor retries on its schedule until a delivery is accepted."""
    suspended: bool = False
    """Whether the vendor stops after its suspension time."""
    unreachable: float = 0.0
    """The first share of the time in which no delivery arrives."""
    clock_gain: float = 0.0
    """How far the vendor's clock is ahead at the end, in tolerances. It starts at zero."""
    unsubscribed: frozenset[str] = frozenset()
    """Event types that are never sent, not even in the history."""
    events: Callable[[Event], list[Event]] = _unchanged
    """The events that the vendor makes of one event."""
    beside: tuple[Fault, ...] = ()
    """Extra deliveries with every event."""

    def at(self, vendor: str) -> "Scenario":
        """The scenario at a vendor: an ordinary day if it happens elsewhere."""
        return self if self.vendor in (None, vendor) else ORDINARY


ORDINARY = Scenario()

SCENARIOS: Mapping[str, Scenario] = {
    "rotated-secret": Scenario(secret=b"-rotated", retried=True),
    "suspension": Scenario(secret=b"-rotated", retried=True, suspended=True),
    "outage": Scenario(vendor=None, retried=True, unreachable=1 / 3),
    "missing-subscription": Scenario(unsubscribed=frozenset({"user.provisioned"})),
    "clock-skew": Scenario(retried=True, clock_gain=1.5),
    "wrong-company": Scenario(company="-other", retried=True),
    "unreadable": Scenario(events=_renamed),
    "flood": Scenario(beside=(Fault.NO_CREDENTIALS,) * 9),
    "repeats": Scenario(events=_retaking, beside=(Fault.DUPLICATE,) * 2),
    "practice": Scenario(events=_practising),
    "wrong-credentials": Scenario(vendor=lessonly.SLUG, secret=b"-changed", retried=True),
    "foreign-address": Scenario(vendor=innovative_educators.SLUG, foreign=True, retried=True),
}
