"""MindTickle: all that the company does, each delivery signed over its time and body."""

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from random import Random
from typing import Any

from receiver.simulator.post import Delivery, Event, Fault, new_id, spoiled
from receiver.vendors.mindtickle import EVENT_ID, SIGNATURE, TIMESTAMP, sign

FAULTS = {
    Fault.DUPLICATE: 35,
    Fault.LATE_RETRY: 20,
    Fault.REFUSED_FIRST: 15,
    Fault.FORGED: 8,
    Fault.BROKEN_BODY: 12,
    Fault.NO_CREDENTIALS: 5,
    Fault.UNKNOWN_TYPE: 5,
}


class MindTickleWire:
    """How MindTickle writes and signs what happened."""

    faults = FAULTS

    def __init__(
        self,
        secret: bytes,
        company_id: str,
        ahead: Callable[[datetime], timedelta] = lambda _: timedelta(0),
    ) -> None:
        """`ahead` is how fast the clock that signs is, at a time."""
        self._secret = secret
        self._company_id = company_id
        self._ahead = ahead
        self.extras = {
            Fault.FORGED: self._forged,
            Fault.BROKEN_BODY: self._broken_body,
            Fault.NO_CREDENTIALS: self._no_credentials,
            Fault.UNKNOWN_TYPE: self._unknown_type,
        }

    def body(self, event: Event, event_id: str) -> bytes:
        """The JSON body of an event; its id is in a header."""
        return self._body(event.type, event.data)

    def _body(self, event_type: str, data: dict[str, Any]) -> bytes:
        content = {"event": event_type, "companyId": self._company_id, "data": data}
        return json.dumps(content, separators=(",", ":")).encode()

    def genuine(self, at: datetime, event_id: str, body: bytes) -> Delivery:
        """A delivery that verifies, signed at `at`."""
        return self._delivery(at, event_id, body, self._secret)

    def forged(self, at: datetime, event_id: str, body: bytes) -> Delivery:
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

    def _forged(self, good: Delivery, _event: Event, dice: Random) -> Delivery:
        data = {"userId": "u-9999", "moduleId": "m-01", "progressPct": 100, "timeSpentSec": 1}
        return self.forged(good.at, new_id(dice), self._body("module.progress", data))

    def _broken_body(self, good: Delivery, event: Event, dice: Random) -> Delivery:
        without_user = {name: value for name, value in event.data.items() if name != "userId"}
        body = spoiled(good, dice, self._body(event.type, without_user))
        return self.genuine(good.at, new_id(dice), body)

    def _no_credentials(self, good: Delivery, _event: Event, dice: Random) -> Delivery:
        stranger = self.genuine(good.at, new_id(dice), b'{"event":"ping"}')
        del stranger.headers[SIGNATURE]
        return stranger

    def _unknown_type(self, good: Delivery, event: Event, dice: Random) -> Delivery:
        data = {"userId": event.data["userId"], "coach": "lead@acme.example", "minutes": 30}
        body = self._body("coaching.session.booked", data)
        return self.genuine(good.at, new_id(dice), body)
