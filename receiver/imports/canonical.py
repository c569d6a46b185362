"""What is stored of an imported event: its fields by fact, whatever its columns were called."""

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from receiver.vendors.base import KeptEvent, json_object
from receiver.vendors.declared.declaration import EventTable
from receiver.vendors.declared.kinds import KINDS
from receiver.vendors.declared.reading import DeclaredEvent, Reading
from shared.facts import Fact


def payload_of(user_id: object, fields: Mapping[str, Mapping[str, Any]]) -> str:
    """An event as it is stored: `{"user": {"id": …}, "progressed": {"module_id": …}}`."""
    user = {} if user_id is None else {"user": {"id": user_id}}
    said = {kind: {name: one for name, one in values.items() if one is not None}
            for kind, values in fields.items()}  # fmt: skip
    return json.dumps(user | said, ensure_ascii=False)


def read(vendor: str, event: KeptEvent) -> tuple[DeclaredEvent, Reading]:
    """The fields of a stored payload, by the reader of declared vendors. Raises Unreadable."""
    body = json_object(event.payload.encode())
    kinds = tuple(kind for kind in KINDS if kind in body)
    reader = _reader(vendor, event.type, kinds)
    return reader, reader.read(body, event.received_at)


def facts(vendor: str, event: KeptEvent) -> Sequence[Fact]:
    """What an imported event says. Raises Unreadable."""
    reader, reading = read(vendor, event)
    return reader.facts(reading, event.event_key, event.occurred_at)


@lru_cache(maxsize=256)
def _reader(vendor: str, event_type: str, kinds: tuple[str, ...]) -> DeclaredEvent:
    tables = [
        {"kind": kind}
        | {name: f"{kind}.{name}" for name in (*KINDS[kind].needed, *KINDS[kind].described)}
        for kind in kinds
    ]
    user = {"user_id": "user.id"} if any(KINDS[kind].needs_user for kind in kinds) else {}
    return DeclaredEvent(
        vendor, EventTable.model_validate({"type": event_type, "facts": tables, **user})
    )
