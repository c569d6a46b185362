# ruff: noqa: S311 (the dice decide what goes wrong in a play, and guard nothing)
"""Events → signed deliveries, a share of them gone wrong. Without I/O."""

import heapq
import json
from collections.abc import Callable, Container, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import count
from random import Random
from typing import Any, NamedTuple
from uuid import UUID

from receiver.vendors.mindtickle import EVENT_ID, SIGNATURE, SLUG, TIMESTAMP, sign

ALWAYS = datetime.min.replace(tzinfo=UTC)


class Event(NamedTuple):
    """Something happened in the company, in MindTickle's words but not yet in its wire format."""

    at: datetime
    type: str
    data: dict[str, Any]


class Fault(StrEnum):
    DUPLICATE = "duplicate"
    LATE_RETRY = "late_retry"
    REFUSED_FIRST = "refused_first"
    FORGED = "forged"
    BROKEN_BODY = "broken_body"
    NO_SIGNATURE = "no_signature"
    UNKNOWN_TYPE = "unknown_type"


FAULT_WEIGHTS = {
    Fault.DUPLICATE: 35,
    Fault.LATE_RETRY: 20,
    Fault.REFUSED_FIRST: 15,
    Fault.FORGED: 8,
    Fault.BROKEN_BODY: 12,
    Fault.NO_SIGNATURE: 5,
    Fault.UNKNOWN_TYPE: 5,
}


class Delivery(NamedTuple):
    """One HTTP request, sent at `at`. Its timestamp header is older if it is a duplicate."""

    at: datetime
    event_id: str
    headers: dict[str, str]
    body: bytes
    fault: Fault | None = None
    retried: bool = False
    """Whether the vendor sends it on its schedule until one attempt is taken."""


class MindTickleWire:
    """How MindTickle writes and signs what happened."""

    path = f"/webhooks/{SLUG}"

    def __init__(
        self,
        secret: str,
        company_id: str,
        ahead: Callable[[datetime], timedelta] = lambda _: timedelta(0),
    ) -> None:
        """`ahead` is how fast the clock that signs is, at a time."""
        self._secret = secret.encode()
        self._company_id = company_id
        self._ahead = ahead

    def body(self, event_type: str, data: dict[str, Any]) -> bytes:
        """The JSON body of an event."""
        content = {"event": event_type, "companyId": self._company_id, "data": data}
        return json.dumps(content, separators=(",", ":")).encode()

    def signed(self, at: datetime, event_id: str, body: bytes) -> Delivery:
        """A delivery that verifies, signed at `at`."""
        return self._delivery(at, event_id, body, self._secret)

    def signed_wrongly(self, at: datetime, event_id: str, body: bytes) -> Delivery:
        """A delivery under a secret that the receiver does not have."""
        return self._delivery(at, event_id, body, self._secret + b"-of-somebody-else")

    def _delivery(self, at: datetime, event_id: str, body: bytes, secret: bytes) -> Delivery:
        timestamp = str(int((at + self._ahead(at)).timestamp()))
        headers = {
            "content-type": "application/json",
            EVENT_ID: event_id,
            TIMESTAMP: timestamp,
            SIGNATURE: sign(secret, timestamp.encode(), body).decode(),
        }
        return Delivery(at, event_id, headers, body)


class Post:
    """Turns events into deliveries and lets something go wrong around a share of them.

    No event is lost by that: a real one that is signed wrongly comes again, signed well, and
    whatever else is wrong is an extra delivery.
    """

    def __init__(
        self,
        wire: MindTickleWire,
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

    def add(self, event: Event, until: datetime) -> None:
        """Post an event. No delivery of it comes after `until`."""
        for delivery in self._deliveries(event, until):
            if self._arriving_from <= delivery.at <= until:
                heapq.heappush(self._waiting, (delivery.at, next(self._serial), delivery))

    def _deliveries(self, event: Event, until: datetime) -> Iterator[Delivery]:
        event_id, body = _new_id(self._ids), self._wire.body(event.type, event.data)
        fault = self._fault() if event.at >= self._arriving_from else None
        moments = [event.at, *(event.at + after for after in self._retry_after)]
        wrong = self._wrong_attempts(moments, until) if fault is Fault.REFUSED_FIRST else 0
        for at in moments[:wrong]:
            refused = self._wire.signed_wrongly(at, event_id, body)
            yield refused._replace(fault=Fault.REFUSED_FIRST)
        for at in moments[wrong : None if self._retried else wrong + 1]:
            good = self._wire.signed(at, event_id, body)._replace(retried=self._retried)
            yield good
            if at == moments[wrong]:
                yield from self._extras(fault, good, event)

    def _wrong_attempts(self, moments: Sequence[datetime], until: datetime) -> int:
        """How many attempts are under a wrong secret: one or two, none if no good one follows."""
        wrong = min(self._dice.choice((1, 1, 2)), len(moments) - 1)
        return wrong if moments[wrong] <= until else 0

    def _extras(self, fault: Fault | None, good: Delivery, event: Event) -> Iterator[Delivery]:
        for extra in (*self._beside, fault):
            if extra not in (None, Fault.REFUSED_FIRST):
                yield self._extra(extra, good, event)

    def due(self, at: datetime, taken: Container[str] = ()) -> Iterator[Delivery]:
        """What is to be sent by `at`, in order of time; of events that are taken no retries."""
        while self._waiting and self._waiting[0][0] <= at:
            delivery = heapq.heappop(self._waiting)[-1]
            if not (delivery.retried and delivery.event_id in taken):
                yield delivery

    def _fault(self) -> Fault | None:
        if self._dice.random() >= self._share:
            return None
        return self._dice.choices(list(FAULT_WEIGHTS), list(FAULT_WEIGHTS.values()))[0]

    def _extra(self, fault: Fault, good: Delivery, event: Event) -> Delivery:
        make: dict[Fault, Callable[[Delivery, Event], Delivery]] = {
            Fault.DUPLICATE: self._duplicate,
            Fault.LATE_RETRY: self._late_retry,
            Fault.FORGED: self._forged,
            Fault.BROKEN_BODY: self._broken_body,
            Fault.NO_SIGNATURE: self._no_signature,
            Fault.UNKNOWN_TYPE: self._unknown_type,
        }
        return make[fault](good, event)._replace(fault=fault, retried=False)

    def _duplicate(self, good: Delivery, _event: Event) -> Delivery:
        return good._replace(at=good.at + timedelta(seconds=self._dice.randint(1, 90)))

    def _late_retry(self, good: Delivery, _event: Event) -> Delivery:
        late = good.at + self._dice.choice(self._retry_after)
        return self._wire.signed(late, good.event_id, good.body)

    def _forged(self, good: Delivery, _event: Event) -> Delivery:
        data = {"userId": "u-9999", "moduleId": "m-01", "progressPct": 100, "timeSpentSec": 1}
        body = self._wire.body("module.progress", data)
        return self._wire.signed_wrongly(good.at, _new_id(self._dice), body)

    def _broken_body(self, good: Delivery, event: Event) -> Delivery:
        without_user = {name: value for name, value in event.data.items() if name != "userId"}
        body = self._dice.choice(
            (
                b"<html><body>Bad Gateway</body></html>",
                good.body[: len(good.body) // 2],
                self._wire.body(event.type, without_user),
            )
        )
        return self._wire.signed(good.at, _new_id(self._dice), body)

    def _no_signature(self, good: Delivery, _event: Event) -> Delivery:
        stranger = self._wire.signed(good.at, _new_id(self._dice), b'{"event":"ping"}')
        del stranger.headers[SIGNATURE]
        return stranger

    def _unknown_type(self, good: Delivery, event: Event) -> Delivery:
        data = {"userId": event.data["userId"], "coach": "lead@acme.example", "minutes": 30}
        body = self._wire.body("coaching.session.booked", data)
        return self._wire.signed(good.at, _new_id(self._dice), body)


def _new_id(dice: Random) -> str:
    return str(UUID(int=dice.getrandbits(128), version=4))
