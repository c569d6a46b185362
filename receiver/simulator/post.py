# ruff: noqa: S311 (seeded dice; they protect nothing)
"""Events → deliveries as a vendor sends them, a share of them with faults. Without I/O."""

import heapq
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from random import Random
from uuid import UUID

from receiver.simulator.base import FORMER, LONG_AGO, QUIET, Delivery, Fault, Past
from receiver.simulator.company import Event
from receiver.simulator.parts import PARTS
from receiver.simulator.scenarios import OPEN_END, ORDINARY, Scenario


@dataclass(frozen=True)
class Plan:
    """What one vendor sends, and where."""

    url: str
    vendor: str
    """Its slug."""
    secret: bytes = field(repr=False)
    """The credential that the receiver accepts; empty for a vendor known by its address."""
    retry_after: tuple[timedelta, ...]
    """From the first attempt to each retry."""
    suspend_after: timedelta | None = None
    """How long every delivery fails before the vendor stops; None if it never does."""
    tolerance_future: timedelta = timedelta(minutes=5)
    """How far ahead the receiver accepts a timestamp."""
    company_id: str = "demo"
    seed: int = 7
    learners: int = 120
    rate: float = 5.0
    """Live deliveries a second."""
    backfill_days: int = 90
    duration: float | None = None
    """Seconds of the live part; None for no end."""
    faults: float = 0.06
    """Share of the events with a fault, 0 to 1."""
    scenario: Scenario = ORDINARY
    """What goes wrong in the live part."""
    past: Past = QUIET
    """What went wrong in the history."""


class Post:
    """Turns events into deliveries and adds faults to a share of them.

    No event is lost: an event that is refused first is sent again, and every other fault is an
    extra delivery.
    """

    def __init__(
        self, plan: Plan, scenario: Scenario, seed: str, began: datetime = LONG_AGO
    ) -> None:
        """`began` is the start of the scenario."""
        self._plan = plan
        self._part = PARTS[plan.vendor]
        self._scenario = scenario
        self._began = began
        self._length = timedelta(seconds=plan.duration) if plan.duration else OPEN_END
        self._arriving_from = began + scenario.unreachable * self._length
        # Separate dice for IDs, so that an event keeps its ID whatever its faults are.
        self._ids = Random(f"{seed} ids")
        self._dice = Random(f"{seed} faults")
        self._serial = count()
        self._waiting: list[tuple[datetime, int, Delivery]] = []

    def add(self, event: Event, until: datetime) -> None:
        """Post an event. None of its deliveries is later than `until`."""
        for delivery in self._deliveries(event, until):
            lost = delivery.at < self._arriving_from or self._plan.past.down.has(delivery.at)
            if not lost and delivery.at <= until:
                heapq.heappush(self._waiting, (delivery.at, next(self._serial), delivery))

    def due(self, at: datetime, accepted: Container[str] = ()) -> Iterator[Delivery]:
        """The deliveries to send by `at`, in order of time, without retries of accepted events."""
        while self._waiting and self._waiting[0][0] <= at:
            delivery = heapq.heappop(self._waiting)[-1]
            if not (delivery.retried and delivery.event_id in accepted):
                yield delivery

    def _deliveries(self, event: Event, until: datetime) -> Iterator[Delivery]:
        event_id = new_id(self._ids)
        body = self._body(event, event_id)
        fault = self._fault() if event.at >= self._arriving_from else None
        moments = [event.at, *(event.at + after for after in self._plan.retry_after)]
        wrong = self._wrong_attempts(moments, until) if fault is Fault.REFUSED_FIRST else 0
        for at in moments[:wrong]:
            yield self._delivery(at, event_id, body, forged=True)._replace(fault=fault)
        retried = self._scenario.retried
        tries = moments[wrong:]
        for at in tries if retried else self._until_accepted(tries):
            good = self._delivery(at, event_id, body)._replace(retried=retried)
            yield good
            if at == moments[wrong]:
                yield from self._extras(fault, good, event)

    def _until_accepted(self, tries: Iterable[datetime]) -> Iterator[datetime]:
        for at in tries:
            yield at
            if self._plan.past.accepts(at):
                return

    def _extras(self, fault: Fault | None, good: Delivery, event: Event) -> Iterator[Delivery]:
        for extra in (*self._scenario.beside, fault):
            if extra in EXTRAS:
                yield EXTRAS[extra](self, good, event)._replace(fault=extra, retried=False)

    def _wrong_attempts(self, moments: Sequence[datetime], until: datetime) -> int:
        """How many attempts have a wrong credential: 1 or 2, or 0 if no good one would follow."""
        wrong = min(self._dice.choice((1, 1, 2)), len(moments) - 1)
        return wrong if moments[wrong] <= until else 0

    def _fault(self) -> Fault | None:
        if self._dice.random() >= self._plan.faults:
            return None
        faults = {
            one: often for one, often in self._part.faults.items() if one in self._plan.past.faults
        }
        return self._dice.choices(list(faults), list(faults.values()))[0]

    def _body(self, event: Event, event_id: str) -> bytes:
        return self._part.body(event, event_id, self._plan.company_id + self._scenario.company)

    def _delivery(
        self, at: datetime, event_id: str, body: bytes, *, forged: bool = False
    ) -> Delivery:
        former = FORMER if at < self._plan.past.rotated.begin else b""
        secret = (
            self._plan.secret + former + self._scenario.secret + (b"-forged" if forged else b"")
        )
        proof = self._part.headers(at + self._ahead(at), event_id, body, secret)
        foreign = self._part.credential_header is None and (forged or self._scenario.foreign)
        headers = {"content-type": "application/json", **proof}
        return Delivery(at, event_id, headers, body, foreign=foreign)

    def _ahead(self, at: datetime) -> timedelta:
        """How far the vendor's clock is ahead."""
        gain = self._scenario.clock_gain * self._plan.tolerance_future
        return gain * min(1.0, (at - self._began) / self._length)

    # Faults that are an extra delivery

    def _duplicate(self, good: Delivery, _event: Event) -> Delivery:
        return good._replace(at=good.at + timedelta(seconds=self._dice.randint(1, 90)))

    def _late_retry(self, good: Delivery, _event: Event) -> Delivery:
        late = good.at + self._dice.choice(self._plan.retry_after)
        return self._delivery(late, good.event_id, good.body)

    def _stale(self, good: Delivery, _event: Event) -> Delivery:
        """A recorded delivery, replayed."""
        recorded = good.at - timedelta(seconds=self._dice.randint(600, 3600))
        return self._delivery(recorded, good.event_id, good.body)._replace(at=good.at)

    def _forged(self, good: Delivery, event: Event) -> Delivery:
        return self._other(good, event, self._part.forged, forged=True)

    def _unknown_type(self, good: Delivery, event: Event) -> Delivery:
        return self._other(good, event._replace(type="coaching.session.booked"), {})

    def _no_credentials(self, good: Delivery, _event: Event) -> Delivery:
        stranger = self._delivery(good.at, new_id(self._dice), b'{"event":"ping"}')
        stranger.headers.pop(self._part.credential_header or "", None)
        return stranger

    def _broken_body(self, good: Delivery, event: Event) -> Delivery:
        unreadable = self._other(good, event, self._part.unreadable)
        half = unreadable.body[: len(unreadable.body) // 2]
        bodies = [b"<html><body>Bad Gateway</body></html>", half]
        if self._part.unreadable:
            bodies.append(unreadable.body)
        return self._delivery(good.at, unreadable.event_id, self._dice.choice(bodies))

    def _other(
        self, good: Delivery, event: Event, data: Mapping[str, object], *, forged: bool = False
    ) -> Delivery:
        """A delivery at the same time as a good one, of another event with some other data."""
        event_id = new_id(self._dice)
        body = self._body(event._replace(data={**event.data, **data}), event_id)
        return self._delivery(good.at, event_id, body, forged=forged)


EXTRAS: Mapping[Fault | None, Callable[[Post, Delivery, Event], Delivery]] = {
    Fault.DUPLICATE: Post._duplicate,
    Fault.LATE_RETRY: Post._late_retry,
    Fault.STALE: Post._stale,
    Fault.FORGED: Post._forged,
    Fault.UNKNOWN_TYPE: Post._unknown_type,
    Fault.NO_CREDENTIALS: Post._no_credentials,
    Fault.BROKEN_BODY: Post._broken_body,
}


def new_id(dice: Random) -> str:
    """A UUID."""
    return str(UUID(int=dice.getrandbits(128), version=4))
