"""A declared sample as a delivery, and the shell script that sends it."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from shlex import quote
from typing import Any

from receiver.vendors.base import FROM_ENV, Unreadable, json_object
from receiver.vendors.declared.authentication import Allowlist, Basic, HeaderValue, Hmac, Jwt
from receiver.vendors.declared.declaration import Declaration
from receiver.vendors.declared.places import InBody, InHeader
from receiver.vendors.declared.tables import Part
from receiver.vendors.fields import TimeForm

ID, AT = "repboard-sample-id", "2001-02-03T04:05:06Z"
"""What stands in a sample until it is sent: it is no ID or time of a real one."""
TYPE = "test"
"""The type in a header, for a vendor that declares none."""


class Sample:
    """A sample that gets another ID and time whenever it is sent. Raises Unreadable."""

    def __init__(self, one: Declaration, text: str) -> None:
        self._declaration = one
        self._body = json_object(text.encode())

    def at(self, at: datetime, event_id: str) -> tuple[bytes, dict[str, str]]:
        """Its body, and its headers without those that prove it."""
        one = self._declaration
        body = json.dumps(self.with_values(event_id, _iso(at)), ensure_ascii=False).encode()
        headers = {"content-type": "application/json"}
        time = written_time(at, one.timestamp.form) if one.timestamp else ""
        for name, parts in _headers(one, event_id, time, type_in_header(one)).items():
            headers[name] = _between(one).join(parts)
        return body, headers

    def with_values(self, event_id: str, at: str) -> dict[str, Any]:
        """The body with this ID and this time, where it has any at a plain path."""
        one, body = self._declaration, self._body
        if isinstance(one.event_id, InBody):
            body = _set(body, one.event_id, event_id)
        times = [event.at for event in one.events if event.at is not None]
        if one.timestamp and isinstance(one.timestamp.at, InBody):
            times.append(one.timestamp.at)
        for where in times:
            if isinstance(where.find(body), str):
                body = _set(body, where, at)
        return body


def type_in_header(one: Declaration) -> str:
    """The type that a sample is sent with."""
    return one.events[0].type if one.events else TYPE


def _set(body: dict[str, Any], where: InBody, value: str) -> dict[str, Any]:
    """A copy with another value at a plain path that has one."""
    if where.names is None or where.find(body) is None:
        return body
    first, *rest = where.names
    inner = body[first]
    return body | {first: _set_at(inner, rest, value)}


def _set_at(inner: Any, names: list[str], value: str) -> Any:
    if not names:
        return value
    return inner | {names[0]: _set_at(inner[names[0]], names[1:], value)}


def _iso(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def written_time(at: datetime, form: TimeForm) -> str:
    """A time as a sender writes it: whole seconds."""
    if form == "iso":
        return _iso(at)
    seconds = int(at.timestamp())
    return f"{seconds}000" if form == "milliseconds" else str(seconds)


# The script of the page before the first delivery


NOW: Mapping[TimeForm, str] = {
    "seconds": "date +%s",
    "any": "date +%s",
    "milliseconds": "date +%s000",
    "iso": "date -u +%Y-%m-%dT%H:%M:%SZ",
}
KEYS = {
    "text": "key=$(printf %s \"$secret\" | od -An -v -tx1 | tr -d ' \\n')",
    "hex": "key=$secret",
    "base64": "key=$(printf %s \"$secret\" | openssl base64 -d -A | od -An -v -tx1 | tr -d ' \\n')",
    "whsec": """\
secret=${secret#whsec_}
while [ $((${#secret} % 4)) -ne 0 ]; do secret="$secret="; done
key=$(printf %s "$secret" | openssl base64 -d -A | od -An -v -tx1 | tr -d ' \\n')""",
}
ENCODED = {"hex": "od -An -v -tx1 | tr -d ' \\n'", "base64": "openssl base64 -A"}


def curl(one: Declaration) -> str | None:
    """The script that sends the sample to `$url`; None if it has none, or only the vendor can."""
    how = one.authentication
    if one.sample is None or isinstance(how, Allowlist | Jwt):
        return None
    try:
        body = json.dumps(Sample(one, one.sample).with_values(ID, AT), ensure_ascii=False)
    except Unreadable:
        return None
    spelled = quote(body).replace(ID, "'\"$id\"'").replace(AT, "'\"$iso\"'")
    form: TimeForm = one.timestamp.form if one.timestamp else "seconds"
    lines = [
        f"secret=$(setting {how.variable})",
        "secret=${secret%%,*}",
        f"at=$({NOW[form]})",
        "id=first-$(date +%s)",
        "iso=$(date -u +%Y-%m-%dT%H:%M:%SZ)",
        f"body={spelled}",
        *_proving(one, how),
    ]
    return FROM_ENV + "\n".join(lines) + "\n"


def _proving(one: Declaration, how: Hmac | HeaderValue | Basic) -> list[str]:
    headers = _headers(one, '"$id"', '"$at"', quote(type_in_header(one)))
    if isinstance(how, Hmac):
        signature = f'{quote(how.prefix) if how.prefix else ""}"$signature"'
        headers.setdefault(how.header, []).append(signature)
    spelled = {name: quote(_between(one)).join(parts) for name, parts in headers.items()}
    options = ["-H 'content-type: application/json'",
               *(f"-H '{name}: '{value}" for name, value in spelled.items())]  # fmt: skip
    sent = " \\\n  ".join(('curl -sS "$url"', *options, '--data-binary "$body"'))
    if isinstance(how, Hmac):
        return [
            KEYS[how.key_encoding],
            f"signature=$(printf %s {message_in_shell(how.signed)} |\n"
            f'  openssl dgst -{how.algorithm} -mac HMAC -macopt "hexkey:$key" -binary |\n'
            f"  {ENCODED[how.encoding]})",
            sent,
        ]
    if isinstance(how, Basic):
        token = f"token=$(printf '%s:%s' {quote(how.user)} \"$secret\" | openssl base64 -A)"
        head = "printf 'authorization: Basic %s' \"$token\""
        return [token, f"{head} |\n  {sent} -H @-"]
    return [f"printf '{how.header}: %s' \"$secret\" |\n  {sent} -H @-"]


def message_in_shell(signed: Sequence[Part]) -> str:
    """The signed text as a word of a shell, of `$id`, `$at` and `$body`."""
    values = {"id": '"$id"', "timestamp": '"$at"', "body": '"$body"'}
    return "".join(quote(one.text) if one.name == "text" else values[one.name] for one in signed)


def _headers(one: Declaration, event_id: str, time: str, event_type: str) -> dict[str, list[str]]:
    """The parts of each header that says one of these; most have one part."""
    at = one.timestamp.at if one.timestamp else None
    said = ((one.event_id, event_id), (at, time), (one.event_type, event_type))
    headers: dict[str, list[str]] = {}
    for where, value in said:
        if isinstance(where, InHeader):
            part = f"{where.part}={value}" if where.part else value
            headers.setdefault(where.name, []).append(part)
    return headers


def _between(one: Declaration) -> str:
    """What stands between the parts of a header."""
    how = one.authentication
    return (isinstance(how, Hmac) and how.separator) or ","
