"""MindTickle: six event types, signed with HMAC-SHA256 over timestamp, colon and raw body.

Its names are known from one guide only, so they are in `mindtickle.toml`, and an installation can
change each of them.
"""

import hashlib
import hmac
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from shlex import quote
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from receiver.vendors.base import (
    FROM_ENV,
    Adapter,
    Claims,
    Incoming,
    Rejected,
    Unreadable,
    VendorEvent,
    VendorSettings,
    age_complaint,
    hmac_sha256,
    json_object,
    key_of,
    short_text,
    text_of,
)
from receiver.vendors.declared.names import Names
from receiver.vendors.declared.places import fields_in
from receiver.vendors.declared.script import ENCODED, NOW, message_in_shell, written_time
from receiver.vendors.fields import by_arrival, signed_time
from receiver.vendors.mindtickle.contract import (
    EVENT_TYPES,
    NAMES,
    PROGRESSED,
    PUBLISHED,
    SLUG,
    TABLE,
    Contract,
)
from shared.facts import trimmed
from shared.outcomes import Outcome
from shared.retries import Schedule
from shared.setting_types import AccountId, ApiToken, ApiUrl, Delays, Secrets
from shared.settings import TEN_YEARS_SEC, Tolerances, guessable
from shared.vendors import ProgressFields, SetUp, VendorFacts

NO_LEARNER = "repboard-test"
SIGNATURE = NAMES.headers.signature
TIMESTAMP = NAMES.headers.timestamp
EVENT_ID = NAMES.headers.event_id


class MindTickle:
    """The adapter under one installation's secrets. Several secrets are valid during a rotation.
    `past` and `future` are tolerances in seconds."""

    slug: str = SLUG
    secret_headers: Sequence[str] = ()

    def __init__(
        self,
        secrets: Sequence[bytes],
        company_id: str | None,
        past: int,
        future: int,
        contract: Contract = PUBLISHED,
    ) -> None:
        self._secrets = secrets
        self._company_id = company_id and trimmed(company_id)
        self._past = past
        self._future = future
        self._contract = contract
        headers = self._headers = self._contract.names.headers
        self.kept_headers: Sequence[str] = (headers.signature, headers.timestamp, headers.event_id)

    def authenticate(self, incoming: Incoming) -> None:
        signature = incoming.headers.get(self._headers.signature)
        if not signature or not incoming.headers.get(self._headers.timestamp):
            missing = self._headers.timestamp if signature else self._headers.signature
            raise Rejected(
                Outcome.MISSING_CREDENTIALS,
                f"No {missing} header. MindTickle always sends one: this is another sender, "
                "or a proxy removes it.",
            )
        self._contract.text.require_one_reading(incoming.headers)
        message = self._contract.text.of(incoming.headers, incoming.body)
        expected = (self._contract.sign(secret, message) for secret in self._secrets)
        if not any(hmac.compare_digest(one, signature) for one in expected):
            raise Rejected(
                Outcome.BAD_SIGNATURE,
                "The signature fits no configured secret. If the secret was rotated, copy the new "
                "one from Admin > Integrations into MINDTICKLE_WEBHOOK_SECRET and restart.",
            )
        if late := self._complaint(self._signed_at(incoming), incoming.received_at):
            raise Rejected(Outcome.STALE_TIMESTAMP, late)

    def _complaint(self, signed_at: datetime, received_at: datetime) -> str | None:
        return age_complaint(signed_at, received_at, self._past, self._future)

    def _signed_at(self, incoming: Incoming) -> datetime:
        """Epoch seconds, epoch milliseconds or ISO 8601 with seconds; anything else is refused."""
        sent = incoming.headers.get(self._headers.timestamp, b"")
        if (at := signed_time(sent, self._contract.names.signature.time)) is None:
            raise Rejected(
                Outcome.STALE_TIMESTAMP,
                f"The {self._headers.timestamp} header is neither epoch seconds, epoch "
                "milliseconds nor ISO 8601 with date, time and seconds.",
            )
        return at

    def may_be_signed(self, incoming: Incoming) -> bool:
        try:
            late = self._complaint(self._signed_at(incoming), incoming.received_at)
        except Rejected:
            return False
        signature = incoming.headers.get(self._headers.signature, b"")
        return not late and bool(self._contract.form.fullmatch(signature))

    def parse(self, incoming: Incoming) -> VendorEvent:
        body = json_object(incoming.body)
        names = self._contract.names.body
        event_type = self._contract.event_type(body)  # first: one without is no delivery of theirs
        company = trimmed(short_text(names.company_id.find(body)) or "") or None
        if self._company_id is not None and company != self._company_id:
            raise Rejected(
                Outcome.WRONG_COMPANY,
                "The delivery is for another company than MINDTICKLE_COMPANY_ID. "
                "Correct the setting, or the subscription's companyId.",
            )
        digest = self.digest(incoming)
        event_key = key_of(incoming.headers.get(self._headers.event_id, b"")) or f"digest:{digest}"
        data, ignored = self._contract.data(event_type, body, incoming.received_at)
        said_at = (data.own_time() if data else None) or self._signed_at(incoming)
        occurred_at = by_arrival(said_at, incoming.received_at)
        return VendorEvent(
            event_key=event_key,
            digest=digest,
            type=event_type,
            company_id=company,
            user_id=data.user_id if data else None,
            occurred_at=occurred_at,
            payload=text_of(incoming.body),
            facts=(data.fact(event_key, occurred_at),) if data else (),
            ignored=ignored,
        )

    def digest(self, incoming: Incoming) -> str:
        return hashlib.sha256(self._contract.text.of(incoming.headers, incoming.body)).hexdigest()

    def claims(self, incoming: Incoming) -> Claims:
        try:
            claimed = self._contract.names.body.event.find(json_object(incoming.body))
        except Unreadable:
            claimed = None
        key = key_of(incoming.headers.get(self._headers.event_id, b""))
        return Claims(key or None, short_text(claimed))

    def test_delivery(self, at: datetime, event_id: str) -> tuple[bytes, Mapping[str, str]] | None:
        """Body and headers of an authentic delivery with the first progress in a module, signed at
        `at`; None if a name of this account is no plain path, so that no body can be made."""
        values = {"user_id": NO_LEARNER, "module_id": NO_LEARNER, "module_name": "Test",
                  "progress_pct": 1, "time_spent_sec": 1}  # fmt: skip
        made = self._contract.body(PROGRESSED, self._company_id or "demo", values)
        if made is None:
            return None
        body = json.dumps(made).encode()
        headers = {
            self._headers.event_id: event_id,
            self._headers.timestamp: written_time(at, self._contract.names.signature.time),
        }
        sent = {name: value.encode() for name, value in headers.items()}
        signature = self._contract.sign(self._secrets[0], self._contract.text.of(sent, body))
        return body, {**headers, self._headers.signature: signature.decode()}


def sign(secret: bytes, timestamp: bytes, body: bytes) -> bytes:
    """The signature header of a delivery under the published names, lower-case hex."""
    return hmac_sha256(secret, timestamp + b":" + body).hex().encode()


class MindTickleSettings(VendorSettings, Tolerances):
    contract: ClassVar[Contract] = PUBLISHED

    mindtickle_webhook_secret: Secrets = ()
    mindtickle_company_id: AccountId | None = None
    mindtickle_api_token: ApiToken | None = None
    mindtickle_api_url: ApiUrl = "https://api.mindtickle.com"
    mindtickle_retry_delays: Delays = (300, 900, 3600, 21_600)
    """Seconds before each retry, as MindTickle's guide publishes them."""
    mindtickle_retry_reading: Literal["gaps", "offsets"] = "gaps"
    """Whether a delay counts from the attempt before, or from the first."""
    mindtickle_suspend_after: Annotated[int, Field(ge=60, le=TEN_YEARS_SEC)] = 86_400
    """Seconds in which every delivery fails until MindTickle suspends the webhook."""

    def vendor(self) -> MindTickle | None:
        secrets = [one.get_secret_value().encode() for one in self.mindtickle_webhook_secret]
        if not secrets:
            return None
        past, future = self.timestamp_tolerance_past, self.timestamp_tolerance_future
        return MindTickle(secrets, self.mindtickle_company_id, past, future, self.contract)

    def weaknesses(self) -> Iterator[str]:
        cure = "have MindTickle make another, under Admin > Integrations"
        yield from guessable("MINDTICKLE_WEBHOOK_SECRET", self.mindtickle_webhook_secret, cure)

    def facts(self) -> VendorFacts:
        return VendorFacts(
            slug=SLUG,
            name="MindTickle",
            schedule=Schedule.of(self.mindtickle_retry_delays, self.mindtickle_retry_reading),
            suspend_after=timedelta(seconds=self.mindtickle_suspend_after),
            reactivate="Once deliveries would be accepted (a dry run shows it), re-activate the "
            "webhook under Admin > Integrations, or run: repboard webhooks reactivate <id>",
            cures={
                Outcome.BAD_SIGNATURE: "Copy the new secret from Admin > Integrations into "
                "MINDTICKLE_WEBHOOK_SECRET, beside the old one, restart the receiver, then replay.",
                Outcome.WRONG_COMPANY: "If MINDTICKLE_COMPANY_ID is wrong, correct it, restart the "
                "receiver, then replay. If the companyId of the subscription is wrong, correct it "
                "at MindTickle first; to accept what came under it, unset MINDTICKLE_COMPANY_ID, "
                "restart, replay, then set it again and restart.",
            },
            set_up=SetUp(
                "MINDTICKLE_WEBHOOK_SECRET",
                "Register this address in MindTickle under Admin > Integrations > Webhooks:",
                tuple(self.contract.type_of(one) for one in EVENT_TYPES),
                _script(self.contract),
            ),
            secret_headers=(self.contract.names.headers.signature,),
            roster_event=self.contract.type_of("user.provisioned"),
            timed_by_signing=tuple(map(self.contract.type_of, (PROGRESSED, "quiz.submitted"))),
            progress=_progress_fields(self.contract),
            fields=_fields(self.contract.names),
        )


def _fields(names: Names) -> Mapping[str, tuple[str, ...]]:
    places = {
        one.type: [names.place_of(event, name) for name in one.fields]
        for event, one in names.events.items()
    }
    return {
        event_type: tuple(field for one in read for field in fields_in(one.path))
        for event_type, read in places.items()
    }


def _progress_fields(contract: Contract) -> ProgressFields | None:
    """None where they are not at plain paths."""
    fields = ("module_id", "module_name", "progress_pct")
    places = [contract.names.place_of(PROGRESSED, one) for one in fields]
    if any(one.names is None for one in places):
        return None
    return ProgressFields(
        contract.type_of(PROGRESSED), *(".".join(one.names or ()) for one in places)
    )


def _script(contract: Contract) -> str | None:
    """Sends an authentic event; None if no body can be made under the names of the account."""
    values = {"user_id": "u-1", "module_name": "Discovery calls", "module_id": "m-1",
              "progress_pct": 40, "time_spent_sec": 600}  # fmt: skip
    company = "repboard-company"
    body = contract.body(PROGRESSED, company, values)
    if body is None:
        return None
    names, form = contract.names, contract.names.signature
    spelled_body = quote(json.dumps(body)).replace(company, "'\"${company:-demo}\"'")
    return (
        FROM_ENV
        + f"""\
secret=$(setting MINDTICKLE_WEBHOOK_SECRET)
company=$(setting MINDTICKLE_COMPANY_ID)
body={spelled_body}
at=$({NOW[form.time]})
id=first-$(date +%s)
signature=$(printf %s {message_in_shell(form.signed)} |
  openssl dgst -sha256 -hmac "${{secret%%,*}}" -binary | {ENCODED[form.encoding]})
curl -sS "$url" -H 'content-type: application/json' \\
  -H "{names.headers.event_id}: $id" -H "{names.headers.timestamp}: $at" \\
  -H {quote(f"{names.headers.signature}: {form.prefix}")}"$signature" --data-binary "$body"
"""
    )


def adapter(contract: Contract) -> Adapter:
    """The adapter for an account with these names."""
    settings = type("MindTickleSettings", (MindTickleSettings,), {"contract": contract})
    return Adapter(SLUG, "mindtickle_webhook_secret", settings, contract.kept_facts)


def renamed(by: Mapping[str, Any], where: str) -> Adapter:
    """The adapter for an account with some other names. Raises SettingsError, a line for each
    mistake, which begins with `where`."""
    return adapter(Contract(NAMES.changed(by, TABLE, where)))


CURL = _script(PUBLISHED) or ""
ADAPTER = adapter(PUBLISHED)
