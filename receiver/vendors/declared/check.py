"""What would become of a delivery to a declared vendor, step by step, for `vendors check`."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import product
from typing import NamedTuple, get_args

from receiver.vendors.base import Incoming, Rejected, Unreadable, VendorEvent
from receiver.vendors.declared.authentication import Hmac
from receiver.vendors.declared.declaration import Declaration
from receiver.vendors.declared.keys import Held
from receiver.vendors.declared.vendor import DeclaredSettings, DeclaredVendor, adapter_of
from shared.settings import ReceiverSettings, SettingsError

KEY_ENCODINGS, ALGORITHMS, ENCODINGS = (
    get_args(Hmac.model_fields[name].annotation)
    for name in ("key_encoding", "algorithm", "encoding")
)
MAX_SHOWN = 60
"""Characters of a value that are shown."""


class Step(NamedTuple):
    """A line of the check, and whether the delivery passes this step."""

    line: str
    passes: bool = True


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
        yield Step(f"{variable} is not set, so {declaration.slug} is not served.", passes=False)
        return
    yield Step(f"{variable} is set.")
    if vendor.key_ring is not None:
        vendor.key_ring.hold(keys)
    incoming = Incoming(headers, body, peer, now)
    try:
        signed_at = vendor.signed_at(incoming)
    except Unreadable as unread:
        yield Step(f"Not understood: {unread.reason}", passes=False)
        return
    if signed_at is not None:
        incoming = incoming._replace(received_at=signed_at)
        yield Step(f"Signed at {signed_at.isoformat()}; verified as if it had arrived then.")
    try:
        vendor.authenticate(incoming)
    except Rejected as refused:
        yield Step(f"Refused as {refused.outcome}: {refused.reason}", passes=False)
        yield from _hints(declaration, settings, incoming)
        return
    yield Step("Authentic.")
    if signed_at is not None and (late := _late(vendor, incoming, now)):
        yield Step(f"Arriving now it would be refused: {late}")
    try:
        yield from _said(vendor.parse(incoming), declaration)
    except (Rejected, Unreadable) as unread:
        yield Step(f"Not understood: {unread.reason}", passes=False)


def _late(vendor: DeclaredVendor, incoming: Incoming, now: datetime) -> str | None:
    try:
        vendor.authenticate(incoming._replace(received_at=now))
    except Rejected as refused:
        return refused.reason
    return None


def _said(event: VendorEvent, declaration: Declaration) -> Iterator[Step]:
    yield Step(f"Event type: {_plain(event.type)}")
    made = event.event_key.startswith("digest:")
    why = ", made of what is signed: there is no ID" if made and declaration.event_id else ""
    yield Step(f"Event ID: {_plain(event.event_key)}{why}")
    yield Step(f"Happened at: {event.occurred_at.isoformat()}")
    for one in event.ignored:
        yield Step(f"Ignored: {one.field}: {one.why}")
    for fact in event.facts:
        fields = ((name, value) for name, value in fact._asdict().items() if value is not None)
        shown = ", ".join(f"{name}={str(value)[:MAX_SHOWN]!r}" for name, value in fields)
        yield Step(f"Counts as {type(fact).__name__.lower()}: {shown}")
    if not event.facts:
        known = event.type in {one.type for one in declaration.events}
        yield Step(
            "Kept, and counts as nothing: "
            + ("its facts lack a value." if known else "no [[vendors.events]] has this type.")
        )


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
    without_line_end = incoming.body.removesuffix(b"\n").removesuffix(b"\r")
    bodies = dict.fromkeys((incoming.body, without_line_end))
    choices = product(KEY_ENCODINGS, ALGORITHMS, ENCODINGS, bodies)
    for key_encoding, algorithm, encoding, body in choices:
        other = {"key_encoding": key_encoding, "algorithm": algorithm, "encoding": encoding}
        changed = declaration.model_copy(update={"authentication": how.model_copy(update=other)})
        if _passes(changed, settings, incoming._replace(body=body)):
            differ = [f'{name} = "{value}"' for name, value in other.items()
                      if value != getattr(how, name)]  # fmt: skip
            if body != incoming.body:
                differ.append("the sample without its last line end")
            yield Step(f"It fits with {' and '.join(differ)}.", passes=False)
            return


def _passes(declaration: Declaration, settings: ReceiverSettings, incoming: Incoming) -> bool:
    try:
        vendor = served(declaration, settings)
        if vendor is None:
            return False
        vendor.authenticate(incoming)
    except (SettingsError, Rejected):
        return False
    return True
