"""MindTickle as its guide describes it: bodies, and headers signed apart from our own code."""

import hashlib
import hmac
import json
import uuid
from datetime import datetime
from typing import Any

SECRET = "secret-one"
COMPANY = "acme"


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
