# ruff: noqa: S311 (seeded dice; they protect nothing)
"""Standard Webhooks: events of a CRM and a calendar, each delivery with a fresh signature."""

import json
from collections.abc import Iterator
from datetime import datetime
from random import Random
from typing import Any

from receiver.simulator.base import NO_LEARNER, Fault, Part
from receiver.simulator.company import Company, Event, iso_millis, office_moment
from receiver.simulator.people import active, people_of
from receiver.vendors.standard_webhooks import (
    ID,
    SIGNATURE,
    TIMESTAMP,
    StandardWebhooksSettings,
    sign,
)
from shared.settings import ReceiverSettings

WEIGHTS = {
    "meeting.booked": 8,
    "meeting.cancelled": 2,
    "deal.created": 4,
    "deal.won": 2,
    "deal.lost": 2,
    "contact.created": 5,
}
SHARE = 0.5
A_DAY = 5
ROTATING = 0.2
"""Share of the deliveries that also carry a signature with the next secret."""


class Deals:
    """Meetings, deals and contacts."""

    def __init__(self, company: Company, dice: Random) -> None:
        self._company = company
        self._dice = dice
        people = people_of(company, dice, SHARE, 1001, "reseller.example")
        self._owners = [one.email for one in active(people, company)]

    def history(self) -> Iterator[Event]:
        """The events before the start, in order of time."""
        begin, end = self._company.begin, self._company.end
        number = A_DAY * self._company.days
        moments = (office_moment(self._dice, begin, end) for _ in range(number))
        yield from map(self.live_event, sorted(moments))

    def live_event(self, at: datetime) -> Event:
        """An event at `at`."""
        (kind,) = self._dice.choices(list(WEIGHTS), list(WEIGHTS.values()))
        data: dict[str, Any] = {
            "id": f"{kind.partition('.')[0]}-{self._dice.randint(1000, 9999)}",
            "owner": self._dice.choice(self._owners),
        }
        if kind.startswith("deal."):
            data |= {"amount": 500 * self._dice.randint(4, 200), "currency": "EUR"}
        return Event(at, kind, data)


def body(event: Event, event_id: str, company_id: str) -> bytes:
    """The JSON body of an event. Its ID is in a header."""
    content = {"type": event.type, "timestamp": iso_millis(event.at), "data": event.data}
    return json.dumps(content, separators=(",", ":")).encode()


def headers(at: datetime, event_id: str, body: bytes, key: bytes) -> dict[str, str]:
    """ID, timestamp and signature; for some events a second signature with the next key."""
    timestamp = str(int(at.timestamp()))
    message = b".".join((event_id.encode(), timestamp.encode(), body))
    keys = [b"next " + key, key] if Random(event_id).random() < ROTATING else [key]
    signatures = b" ".join(sign(one, message) for one in keys).decode()
    return {ID: event_id, TIMESTAMP: timestamp, SIGNATURE: signatures}


def credential(settings: ReceiverSettings) -> bytes:
    """The first key."""
    key, *_ = settings.of_vendor(StandardWebhooksSettings).standard_webhooks_secret
    return key.get_secret_value()


def sample(at: datetime) -> Event:
    """An event of a type that nothing counts."""
    return Event(at, NO_LEARNER, {"id": NO_LEARNER})


PART = Part(
    weight=2,
    credential=credential,
    story=Deals,
    sample=sample,
    body=body,
    headers=headers,
    credential_header=SIGNATURE,
    faults={
        Fault.DUPLICATE: 30,
        Fault.LATE_RETRY: 15,
        Fault.REFUSED_FIRST: 15,
        Fault.FORGED: 15,
        Fault.STALE: 15,
        Fault.NO_CREDENTIALS: 5,
        Fault.BROKEN_BODY: 5,
    },
    forged={"owner": "mallory@elsewhere.example"},
    unreadable={},
)
