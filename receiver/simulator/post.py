# ruff: noqa: S311 (the dice decide what goes wrong in a play, and guard nothing)
"""Events → deliveries as a vendor sends them, a share of them gone wrong. Without I/O."""

import heapq
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import count
from random import Random
from typing import Any, NamedTuple, Protocol
from uuid import UUID

ALWAYS = datetime.min.replace(tzinfo=UTC)


class Event(NamedTuple):
    """Something happened, in the vendor's words but not yet in its wire format."""

    at: datetime
    type: str
    data: dict[str, Any]


class Fault(StrEnum):
    DUPLICATE = "duplicate"
    LATE_RETRY = "late_retry"
    REFUSED_FIRST = "refused_first"
    FORGED = "forged"
    BROKEN_BODY = "broken_body"
    NO_CREDENTIALS = "no_credentials"
    UNKNOWN_TYPE = "unknown_type"
    STALE = "stale"


class Delivery(NamedTuple):
    """One HTTP request, sent at `at`. Its timestamp header is older if it is a duplicate."""

    at: datetime
    event_id: str
    """The same for all attempts of an event, whether the vendor sends one or not."""
    headers: dict[str, str]
    body: bytes
    fault: Fault | None = None
    retried: bool = False
    """Whether the vendor sends it on its schedule until one attempt is taken."""
    foreign: bool = False
    """Whether it is sent from another address than the rest."""


Extra = Callable[[Delivery, Event, Random], Delivery]
"""(the good delivery, its event, dice) → what somebody sends on top of it."""


class Wire(Protocol):
    """How a vendor writes what happened, and shows that it comes from there."""

    @property
    def faults(self) -> Mapping[Fault, int]:
        """What goes wrong with it, and how often beside the others."""

    @property
    def extras(self) -> Mapping[Fault, Extra]:
        """How to make those that differ from vendor to vendor."""

    def body(self, event: Event, event_id: str) -> bytes:
        """The JSON body of an event."""

    def genuine(self, at: datetime, event_id: str, body: bytes) -> Delivery:
        """A delivery that is let in, sent at `at`."""

    def forged(self, at: datetime, event_id: str, body: bytes) -> Delivery:
        """A delivery under a credential that the receiver does not have."""


class Post:
    """Turns events into deliveries and lets something go wrong around a share of them.

    No event is lost by that: a real one that is refused comes again, as it should be, and
    whatever else is wrong is an extra delivery.
    """

    def __init__(
        self,
        wire: Wire,
        share: float,
        seed: str,
        retry_after: Sequence[timedelta],
        *,
        retried: bool = False,
        beside: Sequence[Fault] = (),
        arriving_from: datetime = ALWAYS,
    ) -> None:
        """`retry_after` counts from the first attempt. With `retried` an event keeps coming until
        it is taken; `beside` comes on top of each; before `arriving_from` all is lost on the way.
        """
        self._wire = wire
        self._share = share
        # Ids have dice of their own, so that an event keeps its id whatever goes wrong around it.
        self._ids = Random(f"{seed} ids")
        self._dice = Random(f"{seed} faults")
        self._retry_after = retry_after
        self._retried = retried
        self._beside = beside
        self._arriving_from = arriving_from
        self._serial = count()
        self._waiting: list[tuple[datetime, int, Delivery]] = []
        self._extras = {
            Fault.DUPLICATE: _duplicate,
            Fault.LATE_RETRY: self._late_retry,
            **wire.extras,
        }

    def add(self, event: Event, until: datetime) -> None:
        """Post an event. No delivery of it comes after `until`."""
        for delivery in self._deliveries(event, until):
            if self._arriving_from <= delivery.at <= until:
                heapq.heappush(self._waiting, (delivery.at, next(self._serial), delivery))

    def _deliveries(self, event: Event, until: datetime) -> Iterator[Delivery]:
        event_id = new_id(self._ids)
        body = self._wire.body(event, event_id)
        fault = self._fault() if event.at >= self._arriving_from else None
        moments = [event.at, *(event.at + after for after in self._retry_after)]
        wrong = self._wrong_attempts(moments, until) if fault is Fault.REFUSED_FIRST else 0
        for at in moments[:wrong]:
            refused = self._wire.forged(at, event_id, body)
            yield refused._replace(fault=Fault.REFUSED_FIRST)
        for at in moments[wrong : None if self._retried else wrong + 1]:
            good = self._wire.genuine(at, event_id, body)._replace(retried=self._retried)
            yield good
            if at == moments[wrong]:
                yield from self._on_top(fault, good, event)

    def _wrong_attempts(self, moments: Sequence[datetime], until: datetime) -> int:
        """How many attempts have a wrong credential: one or two, none if no good one follows."""
        wrong = min(self._dice.choice((1, 1, 2)), len(moments) - 1)
        return wrong if moments[wrong] <= until else 0

    def _on_top(self, fault: Fault | None, good: Delivery, event: Event) -> Iterator[Delivery]:
        for extra in (*self._beside, fault):
            if extra not in (None, Fault.REFUSED_FIRST):
                made = self._extras[extra](good, event, self._dice)
                yield made._replace(fault=extra, retried=False)

    def due(self, at: datetime, taken: Container[str] = ()) -> Iterator[Delivery]:
        """What is to be sent by `at`, in order of time; of events that are taken no retries."""
        while self._waiting and self._waiting[0][0] <= at:
            delivery = heapq.heappop(self._waiting)[-1]
            if not (delivery.retried and delivery.event_id in taken):
                yield delivery

    def _fault(self) -> Fault | None:
        if self._dice.random() >= self._share:
            return None
        faults = self._wire.faults
        return self._dice.choices(list(faults), list(faults.values()))[0]

    def _late_retry(self, good: Delivery, _event: Event, dice: Random) -> Delivery:
        late = good.at + dice.choice(self._retry_after)
        return self._wire.genuine(late, good.event_id, good.body)


def _duplicate(good: Delivery, _event: Event, dice: Random) -> Delivery:
    return good._replace(at=good.at + timedelta(seconds=dice.randint(1, 90)))


def spoiled(good: Delivery, dice: Random, *others: bytes) -> bytes:
    """Something else than the body of a good delivery, or one of `others`."""
    html = b"<html><body>Bad Gateway</body></html>"
    return dice.choice((html, good.body[: len(good.body) // 2], *others))


def new_id(dice: Random) -> str:
    """A UUID."""
    return str(UUID(int=dice.getrandbits(128), version=4))


def iso(at: datetime) -> str:
    """As vendors write a time, in whole seconds."""
    return at.isoformat(timespec="seconds").replace("+00:00", "Z")


def iso_millis(at: datetime) -> str:
    """The same with milliseconds."""
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
