# ruff: noqa: S311 (dice with a seed: they guard nothing)
"""Standard Webhooks: what a CRM and a calendar tell of the company's people, signed anew each time.

There is no history of it: a signature older than five minutes is not let in.
"""

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from random import Random
from typing import Any

from receiver.simulator.company import Company
from receiver.simulator.people import people_of, still_there
from receiver.simulator.post import Delivery, Event, Fault, iso_millis, new_id, spoiled
from receiver.vendors.standard_webhooks import ID, SIGNATURE, TIMESTAMP, TOLERANCE, sign

WEIGHTS = {
    "meeting.booked": 8,
    "meeting.cancelled": 2,
    "deal.created": 4,
    "deal.won": 2,
    "deal.lost": 2,
    "contact.created": 5,
}
SHARE = 0.5
ROTATING = 0.2
"""Share of the deliveries that carry the signature under the next secret, too."""
FAULTS = {
    Fault.DUPLICATE: 30,
    Fault.LATE_RETRY: 15,
    Fault.REFUSED_FIRST: 15,
    Fault.FORGED: 15,
    Fault.STALE: 15,
    Fault.NO_CREDENTIALS: 5,
    Fault.BROKEN_BODY: 5,
}


class Deals:
    """What happens with customers, told by type."""

    def __init__(self, company: Company, dice: Random) -> None:
        self._dice = dice
        people = people_of(company, dice, SHARE, 1001, "reseller.example")
        self._owners = [one.email for one in still_there(people, company)]

    def history(self) -> Iterator[Event]:
        """Nothing: it would not be let in."""
        yield from ()

    def live_event(self, at: datetime) -> Event:
        """Something that happens at `at`."""
        (kind,) = self._dice.choices(list(WEIGHTS), list(WEIGHTS.values()))
        data: dict[str, Any] = {
            "id": f"{kind.partition('.')[0]}-{self._dice.randint(1000, 9999)}",
            "owner": self._dice.choice(self._owners),
        }
        if kind.startswith("deal."):
            data |= {"amount": 500 * self._dice.randint(4, 200), "currency": "EUR"}
        return Event(at, kind, data)


class StandardWebhooksWire:
    """How the specification has it written and signed."""

    faults = FAULTS

    def __init__(self, key: bytes) -> None:
        self._key = key
        self.extras = {
            Fault.FORGED: self._forged,
            Fault.STALE: self._stale,
            Fault.NO_CREDENTIALS: self._no_credentials,
            Fault.BROKEN_BODY: self._broken_body,
        }

    def body(self, event: Event, event_id: str) -> bytes:
        """The JSON body of an event; its id is in a header."""
        content = {"type": event.type, "timestamp": iso_millis(event.at), "data": event.data}
        return json.dumps(content, separators=(",", ":")).encode()

    def genuine(self, at: datetime, event_id: str, body: bytes) -> Delivery:
        """A delivery that verifies, signed at `at`; now and then under two secrets."""
        keys = [self._key]
        if Random(event_id).random() < ROTATING:
            keys.insert(0, b"next " + self._key)
        return _signed(at, event_id, body, keys)

    def forged(self, at: datetime, event_id: str, body: bytes) -> Delivery:
        """A delivery under a secret that the receiver does not have."""
        return _signed(at, event_id, body, [b"another " + self._key])

    def _forged(self, good: Delivery, event: Event, dice: Random) -> Delivery:
        return self.forged(good.at, new_id(dice), good.body)

    def _stale(self, good: Delivery, _event: Event, dice: Random) -> Delivery:
        """What somebody has recorded, and sends once more."""
        earlier = good.at - TOLERANCE - timedelta(seconds=dice.randint(30, 3600))
        return self.genuine(earlier, good.event_id, good.body)._replace(at=good.at)

    def _no_credentials(self, good: Delivery, _event: Event, dice: Random) -> Delivery:
        stranger = self.genuine(good.at, new_id(dice), b'{"type":"ping"}')
        del stranger.headers[SIGNATURE]
        return stranger

    def _broken_body(self, good: Delivery, _event: Event, dice: Random) -> Delivery:
        return self.genuine(good.at, new_id(dice), spoiled(good, dice))


def _signed(at: datetime, event_id: str, body: bytes, keys: list[bytes]) -> Delivery:
    timestamp = str(int(at.timestamp()))
    message = b".".join((event_id.encode(), timestamp.encode(), body))
    headers = {
        "content-type": "application/json",
        ID: event_id,
        TIMESTAMP: timestamp,
        SIGNATURE: b" ".join(sign(key, message) for key in keys).decode(),
    }
    return Delivery(at, event_id, headers, body)
