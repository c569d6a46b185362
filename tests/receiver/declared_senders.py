"""The senders of `tests/samples/declared/vendors.toml`, and a small file with one more."""

import base64
import hmac
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from receiver.vendors import adapters
from receiver.vendors.base import Incoming, Vendor
from shared.settings import SettingsError
from tests import playing
from tests.receiver.vendor_cases import (
    NOW,
    settings,
)

FILE = playing.SAMPLES / "declared" / "vendors.toml"
HOUSE = {"vendors_file": str(FILE)}
HEX_KEY = "aa" * 32
PARTS_KEY = base64.b64encode(b"a key of the sender of parts").decode()
SECRETS = {
    "lessons_authorization": playing.AUTHORIZATION,
    "hex_secret": "a-secret-of-the-hex-sender",
    "several_secret": playing.WHSEC,
    "parts_secret": PARTS_KEY,
    "inside_secret": HEX_KEY,
    "password_secret": "päss-word-of-some-length",
    "addresses_allowed_ips": "127.0.0.1",
}
AT = str(int(NOW.timestamp()))


def vendor(slug: str, house: Mapping[str, str] = HOUSE) -> Vendor:
    found = settings(**house, **SECRETS)
    made = found.of_vendor(adapters(found)[slug].settings).vendor()
    assert made is not None
    return made


BUILT_INS = adapters(settings()).keys()
VENDORS = {slug: vendor(slug) for slug in adapters(settings(**HOUSE)).keys() - BUILT_INS}


def lesson(body: bytes, value: bytes | None = playing.AUTHORIZATION.encode()) -> Incoming:
    headers = {} if value is None else {"authorization": value}
    return Incoming(headers, body, "127.0.0.1", NOW)


def signature(body: bytes, secret: str, *, at: str = AT) -> bytes:
    signed = at.encode() + b":" + body
    return hmac.new(secret.encode(), signed, "sha256").hexdigest().encode()


def hexed(body: bytes, secret: str = SECRETS["hex_secret"], at: str = AT) -> Incoming:
    headers = {
        "x-hex-event": b"quiz.done",
        "x-hex-id": b"evt-1",
        "x-hex-timestamp": at.encode(),
        "x-hex-signature": signature(body, secret, at=at),
    }
    return Incoming(headers, body, None, NOW)


def several(body: bytes, *secrets: str, event_id: bytes = b"evt-1") -> Incoming:
    text = b".".join((event_id, AT.encode(), body))
    tokens = [
        hmac.new(base64.b64decode(secret.removeprefix("whsec_")), text, "sha256").digest()
        for secret in secrets or (playing.WHSEC,)
    ]
    headers = {
        "x-several-id": event_id,
        "x-several-timestamp": AT.encode(),
        "x-several-signature": b" ".join(b"v1," + base64.b64encode(one) for one in tokens),
    }
    return Incoming(headers, body, None, NOW)


def parts(
    body: bytes, key: str = PARTS_KEY, at: str = AT, header: str = "t={0};kid=k7;v1={1}"
) -> Incoming:
    digest = hmac.new(base64.b64decode(key), at.encode() + b"." + body, "sha256").digest()
    sent = header.format(at, base64.b64encode(digest).decode())
    return Incoming({"x-parts-signature": sent.encode()}, body, None, NOW)


def inside(key: str = HEX_KEY, **fields: Any) -> Incoming:
    at = {"type": "user.left", "id": "e-1", "at": NOW.isoformat()}
    body = json.dumps({"event": at | fields, "user": 7}).encode()
    text = hmac.new(bytes.fromhex(key), body, "sha512").hexdigest().encode()
    return Incoming({"x-inside-signature": b"sha512=" + text}, body, None, NOW)


QUIZ = b'{"who": "u-1", "score": 7, "of": 10}'
DEAL = b'{"type": "deal.won", "owner": "Dana@Example.com"}'
LESSON = (
    b'{"event": {"id": "e-1", "kind": "lesson.finished"}, "actor": {"ref": 7}, "lesson": "l-1"}'
)
DONE = b'{"type": "course.done", "id": "c-1", "user": "u-1", "course": "c"}'


def with_password(password: str, body: bytes = b'{"type": "ping", "id": "p-1"}') -> Incoming:
    token = base64.b64encode(f"repboard:{password}".encode())
    return lesson(body, b"Basic " + token)


GENUINE = {
    "lessons": lesson(playing.lesson()),
    "hex": hexed(QUIZ),
    "several": several(DEAL),
    "parts": parts(LESSON),
    "inside": inside(),
    "password": with_password(SECRETS["password_secret"]),
    "addresses": Incoming({}, DONE, "127.0.0.1", NOW),
}


GOOD = """
[[vendors]]
slug = "acme"
name = "Acme"
event_type = "type"
event_id = { header = "x-id" }
retry_delays = [60]
[vendors.authentication]
kind = "hmac"
secret = "ACME_SECRET"
header = "x-signature"
signed = "{id}.{body}"
[[vendors.events]]
type = "done"
user_id = "user"
[[vendors.events.facts]]
kind = "completed"
course_id = "course"
"""


def problems(text: str, folder: Path) -> list[str]:
    file = folder / "vendors.toml"
    file.write_text(text)
    with pytest.raises(SettingsError) as wrong:
        adapters(settings(vendors_file=str(file)))
    lines = str(wrong.value).splitlines()
    assert all(line.startswith(f"{file}: ") for line in lines)
    return [line.removeprefix(f"{file}: ") for line in lines]
