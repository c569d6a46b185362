"""The steps of one delivery: read → authenticate → parse → write → respond."""

import asyncio
import hashlib
import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache
from hmac import compare_digest
from secrets import token_bytes
from time import perf_counter
from typing import NamedTuple, Self

import structlog
from pydantic_core import to_json
from starlette.types import Receive, Scope, Send

from receiver.errors import StoreUnavailable
from receiver.metrics import Metrics
from receiver.reading import BodyReader, CutOff, TooLarge
from receiver.store import Entry, Quarantined, Written
from receiver.vendors.base import (
    Claims,
    Ignored,
    Incoming,
    Rejected,
    SecretDigest,
    Unreadable,
    Vendor,
)
from receiver.writer import Writer
from shared.outcomes import HAS_EVENT, STATUS, VERIFIED, Kind, Outcome, Sender
from shared.settings import ReceiverSettings

RETRY_AFTER_SEC = 30
SALT_BYTES = 16
TRIAL = "x-repboard-trial"
"""The header of a test of our own."""
SHARE_OF_UNVERIFIED = 2
"""Unverified deliveries may use half of the writer's queue."""
MAX_UNVERIFIED = 65_536
"""A body with a wrong signature, credential or address is parsed up to this many bytes."""
AUTHENTIC = (Outcome.UNREADABLE, Outcome.WRONG_COMPANY)
CONTENT: dict[Outcome, dict[str, object]] = {
    Outcome.ACCEPTED: {"received": True},
    Outcome.DUPLICATE: {"duplicate": True},
    Outcome.UNREADABLE: {"received": True, "quarantined": True},
}

log = structlog.get_logger()


class Answer(NamedTuple):
    """A JSON response."""

    status: int
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...]

    @classmethod
    def of(cls, status: int, content: Mapping[str, object], **more: str) -> Self:
        body = to_json(content)
        named = {"content-type": "application/json", "content-length": str(len(body))} | more
        headers = ((name.replace("_", "-"), value) for name, value in named.items())
        return cls(status, body, tuple((name.encode(), value.encode()) for name, value in headers))

    async def send(self, send: Send) -> None:
        head = {"type": "http.response.start", "status": self.status, "headers": self.headers}
        await send(head)
        await send({"type": "http.response.body", "body": self.body})


ANSWERS: Mapping[Outcome, Answer] = {
    outcome: Answer.of(status, CONTENT.get(outcome) or {"received": False, "error": outcome})
    for outcome, status in STATUS.items()
}
LATER = Answer.of(503, {"received": False}, retry_after=str(RETRY_AFTER_SEC))
# The unread rest of a body must not be read as the next request.
LATER_AND_CLOSE = Answer.of(
    503, {"received": False}, retry_after=str(RETRY_AFTER_SEC), connection="close"
)


Respond = Callable[[Answer], object]


class Unverified:
    """The share of the writer's queue for unverified deliveries: a flood of them leaves room for
    the vendors. Counts waiting deliveries and bytes."""

    def __init__(self, max_deliveries: int, max_bytes: int) -> None:
        self._deliveries = max(1, max_deliveries)
        self._bytes = max_bytes

    def take_room(self, entry: Entry) -> Callable[[], None]:
        """Reserve room for `entry` if it is unverified. Returns what gives the room back. Raises
        StoreUnavailable."""
        if entry.outcome in (Outcome.ACCEPTED, *AUTHENTIC):
            return _nothing
        size = entry.body_bytes if entry.quarantined else 0
        if not self._deliveries or size > self._bytes:
            raise StoreUnavailable("too many unverified deliveries are waiting")
        self._change(-1, -size)
        return lambda: self._change(1, size)

    def _change(self, deliveries: int, size: int) -> None:
        self._deliveries += deliveries
        self._bytes += size


def _nothing() -> None:
    """Nothing to give back."""


class Pipeline:
    """Receives requests for any vendor."""

    def __init__(
        self, settings: ReceiverSettings, writer: Writer, metrics: Metrics, trial_pass: str
    ) -> None:
        self.max_body = settings.max_body_bytes
        """The most bytes of a body."""
        self._reader = BodyReader(
            settings.max_body_bytes, settings.max_waiting_bytes, metrics.bytes_under_way.set
        )
        self._hops = settings.trusted_proxy_hops
        self._writer = writer
        self._unverified = Unverified(
            settings.max_waiting_deliveries // SHARE_OF_UNVERIFIED,
            settings.max_waiting_bytes // SHARE_OF_UNVERIFIED,
        )
        self._metrics = metrics
        self._logs_accepted = settings.receiver_log_accepted
        self._trial_pass = trial_pass.encode()

    async def take(self, vendor: Vendor, scope: Scope, receive: Receive) -> Answer:
        """The response to one request. No bytes of a sender make it raise."""
        started = perf_counter()
        incoming = self._incoming(scope["headers"], scope["client"])
        try:
            body = await self._reader.read(incoming.headers, receive, incoming.peer)
        except CutOff as error:
            return self._unread(vendor, incoming.peer, error.reason)
        except TooLarge as error:
            entry = _too_large(vendor, incoming, error.size, self.max_body)
        else:
            entry = judge(vendor, incoming._replace(body=body))
        response: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()

        def respond(answer: Answer) -> None:
            if not response.done():  # its task was cancelled
                response.set_result(answer)

        self._store(entry, incoming.headers, started, respond)
        return await response

    def take_whole(
        self,
        vendor: Vendor,
        headers: Iterable[tuple[bytes, bytes]],
        client: tuple[str, int] | None,
        body: bytes,
        respond: Respond,
    ) -> None:
        """The same for a request that has arrived, with up to `max_body` bytes: neither a task nor
        a timer is needed to read it."""
        started = perf_counter()
        incoming = self._incoming(headers, client)._replace(body=body)
        self._store(judge(vendor, incoming), incoming.headers, started, respond)

    def _incoming(
        self, raw: Iterable[tuple[bytes, bytes]], client: tuple[str, int] | None
    ) -> Incoming:
        headers = joined(raw)
        address = peer(client and client[0], headers.get("x-forwarded-for", b""), self._hops)
        return Incoming(headers, b"", address, datetime.now(UTC))

    def _store(
        self, entry: Entry, headers: Mapping[str, bytes], started: float, respond: Respond
    ) -> None:
        if TRIAL in headers and compare_digest(headers[TRIAL], self._trial_pass):
            self._try_out(replace(entry, trial=True), respond)
        else:
            self._write(entry, started, respond)

    def _unread(self, vendor: Vendor, address: str | None, reason: str) -> Answer:
        """Nothing is stored: the vendor must send the delivery again."""
        self._metrics.not_stored.labels(vendor.slug).inc()
        log.warning(
            "delivery",
            vendor=vendor.slug,
            outcome="cut_off",
            status=503,
            remote_ip=address,
            problem=reason,
        )
        return LATER_AND_CLOSE

    def _try_out(self, entry: Entry, respond: Respond) -> None:
        """Respond to a test of our own: as usual, with the reason. It is no delivery, so it is
        neither counted nor logged."""

        def answer(written: Written | StoreUnavailable) -> None:
            if isinstance(written, StoreUnavailable):
                reason = f"Not stored: {written}."
                respond(Answer.of(503, {"outcome": None, "reason": reason}))
                return
            content = {"outcome": written.outcome, "reason": entry.reason}
            respond(Answer.of(STATUS[written.outcome], content))

        self._writer.put(entry, answer)

    def _write(self, entry: Entry, started: float, respond: Respond) -> None:
        try:
            give_back = self._unverified.take_room(entry)
        except StoreUnavailable as error:
            respond(self._not_stored(entry, started, error))
            return

        def answer(written: Written | StoreUnavailable) -> None:
            give_back()
            if isinstance(written, StoreUnavailable):
                respond(self._not_stored(entry, started, written))
            else:
                respond(self._stored(entry, started, written))

        self._writer.put(entry, answer)

    def _not_stored(self, entry: Entry, started: float, error: StoreUnavailable) -> Answer:
        self._metrics.not_stored.labels(entry.vendor).inc()
        _log(entry, "not_stored", 503, started, problem=str(error))
        return LATER

    def _stored(self, entry: Entry, started: float, written: Written) -> Answer:
        self._metrics.delivered(entry.vendor, written.outcome, perf_counter() - started)
        if entry.event and entry.event.ignored and written.outcome is Outcome.ACCEPTED:
            fields = {one.field for one in entry.event.ignored}
            self._metrics.ignored(entry.vendor, entry.event.type, fields)
        answer = ANSWERS[written.outcome]
        if self._logs_accepted or written.outcome not in HAS_EVENT:
            _log(entry, written.outcome, answer.status, started, delivery_id=written.delivery_id)
        return answer


def judge(vendor: Vendor, incoming: Incoming) -> Entry:
    """What a delivery is. Only the store can tell whether it is a duplicate."""
    try:
        vendor.authenticate(incoming)
        event = vendor.parse(incoming)
    except Rejected as refused:
        return _quarantined(vendor, incoming, refused.outcome, refused.reason)
    except Unreadable as unread:
        return _quarantined(vendor, incoming, Outcome.UNREADABLE, unread.reason)
    return Entry(
        vendor=vendor.slug,
        received_at=incoming.received_at,
        claims=Claims(event.event_key, event.type),
        outcome=Outcome.ACCEPTED,
        reason=_without(event.ignored),
        remote_ip=incoming.peer,
        body_bytes=len(incoming.body),
        event=event,
    )


def _without(ignored: Sequence[Ignored]) -> str | None:
    """The ignored fields of an accepted event, as the reason of its delivery."""
    fields = "; ".join(f"{one.field}: {one.why}" for one in ignored)
    return f"Accepted without {fields}." if fields else None


def _quarantined(vendor: Vendor, incoming: Incoming, outcome: Outcome, reason: str) -> Entry:
    looked_at = incoming if outcome in AUTHENTIC else _without_a_large_body(incoming)
    kind = _kind(vendor, looked_at, outcome)
    digest = _digest(vendor, incoming, outcome)
    return Entry(
        vendor=vendor.slug,
        received_at=incoming.received_at,
        claims=vendor.claims(looked_at),
        outcome=outcome,
        reason=reason,
        remote_ip=incoming.peer,
        body_bytes=len(incoming.body),
        quarantined=Quarantined(_headers_to_keep(vendor, incoming), incoming.body, kind, digest),
        sender=Sender.STRANGER if kind is Kind.JUNK else Sender.VENDOR,
    )


def _without_a_large_body(incoming: Incoming) -> Incoming:
    """The delivery, without a body that is too large to parse unverified. So JSON from a stranger
    costs milliseconds. Real deliveries are smaller, so they are recognised as well-formed."""
    return incoming if len(incoming.body) <= MAX_UNVERIFIED else incoming._replace(body=b"")


def _digest(vendor: Vendor, incoming: Incoming, outcome: Outcome) -> str:
    """The same for repeats, which are quarantined once. Verified deliveries of one event are
    repeats. Unverified ones must be equal in everything that verifies them, or a forged delivery
    could replace the vendor's own."""
    if outcome in VERIFIED:
        return vendor.digest(incoming)
    names = (*vendor.kept_headers, *vendor.secret_headers)
    sent = [incoming.headers.get(name, b"") for name in names]
    whole = hashlib.sha256()
    for part in (*sent, (incoming.peer or "").encode(), incoming.body):
        whole.update(b"%d:%b" % (len(part), part))
    return whole.hexdigest()


def _headers_to_keep(vendor: Vendor, incoming: Incoming) -> dict[str, str]:
    """The headers needed to verify the delivery again. A secret becomes a salted digest."""
    sent = incoming.headers
    kept = {one: sent[one].decode("utf-8", "replace") for one in vendor.kept_headers if one in sent}
    digests = {
        one: str(SecretDigest.of(sent[one], token_bytes(SALT_BYTES)))
        for one in vendor.secret_headers
        if sent.get(one)
    }
    return kept | digests


def _kind(vendor: Vendor, incoming: Incoming, outcome: Outcome) -> Kind:
    """Its worth. If it looks like the vendor's, our settings may be wrong."""
    if outcome is Outcome.UNREADABLE:
        return Kind.AUTHENTIC
    if outcome is Outcome.MISSING_CREDENTIALS:
        return Kind.JUNK
    if outcome in VERIFIED:
        return Kind.WELL_FORMED
    try:
        event = vendor.parse(incoming)
    except Rejected as refused:
        only_the_company = refused.outcome is Outcome.WRONG_COMPANY
        return Kind.WELL_FORMED if only_the_company else Kind.JUNK
    except Unreadable:
        return Kind.JUNK
    # From a wrong address nothing but its facts speaks for the vendor, and `{}` has none.
    empty = outcome is Outcome.IP_NOT_ALLOWED and not event.facts
    return Kind.JUNK if empty else Kind.WELL_FORMED


def _too_large(vendor: Vendor, incoming: Incoming, size: int, limit: int) -> Entry:
    """The body was not read, so a signature over it cannot be verified. Everything else is."""
    try:
        vendor.authenticate(incoming)
    except Rejected as refused:
        signed = refused.outcome is Outcome.BAD_SIGNATURE and vendor.may_be_signed(incoming)
        sender = Sender.VENDOR if signed else Sender.STRANGER
    else:
        sender = Sender.VENDOR
    return Entry(
        vendor=vendor.slug,
        received_at=incoming.received_at,
        claims=vendor.claims(incoming),
        outcome=Outcome.TOO_LARGE,
        reason=f"The body has more than MAX_BODY_BYTES ({limit}).",
        remote_ip=incoming.peer,
        body_bytes=min(size, 2**31 - 1),
        sender=sender,
    )


def _log(entry: Entry, outcome: str, status: int, started: float, **more: object) -> None:
    log.info(
        "delivery",
        vendor=entry.vendor,
        outcome=outcome,
        status=status,
        event_key=entry.claims.event_key,
        event_type=entry.claims.event_type,
        remote_ip=entry.remote_ip,
        body_bytes=entry.body_bytes,
        duration_ms=round((perf_counter() - started) * 1000, 2),
        **more,
    )


def joined(raw: Iterable[tuple[bytes, bytes]]) -> dict[str, bytes]:
    """Headers by lower-case name. Repeated headers are joined, so a second credential never wins.

    Spaces around a value are not part of it (RFC 9110, 5.5), whether or not the server drops them.
    """
    values: dict[str, bytes] = {}
    for raw_name, raw_value in raw:
        name, value = raw_name.decode("latin-1"), raw_value.strip(b" \t")
        values[name] = b"%b, %b" % (values[name], value) if name in values else value
    return values


def peer(client: str | None, forwarded_for: bytes, hops: int) -> str | None:
    """The sender's address: the socket's, or behind `hops` trusted proxies the entry that the
    outermost of them added. Entries count from the right, as any sender can add some on the left.

    An IPv4-mapped IPv6 address is its IPv4 address. None if no address can be trusted.
    """
    entries = [client or "", *reversed(forwarded_for.decode("latin-1").split(","))]
    entry = entries[hops].strip() if hops < len(entries) else ""
    return _address(entry) if len(entry) <= LONGEST_ADDRESS else None


LONGEST_ADDRESS = 80
_WITH_PORT = re.compile(r"\[(.*)\](?::[0-9]{1,5})?|([0-9.]+):[0-9]{1,5}")


@lru_cache(maxsize=1024)
def _address(text: str) -> str | None:
    if found := _WITH_PORT.fullmatch(text):  # some proxies add the sender's port
        text = found[1] or found[2] or ""
    try:
        # A zone after "%" names a network interface, in any characters.
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return str(getattr(address, "ipv4_mapped", None) or address)
