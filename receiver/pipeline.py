"""The way of one delivery: read → authenticate → parse → write → answer."""

import ipaddress
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import lru_cache
from secrets import token_bytes
from time import perf_counter

import structlog
from fastapi import Request, Response
from fastapi.responses import JSONResponse

from receiver.errors import StoreUnavailable
from receiver.metrics import Metrics
from receiver.reading import BodyReader, CutOff, TooLarge
from receiver.store import Entry, Held, Written
from receiver.vendors.base import Claims, Incoming, Rejected, SecretDigest, Unreadable, Vendor
from receiver.writer import Writer
from shared.outcomes import STATUS, Kind, Outcome
from shared.settings import ReceiverSettings

RETRY_AFTER_SEC = 30
SALT_BYTES = 16
ANSWERS: dict[Outcome, dict[str, object]] = {
    Outcome.ACCEPTED: {"received": True},
    Outcome.DUPLICATE: {"duplicate": True},
    Outcome.UNREADABLE: {"received": True, "quarantined": True},
}

log = structlog.get_logger()


class Pipeline:
    """Takes requests in, for any vendor."""

    def __init__(self, settings: ReceiverSettings, writer: Writer, metrics: Metrics) -> None:
        self._max_body = settings.max_body_bytes
        self._reader = BodyReader(settings.max_body_bytes, settings.max_waiting_bytes)
        self._hops = settings.trusted_proxy_hops
        self._writer = writer
        self._metrics = metrics

    async def take(self, vendor: Vendor, request: Request) -> Response:
        """Answer one request. Never raises for any bytes that anyone can send."""
        started = perf_counter()
        headers = joined(request.scope["headers"])
        client = request.client.host if request.client else None
        address = peer(client, headers.get("x-forwarded-for", b""), self._hops)
        incoming = Incoming(headers, b"", address, datetime.now(UTC))
        try:
            body = await self._reader.read(request)
        except (CutOff, StoreUnavailable) as error:
            return self._unread(vendor, address, error)
        except TooLarge as error:
            entry = _too_large(vendor, incoming, error.size, self._max_body)
        else:
            entry = judge(vendor, incoming._replace(body=body))
        return await self._write(entry, started)

    def _unread(self, vendor: Vendor, address: str | None, error: Exception) -> Response:
        """There is nothing to keep: the vendor must send it again."""
        self._metrics.not_stored.labels(vendor.slug).inc()
        outcome = "cut_off" if isinstance(error, CutOff) else "not_stored"
        log.warning("delivery", vendor=vendor.slug, outcome=outcome, status=503, remote_ip=address)
        answer = _later()
        answer.headers["connection"] = "close"  # what is left of the body is no next request
        return answer

    async def _write(self, entry: Entry, started: float) -> Response:
        try:
            written = await self._writer.write(entry)
        except StoreUnavailable as error:
            self._metrics.not_stored.labels(entry.vendor).inc()
            _log(entry, "not_stored", 503, started, problem=str(error))
            return _later()
        status = STATUS[written.outcome]
        self._metrics.deliveries.labels(entry.vendor, written.outcome).inc()
        self._metrics.seconds.labels(entry.vendor).observe(perf_counter() - started)
        _log(entry, written.outcome, status, started, delivery_id=written.delivery_id)
        return _answer(written)


def judge(vendor: Vendor, incoming: Incoming) -> Entry:
    """What a delivery is, before the store has been asked whether it is a duplicate."""
    try:
        vendor.authenticate(incoming)
        event = vendor.parse(incoming)
    except Rejected as refused:
        return _kept_back(vendor, incoming, refused.outcome, refused.reason)
    except Unreadable as unread:
        return _kept_back(vendor, incoming, Outcome.UNREADABLE, unread.reason)
    return Entry(
        vendor=vendor.slug,
        received_at=incoming.received_at,
        claims=Claims(event.event_key, event.type),
        outcome=Outcome.ACCEPTED,
        reason=None,
        remote_ip=incoming.peer,
        body_bytes=len(incoming.body),
        event=event,
    )


def _kept_back(vendor: Vendor, incoming: Incoming, outcome: Outcome, reason: str) -> Entry:
    return Entry(
        vendor=vendor.slug,
        received_at=incoming.received_at,
        claims=vendor.claims(incoming),
        outcome=outcome,
        reason=reason,
        remote_ip=incoming.peer,
        body_bytes=len(incoming.body),
        held=Held(_to_keep(vendor, incoming), incoming.body, _kind(vendor, incoming, outcome)),
    )


def _to_keep(vendor: Vendor, incoming: Incoming) -> dict[str, str]:
    """The headers that it takes to verify the delivery again; of a secret only a digest."""
    sent = incoming.headers
    kept = {one: sent[one].decode("utf-8", "replace") for one in vendor.kept_headers if one in sent}
    digests = {
        one: str(SecretDigest.of(sent[one], token_bytes(SALT_BYTES)))
        for one in vendor.secret_headers
        if sent.get(one)
    }
    return kept | digests


def _kind(vendor: Vendor, incoming: Incoming, outcome: Outcome) -> Kind:
    """What it may be worth: if it reads like the vendor's, our own settings may be at fault."""
    if outcome is Outcome.UNREADABLE:
        return Kind.AUTHENTIC
    if outcome is Outcome.MISSING_CREDENTIALS:
        return Kind.JUNK
    try:
        vendor.parse(incoming)
    except Rejected as refused:
        only_the_company = refused.outcome is Outcome.WRONG_COMPANY
        return Kind.WELL_FORMED if only_the_company else Kind.JUNK
    except Unreadable:
        return Kind.JUNK
    return Kind.WELL_FORMED


def _too_large(vendor: Vendor, incoming: Incoming, size: int, limit: int) -> Entry:
    return Entry(
        vendor=vendor.slug,
        received_at=incoming.received_at,
        claims=vendor.claims(incoming),
        outcome=Outcome.TOO_LARGE,
        reason=f"The body has more than MAX_BODY_BYTES ({limit}).",
        remote_ip=incoming.peer,
        body_bytes=min(size, 2**31 - 1),
    )


def _later() -> Response:
    return JSONResponse({"received": False}, 503, headers={"retry-after": str(RETRY_AFTER_SEC)})


def _answer(written: Written) -> Response:
    content = ANSWERS.get(written.outcome) or {"received": False, "error": written.outcome}
    return JSONResponse(content, STATUS[written.outcome])


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
    """Headers by lower-case name. A repeated one is joined, so a second credential never wins."""
    headers: dict[str, bytes] = {}
    for name, value in raw:
        key = name.decode("latin-1")
        headers[key] = headers[key] + b", " + value if key in headers else value
    return headers


def peer(client: str | None, forwarded_for: bytes, hops: int) -> str | None:
    """The address that counts: the socket's, or behind `hops` trusted proxies the entry that the
    outermost of them wrote, counted from the right, as anybody can write further left.

    An IPv4-mapped IPv6 address is its IPv4 address; None where there is no address to trust.
    """
    entries = [client or "", *reversed(forwarded_for.decode("latin-1").split(","))]
    entry = entries[hops].strip() if hops < len(entries) else ""
    return _address(entry) if len(entry) <= LONGEST_ADDRESS else None


LONGEST_ADDRESS = 80
_WITH_PORT = re.compile(r"\[(.*)\](?::[0-9]{1,5})?|([0-9.]+):[0-9]{1,5}")


@lru_cache(maxsize=1024)
def _address(text: str) -> str | None:
    if found := _WITH_PORT.fullmatch(text):  # some proxies write the caller's port as well
        text = found[1] or found[2] or ""
    try:
        # What follows a "%" names a network card of somebody's, in any characters at all.
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return str(getattr(address, "ipv4_mapped", None) or address)
