"""MindTickle: all events of the company, signed over time and body."""

import json
from datetime import datetime

from receiver.simulator.base import NO_LEARNER, Fault, Part
from receiver.simulator.company import Event
from receiver.vendors.mindtickle import EVENT_ID, SIGNATURE, TIMESTAMP, MindTickleSettings, sign
from shared.settings import ReceiverSettings


def body(event: Event, event_id: str, company_id: str) -> bytes:
    """The JSON body of an event. Its ID is in a header."""
    content = {"event": event.type, "companyId": company_id, "data": event.data}
    return json.dumps(content, separators=(",", ":")).encode()


def headers(at: datetime, event_id: str, body: bytes, secret: bytes) -> dict[str, str]:
    """Event ID, timestamp and signature."""
    timestamp = str(int(at.timestamp()))
    signature = sign(secret, timestamp.encode(), body).decode()
    return {EVENT_ID: event_id, TIMESTAMP: timestamp, SIGNATURE: signature}


def credential(settings: ReceiverSettings) -> bytes:
    """The first secret."""
    secret, *_ = settings.of_vendor(MindTickleSettings).mindtickle_webhook_secret
    return secret.get_secret_value().encode()


def company_id(settings: ReceiverSettings) -> str:
    """The one that the receiver accepts; any, if it accepts all."""
    return settings.of_vendor(MindTickleSettings).mindtickle_company_id or "demo"


def sample(at: datetime) -> Event:
    """The first progress in a module."""
    module = {"moduleId": NO_LEARNER, "moduleName": "Test", "progressPct": 1, "timeSpentSec": 1}
    return Event(at, "module.progress", {"userId": NO_LEARNER, **module})


PART = Part(
    weight=14,
    credential=credential,
    story=lambda company, _: company,
    sample=sample,
    body=body,
    headers=headers,
    credential_header=SIGNATURE,
    faults={
        Fault.DUPLICATE: 35,
        Fault.LATE_RETRY: 20,
        Fault.REFUSED_FIRST: 15,
        Fault.FORGED: 8,
        Fault.BROKEN_BODY: 12,
        Fault.NO_CREDENTIALS: 5,
        Fault.UNKNOWN_TYPE: 5,
    },
    forged={"userId": "u-9999"},
    unreadable={"userId": None},
)
