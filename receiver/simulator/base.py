"""What every simulated vendor consists of."""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from random import Random
from typing import NamedTuple, Protocol

from receiver.simulator.company import Company, Event
from shared.settings import ReceiverSettings


class Fault(StrEnum):
    DUPLICATE = "duplicate"
    LATE_RETRY = "late_retry"
    REFUSED_FIRST = "refused_first"
    FORGED = "forged"
    BROKEN_BODY = "broken_body"
    NO_CREDENTIALS = "no_credentials"
    UNKNOWN_TYPE = "unknown_type"
    STALE = "stale"


HARMLESS = frozenset({Fault.DUPLICATE, Fault.LATE_RETRY, Fault.NO_CREDENTIALS})
"""The faults of which the vendor's events do not suffer."""
NO_LEARNER = "repboard-test"
"""The learner of a sample."""
LONG_AGO = datetime.min.replace(tzinfo=UTC)


class Span(NamedTuple):
    """A time from `begin` up to `end`; by default none."""

    begin: datetime = LONG_AGO
    end: datetime = LONG_AGO

    def has(self, at: datetime) -> bool:
        return self.begin <= at < self.end


class Past(NamedTuple):
    """What went wrong in the history of a vendor; by default nothing."""

    down: Span = Span()
    """No receiver was up."""
    rotated: Span = Span()
    """From the rotation of the vendor's secret until the receiver had the new one."""
    faults: frozenset[Fault] = frozenset(Fault)
    """The faults that occurred."""

    def accepts(self, at: datetime) -> bool:
        """Whether a good delivery was accepted then."""
        return not self.down.has(at) and not self.rotated.has(at)


QUIET = Past()
FORMER = b"-former"
"""Appended to a secret: the one before the rotation."""


class Delivery(NamedTuple):
    """One HTTP request, sent at `at`. Its timestamp header is older if it is a duplicate."""

    at: datetime
    event_id: str
    """The same for all attempts of an event, even if the vendor does not send it."""
    headers: dict[str, str]
    body: bytes
    fault: Fault | None = None
    retried: bool = False
    """Whether the vendor repeats it on its schedule until an attempt is accepted."""
    foreign: bool = False
    """Whether it comes from an address that is not on the allowlist."""


class Story(Protocol):
    """The events of a vendor, without I/O."""

    def history(self) -> Iterator[Event]:
        """The events before the start, in order of time. Call it once."""

    def live_event(self, at: datetime) -> Event:
        """An event at `at`, after the history."""


class Part(NamedTuple):
    """A vendor's part in the simulation."""

    weight: int
    """Share of the live deliveries, relative to the other vendors."""
    credential: Callable[[ReceiverSettings], bytes]
    """The secret that the receiver accepts; empty for a vendor known by its address."""
    story: Callable[[Company, Random], Story]
    sample: Callable[[datetime], Event]
    """A small event at a time, of no real learner: a test of the receiver's own address."""
    body: Callable[[Event, str, str], bytes]
    """(event, its ID, company ID) → JSON."""
    headers: Callable[[datetime, str, bytes, bytes], dict[str, str]]
    """(time, event ID, body, secret) → headers that prove the origin."""
    credential_header: str | None
    """The header that a request without credentials lacks; None for a vendor known by address."""
    faults: Mapping[Fault, int]
    """The faults that occur, with their relative frequency."""
    forged: Mapping[str, object]
    """Data fields of an event that a stranger makes up."""
    unreadable: Mapping[str, object]
    """Data fields that make an event unreadable; none if only the JSON can be broken."""
