"""The vendors as their guides describe them: bodies, and headers made apart from our own code."""

import hashlib
import hmac
import json
import uuid
from datetime import datetime
from pathlib import Path
from typing import Any

from standardwebhooks import Webhook

SECRET = "secret-one"
COMPANY = "acme"
AUTHORIZATION = "Bearer value-one"
"""What the admin of Lessonly typed."""
WHSEC = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
"""The secret of the public test vector."""
SAMPLES = Path(__file__).parent / "samples"


def body_of(event_type: str, data: Any, company: Any = COMPANY) -> bytes:
    return json.dumps({"event": event_type, "companyId": company, "data": data}).encode()


def signature(body: bytes, timestamp: str, secret: str = SECRET) -> str:
    message = timestamp.encode() + b":" + body
    return hmac.new(secret.encode(), message, hashlib.sha256).hexdigest()


def signed(
    body: bytes, at: datetime, event_id: str | None = None, secret: str = SECRET
) -> dict[str, str]:
    """The headers of a delivery signed at `at`."""
    timestamp = str(int(at.timestamp()))
    headers = {
        "content-type": "application/json",
        "x-mt-webhook-timestamp": timestamp,
        "x-mt-webhook-signature": signature(body, timestamp, secret),
    }
    return headers | ({"x-mt-event-id": event_id} if event_id is not None else {})


def new_id() -> str:
    return f"evt-{uuid.uuid4().hex}"


def progress(user_id: str = "u-1", **more: Any) -> dict[str, Any]:
    return {
        "userId": user_id,
        "moduleId": "m-1",
        "moduleName": "Discovery calls",
        "progressPct": 40,
        "timeSpentSec": 600,
    } | more


def sample(vendor: str, name: str) -> bytes:
    """A body as a vendor sends it, from `tests/samples`."""
    return (SAMPLES / vendor / f"{name}.json").read_bytes()


def changed(body: bytes, **fields: Any) -> bytes:
    """The same JSON object with some fields set; `user__id=7` sets the field of an object in it."""
    value = json.loads(body)
    for name, new in fields.items():
        *path, last = name.split("__")
        inner = value
        for step in path:
            inner = inner[step]
        inner[last] = new
    return json.dumps(value).encode()


def course(**fields: Any) -> bytes:
    """A completion by Innovative Educators."""
    return changed(sample("innovative-educators", "completion"), **fields)


def lesson(**fields: Any) -> bytes:
    """A completion by Lessonly."""
    return changed(sample("lessonly", "completion"), **fields)


def standard(
    body: bytes, at: datetime, event_id: str | None = None, secret: str = WHSEC
) -> dict[str, str]:
    """The headers of a Standard Webhook, signed by the reference package."""
    event_id = event_id or new_id()
    whole = at.replace(microsecond=0)
    return {
        "webhook-id": event_id,
        "webhook-timestamp": str(int(whole.timestamp())),
        "webhook-signature": Webhook(secret).sign(event_id, whole, body.decode()),
    }
