"""A vendor made from its declaration: the same protocol as a vendor's own file."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

from pydantic import SecretBytes, create_model

from receiver.vendors.base import (
    Adapter,
    Claims,
    Incoming,
    Rejected,
    Unreadable,
    VendorEvent,
    VendorSettings,
    event_type_of,
    json_object,
    key_of,
    text_of,
)
from receiver.vendors.declared.authentication import Allowlist, Basic, HeaderValue, Hmac, Jwt
from receiver.vendors.declared.declaration import Declaration
from receiver.vendors.declared.keys import KeyRing
from receiver.vendors.declared.places import InHeader, sent_text
from receiver.vendors.declared.proof import (
    AUTHORIZATION,
    FromAddress,
    Presented,
    Proof,
    Signature,
    basic,
)
from receiver.vendors.declared.reading import Reader, Reading, happened_at
from receiver.vendors.declared.script import Sample, curl
from receiver.vendors.declared.token import Token
from shared.outcomes import Outcome
from shared.retries import Schedule
from shared.setting_types import Base64Keys, HexKeys, Networks, Secrets, SigningKeys
from shared.settings import SHORT, SettingsError, guessable
from shared.vendors import ProgressFields, SetUp, Tolerated, VendorFacts


class DeclaredVendor:
    """The adapter under one installation's values."""

    def __init__(self, reader: Reader, proof: Proof) -> None:
        one = reader.declaration
        self.slug: str = one.slug
        named = [where.name for where in (one.event_id, one.event_type)
                 if isinstance(where, InHeader)]  # fmt: skip
        others = (name for name in named if name not in proof.secret_headers)
        self.kept_headers: Sequence[str] = tuple(dict.fromkeys((*proof.kept_headers, *others)))
        self.secret_headers: Sequence[str] = proof.secret_headers
        self._declaration, self._reader, self._proof = one, reader, proof

    def authenticate(self, incoming: Incoming) -> None:
        self._proof.check(incoming)

    def may_be_signed(self, incoming: Incoming) -> bool:
        return self._proof.may_be_signed(incoming)

    def parse(self, incoming: Incoming) -> VendorEvent:
        content = self._proof.content(incoming)
        body = json_object(content)
        event_type = self._event_type(incoming, body)
        if event_type is None:
            raise Unreadable(f"{self._place_of_type()}: should be the name of an event type.")
        known = self._reader.events.get(event_type)
        reading = known.read(body, incoming.received_at) if known else None
        digest = self.digest(incoming)
        key = self._key(incoming, body, event_type, reading) or f"digest:{digest}"
        own = known.own_time(reading) if known and reading else None
        at = happened_at(own, self.signed_at(incoming), incoming.received_at)
        return VendorEvent(
            event_key=key,
            digest=digest,
            type=event_type,
            company_id=None,
            user_id=known.user_id(reading) if known and reading else None,
            occurred_at=at,
            payload=text_of(content),
            facts=known.facts(reading, key, at) if known and reading else (),
            ignored=reading.ignored if reading else (),
        )

    def digest(self, incoming: Incoming) -> str:
        return hashlib.sha256(self._proof.message(incoming)).hexdigest()

    def claims(self, incoming: Incoming) -> Claims:
        try:
            body = json_object(self._proof.content(incoming))
            event_type = self._event_type(incoming, body)
            if not isinstance(self._declaration.event_id, tuple):
                return Claims(self._key(incoming, body, "", None) or None, event_type)
            known = self._reader.events.get(event_type or "")
            reading = known.read(body, incoming.received_at) if known else None
            return Claims(self._key(incoming, body, event_type or "", reading) or None, event_type)
        except Unreadable:
            where = self._declaration.event_id
            sent = where.value(incoming.headers) if isinstance(where, InHeader) else b""
            return Claims(key_of(sent) or None, None)

    def test_delivery(self, at: datetime, event_id: str) -> tuple[bytes, Mapping[str, str]] | None:
        """Body and headers of the declared sample as an authentic delivery signed at `at`; None
        without a sample, or if only the vendor can sign it."""
        if self._declaration.sample is None:
            return None
        body, sent = Sample(self._declaration, self._declaration.sample).at(at, event_id)
        proof = self._proof.headers(sent, body)
        return None if proof is None else (body, {**sent, **proof})

    def _event_type(self, incoming: Incoming, body: Mapping[str, Any]) -> str | None:
        return event_type_of(sent_text(self._declaration.event_type, incoming, body))

    def _place_of_type(self) -> str:
        where = self._declaration.event_type
        return str(where) if isinstance(where, InHeader) else where.path

    def _key(
        self,
        incoming: Incoming,
        body: Mapping[str, Any],
        event_type: str,
        reading: Reading | None,
    ) -> str:
        """The vendor's ID of an event, or the fields that stand for it; empty without."""
        where = self._declaration.event_id
        if where is None:
            return ""
        if isinstance(where, tuple):
            if reading is None:
                return ""
            return self._reader.joined_key(where, event_type, reading, body)
        if isinstance(where, InHeader):
            return key_of(where.value(incoming.headers))
        return key_of((sent_text(where, incoming, body) or "").encode("utf-8", "replace"))

    @property
    def key_ring(self) -> KeyRing | None:
        """Where the keys of its tokens go; None if it signs none."""
        return self._proof.ring if isinstance(self._proof, Token) else None

    def signed_at(self, incoming: Incoming) -> datetime | None:
        """The time of the signature, if it has one. Raises Unreadable."""
        return self._proof.signed_at(incoming) if isinstance(self._proof, Signature) else None

    def issued_at(self, incoming: Incoming) -> datetime | None:
        """When the signature or token of a delivery was made, if it says so. Raises Unreadable."""
        if isinstance(self._proof, Token):
            return self._proof.issued_at(incoming)
        return self.signed_at(incoming)


class DeclaredSettings(VendorSettings):
    """The settings of a declared vendor: one variable, with its secrets or addresses."""

    reader: ClassVar[Reader]
    variable: ClassVar[str]

    def vendor(self) -> DeclaredVendor | None:
        values = getattr(self, self.variable.lower())
        if not values:
            return None
        return DeclaredVendor(self.reader, _proof(self.reader.declaration, values))

    def weaknesses(self) -> Iterator[str]:
        values = getattr(self, self.variable.lower())
        if isinstance(self.reader.declaration.authentication, Allowlist | Jwt):
            return  # no secrets
        cure = f"have {self.reader.declaration.name} use a longer one"
        texts = [one for one in values if not isinstance(one, SecretBytes)]
        yield from guessable(self.variable, texts, cure)
        if any(len(one) < SHORT for one in values if isinstance(one, SecretBytes)):
            yield f"{self.variable} has fewer than {SHORT} bytes and could be guessed: {cure}"

    def facts(self) -> VendorFacts:
        return _facts(self.reader)


def _proof(one: Declaration, values: Sequence[Any]) -> Proof:
    how = one.authentication
    if isinstance(how, Allowlist):
        return FromAddress(how.addresses, values)
    if isinstance(how, Hmac):
        return Signature(one, how, [_bytes(value.get_secret_value()) for value in values])
    texts = [value.get_secret_value() for value in values]
    if isinstance(how, Jwt):
        return Token(one, how, texts)
    if isinstance(how, Basic):
        return Presented(one, how, AUTHORIZATION, [basic(how.user, text) for text in texts])
    return Presented(one, how, how.header, [text.encode() for text in texts])


def _bytes(secret: str | bytes) -> bytes:
    return secret.encode() if isinstance(secret, str) else secret


def _kind_of_setting(one: Declaration) -> Any:
    how = one.authentication
    if isinstance(how, Allowlist):
        return Networks
    encodings = {"text": Secrets, "whsec": SigningKeys, "hex": HexKeys, "base64": Base64Keys}
    return encodings[how.key_encoding if isinstance(how, Hmac) else "text"]


def adapter_of(one: Declaration) -> Adapter:
    """The adapter of a declared vendor."""
    reader = Reader(one)
    variable = one.authentication.variable
    own: dict[str, Any] = {variable.lower(): (_kind_of_setting(one), ())}
    kind = create_model("DeclaredSettingsOf", __base__=DeclaredSettings, **own)
    kind.reader, kind.variable = reader, variable
    return Adapter(one.slug, variable.lower(), kind, reader.kept_facts)


def declared(declarations: Sequence[Declaration], path: Path) -> Mapping[str, Adapter]:
    """The adapters of declared vendors. Raises SettingsError, a line for each sample that is no
    delivery of its vendor."""
    problems = [f"{path}: {one.slug}: {line}" for one in declarations for line in _sample(one)]
    if problems:
        raise SettingsError("\n".join(problems))
    return {one.slug: adapter_of(one) for one in declarations}


def _sample(one: Declaration) -> Iterator[str]:
    """What is wrong with the sample of a declaration."""
    if one.sample is None:
        return
    try:
        body, sent = Sample(one, one.sample).at(datetime.now(UTC), "test")
        incoming = Incoming(
            {name: value.encode() for name, value in sent.items()}, body, None, datetime.now(UTC)
        )
        DeclaredVendor(Reader(one), FromAddress("", ())).parse(incoming)
    except (Unreadable, Rejected) as wrong:
        yield f"sample: {wrong.reason}"


def _facts(reader: Reader) -> VendorFacts:
    one = reader.declaration
    how = one.authentication
    header = how.header if isinstance(how, Hmac | HeaderValue | Jwt) else AUTHORIZATION
    return VendorFacts(
        slug=one.slug,
        name=one.name,
        schedule=Schedule.of(one.retry_delays, one.retry_reading),
        suspend_after=timedelta(seconds=one.suspend_after) if one.suspend_after else None,
        tolerated=Tolerated(one.suspend_failures, one.suspend_timeouts)
        if one.suspend_failures and one.suspend_timeouts
        else None,
        reactivate=one.reactivate
        or f"See at {one.name} whether the webhook is still on, and turn it on again.",
        cures=_cures(one),
        set_up=SetUp(
            how.variable,
            one.where or f"Enter this address at {one.name}, as the endpoint of a webhook:",
            tuple(reader.events) if len(reader.events) > 1 else (),
            curl(one),
        ),
        secret_headers=() if isinstance(how, Allowlist) or header is None else (header,),
        roster_event=_first(reader, "provisioned"),
        timed_by_signing=_timed_by_signing(reader),
        progress=_progress(reader),
        fields={name: one.fields() for name, one in reader.events.items()},
    )


def _cures(one: Declaration) -> Mapping[Outcome, str]:
    how = one.authentication
    if isinstance(how, Allowlist):
        return {
            Outcome.IP_NOT_ALLOWED: "See whose address it is. That of your proxy: never list it, "
            "as then every sender is accepted. Correct TRUSTED_PROXY_HOPS and restart the receiver "
            "before the last retry: only a retry recovers these, no replay. A new address of "
            f"{one.name}, by its own word: add it to {how.addresses} beside the others, restart "
            "the receiver, then replay."
        }
    if isinstance(how, Jwt):
        return {
            Outcome.BAD_SIGNATURE: f"See whether this machine can fetch {how.keys}. Its keys are "
            "fetched every hour, and within a minute after a token names an unknown one. "
            "Deliveries that waited for a key are replayed then.",
            Outcome.WRONG_COMPANY: f"If the account is yours, add it to {how.accounts}, restart "
            "the receiver, then replay. If not, another customer of the vendor sends to this "
            "address.",
            Outcome.MISSING_CREDENTIALS: f"If they are the vendor's, turn on the signing of "
            f"payloads at {one.name}.",
        }
    wrong = Outcome.BAD_SIGNATURE if isinstance(how, Hmac) else Outcome.WRONG_CREDENTIALS
    return {
        wrong: f"Copy the new secret from {one.name} into {how.secret}, beside the old one, "
        "restart the receiver, then replay."
    }


def _first(reader: Reader, kind: str) -> str | None:
    events = reader.declaration.events
    return next((e.type for e in events if any(f.kind == kind for f in e.facts)), None)


def _timed_by_signing(reader: Reader) -> tuple[str, ...]:
    if reader.declaration.timestamp is None:
        return ()
    return tuple(name for name, one in reader.events.items() if not one.has_own_time())


def _progress(reader: Reader) -> ProgressFields | None:
    """Where the first event with a progress has it, if it is at plain paths."""
    for event in reader.declaration.events:
        for fact in event.facts:
            fields = fact.fields() if fact.kind == "progressed" else {}
            plain = {name: ".".join(at.names) for name, at in fields.items() if at.names}
            if {"module_id", "progress_pct"} <= plain.keys():
                name = plain.get("module_name", plain["module_id"])
                return ProgressFields(event.type, plain["module_id"], name, plain["progress_pct"])
    return None
