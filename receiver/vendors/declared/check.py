"""What would become of a delivery to a declared vendor, step by step, for `vendors check`."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from itertools import product
from typing import NamedTuple, get_args

from receiver.vendors.base import Incoming, Rejected, Unreadable, VendorEvent
from receiver.vendors.declared.authentication import Hmac
from receiver.vendors.declared.declaration import Declaration
from receiver.vendors.declared.keys import Held
from receiver.vendors.declared.proof import TRY
from receiver.vendors.declared.tables import Part
from receiver.vendors.declared.vendor import DeclaredSettings, DeclaredVendor, adapter_of
from shared.settings import ReceiverSettings, SettingsError

KEY_ENCODINGS, ALGORITHMS, ENCODINGS = (
    get_args(Hmac.model_fields[name].annotation)
    for name in ("key_encoding", "algorithm", "encoding")
)
TEXTS = ("{timestamp}.{body}", "{timestamp}:{body}", "{id}.{timestamp}.{body}",
         "{id}.{body}", "{timestamp}{body}", "{body}")  # fmt: skip
"""What senders sign."""
MAX_SHOWN = 60
"""Characters of a value that are shown."""
NOT_SHOWN = ("vendor", "event_key")
"""Of a fact: each has the same."""


class Mark(StrEnum):
    """What a step says of the delivery."""

    PASSES = "✓"
    FAILS = "✗"
    NOTE = "·"
    """It passes, and something is missing."""


class Step(NamedTuple):
    """A line of the check."""

    line: str
    mark: Mark = Mark.PASSES


def served(declaration: Declaration, settings: ReceiverSettings) -> DeclaredVendor | None:
    """The vendor; None without its variable. Raises SettingsError."""
    kind = adapter_of(declaration).settings
    own = settings.of_vendor(kind)
    return own.vendor() if isinstance(own, DeclaredSettings) else None


def steps(
    declaration: Declaration,
    settings: ReceiverSettings,
    headers: Mapping[str, bytes],
    body: bytes,
    peer: str | None,
    now: datetime,
    keys: Sequence[Held] = (),
) -> Iterator[Step]:
    """What is verified and read of a delivery, as of its signature's time; `keys` are the ones of a
    vendor that signs tokens. Shows no secret."""
    variable = declaration.authentication.variable
    vendor = served(declaration, settings)
    if vendor is None:
        yield Step(
            f"{variable} is not set, so {declaration.slug} is not served. Set it in .env or the "
            "environment.",
            Mark.FAILS,
        )
        return
    yield Step(f"{variable} is set.")
    if vendor.key_ring is not None:
        vendor.key_ring.hold(keys)
    incoming = Incoming(headers, body, peer, now)
    try:
        signed_at = vendor.issued_at(incoming)
    except Unreadable as unread:
        yield Step(f"Not understood: {unread.reason}", Mark.FAILS)
        return
    if signed_at is not None:
        incoming = incoming._replace(received_at=signed_at)
        yield Step(f"Signed at {signed_at.isoformat()}; verified as if it had arrived then.")
    try:
        vendor.authenticate(incoming)
    except Rejected as refused:
        reason = refused.reason.removesuffix(TRY)
        yield Step(f"Refused as {refused.outcome}: {reason}", Mark.FAILS)
        yield from _hints(declaration, settings, incoming)
        return
    yield Step("Authentic.")
    if signed_at is not None and (late := _late(vendor, incoming, now)):
        yield Step(f"Arriving now it would be refused: {late}", Mark.NOTE)
    try:
        yield from _said(vendor.parse(incoming), declaration)
    except (Rejected, Unreadable) as unread:
        yield Step(f"Not understood: {unread.reason}", Mark.FAILS)


def _late(vendor: DeclaredVendor, incoming: Incoming, now: datetime) -> str | None:
    try:
        vendor.authenticate(incoming._replace(received_at=now))
    except Rejected as refused:
        return refused.reason
    return None


def _said(event: VendorEvent, declaration: Declaration) -> Iterator[Step]:
    yield Step(f"Event type: {_plain(event.type)}")
    if not event.event_key.startswith("digest:"):
        yield Step(f"Event ID: {_plain(event.event_key)}")
    elif declaration.event_id is None:
        yield Step("Event ID: none is declared. A delivery with the same text is a repeat.")
    else:
        yield Step("Event ID: not found. A delivery with the same text is a repeat.", Mark.NOTE)
    yield Step(f"Happened at: {event.occurred_at.isoformat()}")
    for one in event.ignored:
        yield Step(f"Ignored: {one.field}: {one.why}", Mark.NOTE)
    for fact in event.facts:
        fields = ((name, value) for name, value in fact._asdict().items()
                  if value is not None and name not in NOT_SHOWN)  # fmt: skip
        shown = ", ".join(f"{name}={str(value)[:MAX_SHOWN]!r}" for name, value in fields)
        yield Step(f"Counts as {type(fact).__name__.lower()}: {shown}")
    if not event.facts:
        types = [one.type for one in declaration.events]
        why = (
            "its facts lack a value."
            if event.type in types
            else (f"no [[vendors.events]] has this type; there are {', '.join(types) or 'none'}.")
        )
        yield Step(f"Kept, and counts as nothing: {why}", Mark.NOTE)


def _plain(text: str) -> str:
    """A text of the delivery for a terminal: no sign in it can steer that."""
    shown = text[:MAX_SHOWN]
    return shown if shown.isprintable() else repr(shown)


def _hints(
    declaration: Declaration, settings: ReceiverSettings, incoming: Incoming
) -> Iterator[Step]:
    """What would make the signature fit: the usual mistakes, tried out."""
    how = declaration.authentication
    if not isinstance(how, Hmac):
        return
    sent = incoming.headers.get(how.header, b"").decode("utf-8", "replace")
    if sent and how.prefix not in sent:
        yield Step(
            f"The {how.header} header has no {how.prefix}: it begins with {_plain(sent[:12])}",
            Mark.FAILS,
        )
        return
    without_line_end = incoming.body.removesuffix(b"\n").removesuffix(b"\r")
    bodies = dict.fromkeys((incoming.body, without_line_end))
    texts = dict.fromkeys((_written(how.signed), *TEXTS))
    choices = product(bodies, texts, KEY_ENCODINGS, ALGORITHMS, ENCODINGS)
    for body, signed, key_encoding, algorithm, encoding in choices:
        other = {
            "signed": signed,
            "key_encoding": key_encoding,
            "algorithm": algorithm,
            "encoding": encoding,
        }
        changed = _changed(declaration, how, other)
        if changed and _passes(changed, settings, incoming._replace(body=body)):
            own = how.model_dump() | {"signed": _written(how.signed)}
            differ = [f'{name} = "{value}"' for name, value in other.items() if value != own[name]]
            if body != incoming.body:
                differ.append("the sample without its last line end")
            yield Step(f"It fits with {' and '.join(differ)}.", Mark.FAILS)
            return
    yield Step(
        "It fits with no other usual text, encoding or algorithm. Is the sample the body byte for "
        f"byte, and {how.secret} the secret of that time?",
        Mark.FAILS,
    )


def _written(signed: Sequence[Part]) -> str:
    """A signed text as the file has it."""
    return "".join(one.text if one.name == "text" else f"{{{one.name}}}" for one in signed)


def _changed(declaration: Declaration, how: Hmac, other: Mapping[str, str]) -> Declaration | None:
    """The same with other keys of its authentication; None if these do not fit together."""
    sent = {**how.model_dump(), "signed": _written(how.signed), **other}
    named = {part.name for part in Hmac.model_validate(sent).signed} & {"id", "timestamp"}
    if any(declaration.header_of(name) is None for name in named):
        return None
    return declaration.model_copy(update={"authentication": Hmac.model_validate(sent)})


def _passes(declaration: Declaration, settings: ReceiverSettings, incoming: Incoming) -> bool:
    try:
        vendor = served(declaration, settings)
        if vendor is None:
            return False
        vendor.authenticate(incoming)
    except (SettingsError, Rejected):
        return False
    return True
