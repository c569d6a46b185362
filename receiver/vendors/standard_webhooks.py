"""Standard Webhooks: any sender that signs as https://www.standardwebhooks.com specifies.

Senders built on Svix send the same headers as `svix-id`, `svix-timestamp` and `svix-signature`, in
place of `webhook-…` or beside them.

The specification's Python package only signs, in the tests. It cannot verify here:
- It reads the clock itself, so a replay could not verify a delivery as of its arrival.
- It raises other errors for a body that is not UTF-8, a token without a comma or odd base64.
- It verifies the number it parsed from the timestamp, so `1_763_800_200.9` passes as the
  `1763800200` that was signed.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from pydantic import TypeAdapter, ValidationError

from receiver.vendors.base import (
    FROM_ENV,
    MAX_ID,
    Adapter,
    Claims,
    Incoming,
    KeptEvent,
    Rejected,
    Unreadable,
    VendorEvent,
    VendorSettings,
    event_type_of,
    hmac_sha256,
    json_object,
    key_of,
    text_of,
)
from receiver.vendors.fields import Email, Time, by_arrival, in_utc
from shared.facts import Acted, Fact, person_of
from shared.outcomes import Outcome
from shared.retries import Schedule
from shared.setting_types import Delays, SigningKeys
from shared.vendors import SetUp, VendorFacts

SLUG = "standard-webhooks"
ID = "webhook-id"
TIMESTAMP = "webhook-timestamp"
SIGNATURE = "webhook-signature"
STANDARD = (ID, TIMESTAMP, SIGNATURE)
SVIX = ("svix-id", "svix-timestamp", "svix-signature")
UNKNOWN = "unknown"
TOLERANCE = timedelta(minutes=5)
"""Both ways, and no setting: each retry has a new signature, so an old one is captured."""
SHORT_KEY = 24
"""Bytes that the specification asks a secret to have at least."""

_SIGNATURES = re.compile(rb"[^ ,]+,[^ ,]+(?: [^ ,]+,[^ ,]+)*")
_TIME: TypeAdapter[datetime] = TypeAdapter(Time)
_EMAIL: TypeAdapter[str | None] = TypeAdapter(Email)


class Signed(NamedTuple):
    """What the three headers say."""

    id: bytes
    timestamp: bytes
    signature: bytes


class StandardWebhooks:
    """The adapter under one installation's keys; several are valid during a rotation."""

    slug: str = SLUG
    kept_headers: Sequence[str] = (*STANDARD, *SVIX)
    secret_headers: Sequence[str] = ()

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._keys = keys

    def authenticate(self, incoming: Incoming) -> None:
        sent = _agreed(incoming)
        if b"." in sent.id:
            # The signed text could be cut into another id, time and body.
            raise Rejected(
                Outcome.BAD_SIGNATURE,
                "The ID in the headers has a dot in it, and the specification allows no dot in an "
                "id. The sender must use other IDs; a new secret does not help.",
            )
        if not self._is_signed(sent, incoming.body):
            raise Rejected(
                Outcome.BAD_SIGNATURE,
                "No signature fits a configured secret. If the secret was changed, copy the new "
                "one from the sender into STANDARD_WEBHOOKS_SECRET and restart.",
            )
        if abs(incoming.received_at - _signed_at(sent)) > TOLERANCE:
            raise Rejected(
                Outcome.STALE_TIMESTAMP,
                "Signed more than 5 minutes before or after its arrival. Check this machine's "
                "clock. The sender's next retry has a new signature.",
            )

    def _is_signed(self, sent: Signed, body: bytes) -> bool:
        """Whether one of the signatures is right. A token is compared as sent: of several base64
        spellings of a signature, only one passes."""
        # Repeated headers arrive joined by ", ", which no list of signatures has in it.
        if not _SIGNATURES.fullmatch(sent.signature):
            return False
        expected = [sign(key, _message(sent, body)) for key in self._keys]
        tokens = sent.signature.split(b" ")
        hits = [hmac.compare_digest(one, token) for token in tokens for one in expected]
        return any(hits)

    def may_be_signed(self, incoming: Incoming) -> bool:
        try:
            sent = _agreed(incoming)
            apart = abs(incoming.received_at - _signed_at(sent))
        except Rejected:
            return False
        return apart <= TOLERANCE and bool(_SIGNATURES.fullmatch(sent.signature))

    def parse(self, incoming: Incoming) -> VendorEvent:
        body, sent = json_object(incoming.body), _sent(incoming)
        key, event_type = key_of(sent.id), _event_type(body) or UNKNOWN
        at = by_arrival(_own_time(body) or _signed_at(sent), incoming.received_at)
        return VendorEvent(
            event_key=key,
            digest=self.digest(incoming),
            type=event_type,
            company_id=None,
            user_id=None,
            occurred_at=at,
            payload=text_of(incoming.body),
            facts=_facts(body, key, event_type, at),
        )

    def digest(self, incoming: Incoming) -> str:
        return hashlib.sha256(_message(_sent(incoming), incoming.body)).hexdigest()

    def claims(self, incoming: Incoming) -> Claims:
        try:
            claimed = _event_type(json_object(incoming.body))
        except Unreadable:
            claimed = None
        return Claims(key_of(_sent(incoming).id) or None, claimed)


def sign(key: bytes, message: bytes) -> bytes:
    """One token of the signature header."""
    return b"v1," + base64.b64encode(hmac_sha256(key, message))


def _sent(incoming: Incoming) -> Signed:
    """The headers under the names of which some are there; empty ones count as absent."""
    headers = incoming.headers
    names = STANDARD if any(map(headers.get, STANDARD)) else SVIX
    return Signed(*(headers.get(name, b"") for name in names))


def _agreed(incoming: Incoming) -> Signed:
    """The headers of a delivery that has all of them, and the same under both names if it has both:
    else one set could pass and another be read. Raises Rejected."""
    headers = incoming.headers
    used = [names for names in (STANDARD, SVIX) if any(map(headers.get, names))] or [STANDARD]
    for name in (name for names in used for name in names):
        if not headers.get(name):
            raise Rejected(
                Outcome.MISSING_CREDENTIALS,
                f"No {name} header. Standard Webhooks always have one: this is another sender, "
                "or a proxy removes it.",
            )
    one, *others = (Signed(*(headers[name] for name in names)) for names in used)
    if any(other != one for other in others):
        raise Rejected(
            Outcome.BAD_SIGNATURE,
            "The webhook-… and svix-… headers differ. A sender that sends both sends the same "
            "values; a proxy may have changed one.",
        )
    return one


def _message(sent: Signed, body: bytes) -> bytes:
    """What is signed."""
    return b".".join((sent.id, sent.timestamp, body))


def _signed_at(sent: Signed) -> datetime:
    """Whole seconds since 1970, in digits only."""
    try:
        if re.fullmatch(rb"[0-9]{1,12}", sent.timestamp):
            return in_utc(datetime.fromtimestamp(int(sent.timestamp), UTC))
    except (ValueError, OverflowError, OSError):
        pass
    raise Rejected(
        Outcome.STALE_TIMESTAMP, "The timestamp header is no plausible number of seconds."
    )


def _event_type(body: dict[str, Any]) -> str | None:
    return event_type_of(body.get("type")) or event_type_of(body.get("event"))


def _own_time(body: dict[str, Any]) -> datetime | None:
    """When the event happened, where the body says so in a way that can be true."""
    sent = body.get("timestamp")
    try:
        return _TIME.validate_python(sent) if isinstance(sent, str) else None
    except ValidationError:
        return None


PERSON_FIELDS = ("owner", "user", "learner", "rep", "host", "assignee", "employee", "email")
"""Where senders name the person of the company, first; a bare e-mail can be a customer's, who is no
learner and so scores nothing."""


def kept_facts(event: KeptEvent) -> Sequence[Fact]:
    """That the person did it, if the body names one by e-mail. What a type means is the sender's
    affair: a company gives it points, or not."""
    body = json_object(event.payload.encode())
    return _facts(body, event.event_key, event.type, event.occurred_at)


def _facts(body: dict[str, Any], key: str, event_type: str, at: datetime) -> Sequence[Fact]:
    person = _person(body.get("data")) or _person(body)
    return (Acted(SLUG, key, person, event_type, at),) if person and event_type != UNKNOWN else ()


def _person(named: Any) -> str | None:
    """The e-mail address under one of the fields, `owner` or `ownerEmail` or `owner.email`."""
    if not isinstance(named, dict):
        return None
    for field in PERSON_FIELDS:
        for value in (named.get(field), named.get(f"{field}Email"), named.get(f"{field}_email")):
            sent = value.get("email") if isinstance(value, dict) else value
            if isinstance(sent, str) and len(sent) <= MAX_ID and "\0" not in sent:
                person = person_of(SLUG, "", _EMAIL.validate_python(sent))
                if "@" in person:
                    return person
    return None


class StandardWebhooksSettings(VendorSettings):
    standard_webhooks_secret: SigningKeys = ()
    standard_webhooks_retry_delays: Delays = (
        5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400,
    )  # fmt: skip
    """Seconds between attempts, of the example in the specification; each sender has its own."""

    def vendor(self) -> StandardWebhooks | None:
        keys = [key.get_secret_value() for key in self.standard_webhooks_secret]
        return StandardWebhooks(keys) if keys else None

    def weaknesses(self) -> Iterator[str]:
        if any(len(key) < SHORT_KEY for key in self.standard_webhooks_secret):
            yield (
                f"STANDARD_WEBHOOKS_SECRET has fewer than {SHORT_KEY} bytes and could be guessed: "
                'enter the output of `echo "whsec_$(openssl rand -base64 32)"` at the sender and '
                "here"
            )

    def facts(self) -> VendorFacts:
        return VendorFacts(
            slug=SLUG,
            name="Standard Webhooks",
            schedule=Schedule.of(self.standard_webhooks_retry_delays, "gaps"),
            suspend_after=None,  # each sender has a rule of its own
            reactivate="Senders may turn off an address that fails for days: check there whether "
            "it is still on.",
            cures={
                Outcome.BAD_SIGNATURE: "Copy the new secret (whsec_…) from the sender into "
                "STANDARD_WEBHOOKS_SECRET, beside the old one, restart the receiver, then replay.",
                Outcome.STALE_TIMESTAMP: "Set this machine's clock by NTP before the last retry: "
                "Standard Webhooks allow five minutes either way, which no setting changes, so "
                "only the sender's retries recover these, no replay.",
            },
            set_up=SetUp(
                "STANDARD_WEBHOOKS_SECRET",
                "Enter this address at the sender, as the endpoint of a webhook:",
                curl=CURL,
            ),
            secret_headers=(SIGNATURE, SVIX[-1]),
        )


CURL = (
    FROM_ENV
    + """\
secret=$(setting STANDARD_WEBHOOKS_SECRET)
key=${secret%%,*}
key=${key#whsec_}
while [ $((${#key} % 4)) -ne 0 ]; do key="$key="; done
key=$(printf %s "$key" | openssl base64 -d -A | od -An -v -tx1 | tr -d ' \\n')
body='{"type": "deal.won", "data": {"id": "d-1"}}'
at=$(date +%s)
signature=$(printf '%s.%s.%s' "first-$at" "$at" "$body" |
  openssl dgst -sha256 -mac HMAC -macopt "hexkey:$key" -binary | openssl base64 -A)
curl -sS "$url" -H 'content-type: application/json' \\
  -H "webhook-id: first-$at" -H "webhook-timestamp: $at" \\
  -H "webhook-signature: v1,$signature" --data-binary "$body"
"""
)
ADAPTER = Adapter(SLUG, "standard_webhooks_secret", StandardWebhooksSettings, kept_facts)
