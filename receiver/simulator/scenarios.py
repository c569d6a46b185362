"""What can be the matter, each as one row: how the live part differs from an ordinary day.

Each makes one finding of `shared.diagnosis` appear at its vendor; the others have an ordinary day.
The history stays as it is, so that there is a past to compare with.
"""

from collections.abc import Callable
from datetime import timedelta
from enum import StrEnum
from typing import NamedTuple

from receiver.errors import SimulatorError
from receiver.simulator.company import COURSES, QUIZZES, completed_data, quiz_data
from receiver.simulator.post import Event, Fault
from receiver.vendors import innovative_educators, lessonly, mindtickle

OPEN_END = timedelta(minutes=3)
"""What counts as the length of a play without an end."""


class Scenario(StrEnum):
    ROTATED_SECRET = "rotated-secret"  # noqa: S105 (a name)
    SUSPENSION = "suspension"
    OUTAGE = "outage"
    MISSING_SUBSCRIPTION = "missing-subscription"
    CLOCK_SKEW = "clock-skew"
    WRONG_COMPANY = "wrong-company"
    UNREADABLE = "unreadable"
    FLOOD = "flood"
    REPEATS = "repeats"
    PRACTICE = "practice"
    WRONG_CREDENTIALS = "wrong-credentials"
    FOREIGN_ADDRESS = "foreign-address"


def scenario_named(name: str) -> Scenario:
    """The scenario of that name. Raises SimulatorError, naming those there are."""
    try:
        return Scenario(name)
    except ValueError:
        raise SimulatorError(
            f"--scenario: {name!r} is unknown; use one of {', '.join(Scenario)}."
        ) from None


def _as_it_is(event: Event) -> list[Event]:
    return [event]


def _renamed(event: Event) -> list[Event]:
    """The vendor calls progressPct by another name now."""
    names = {"progressPct": "progressPercent"}
    return [event._replace(data={names.get(name, name): it for name, it in event.data.items()})]


def _practising(event: Event) -> list[Event]:
    """Whoever goes on with a module practises half of all quizzes, too."""
    if event.type != "module.progress":
        return [event]
    runs = [quiz_data(event.data["userId"], quiz, "practice") for quiz in QUIZZES[::2]]
    return [event, *(Event(event.at, "quiz.submitted", data) for data in runs)]


def _retaking(event: Event) -> list[Event]:
    """Whoever goes on with a module completes the first course, and the next time once more."""
    if event.type != "module.progress":
        return [event]
    data = completed_data(event.data["userId"], COURSES[0], event.data["progressPct"], event.at)
    return [event, Event(event.at, "course.completed", data)]


class Twist(NamedTuple):
    """How a scenario differs from an ordinary day; by default not at all."""

    vendor: str | None = mindtickle.SLUG
    """At which vendor; None is at each that plays."""
    secret: bytes = b""
    """Added to the secret: the vendor's is another than ours."""
    foreign: bool = False
    """Whether it calls from an address that is not on the allowlist."""
    company: str = ""
    """Added to the companyId, likewise."""
    retried: bool = False
    """Whether the vendor tries again on its schedule, until a delivery is taken."""
    suspended: bool = False
    """Whether nothing comes any more once the vendor has put up with it for long enough."""
    unreachable: float = 0.0
    """The first share of the play in which nothing that is sent arrives."""
    clock_gain: float = 0.0
    """How far the vendor's clock is ahead at the end, in tolerances; it begins at none."""
    unsubscribed: frozenset[str] = frozenset()
    """Types that are never sent, nor were in the history."""
    tells: Callable[[Event], list[Event]] = _as_it_is
    """What the vendor makes of something that happened."""
    beside: tuple[Fault, ...] = ()
    """What comes on top of every event."""


TWISTS = {
    Scenario.ROTATED_SECRET: Twist(secret=b"-rotated", retried=True),
    Scenario.SUSPENSION: Twist(secret=b"-rotated", retried=True, suspended=True),
    Scenario.OUTAGE: Twist(vendor=None, retried=True, unreachable=1 / 3),
    Scenario.MISSING_SUBSCRIPTION: Twist(unsubscribed=frozenset({"user.provisioned"})),
    Scenario.CLOCK_SKEW: Twist(retried=True, clock_gain=1.5),
    Scenario.WRONG_COMPANY: Twist(company="-of-somebody-else", retried=True),
    Scenario.UNREADABLE: Twist(tells=_renamed),
    Scenario.FLOOD: Twist(beside=(Fault.NO_CREDENTIALS,) * 9),
    Scenario.REPEATS: Twist(tells=_retaking, beside=(Fault.DUPLICATE,) * 2),
    Scenario.PRACTICE: Twist(tells=_practising),
    Scenario.WRONG_CREDENTIALS: Twist(vendor=lessonly.SLUG, secret=b"-changed", retried=True),
    Scenario.FOREIGN_ADDRESS: Twist(vendor=innovative_educators.SLUG, foreign=True, retried=True),
}


def twist_of(scenario: Scenario | None, vendor: str) -> Twist:
    """What is the matter at a vendor; nothing if the scenario is another's."""
    twist = TWISTS[scenario] if scenario else Twist()
    return twist if twist.vendor in (None, vendor) else Twist()


def scenarios_of(vendor: str | None) -> list[Scenario]:
    """Those that one vendor plays, or, of None, each."""
    return [scenario for scenario, twist in TWISTS.items() if twist.vendor == vendor]
