"""A vendor that Repboard does not have: what a newcomer writes, as `docs/adding-a-vendor.md` says.

`tests/dashboard/test_new_vendor.py` copies this file into `receiver/vendors/` and changes no other.
"""

import hashlib
import hmac
from collections.abc import Iterator, Sequence
from datetime import timedelta

from pydantic import BaseModel

from receiver.vendors.base import (
    FROM_ENV,
    Adapter,
    Claims,
    Incoming,
    KeptEvent,
    Rejected,
    VendorEvent,
    VendorSettings,
    json_object,
    key_of,
    text_of,
)
from receiver.vendors.fields import Id, Name, Percent, read
from shared.facts import Fact, Progressed
from shared.outcomes import Outcome
from shared.retries import Schedule
from shared.setting_types import Delays, Secrets
from shared.settings import guessable
from shared.vendors import ProgressFields, SetUp, VendorFacts

SLUG = "acme"
SIGNATURE = "x-acme-signature"
ID = "x-acme-id"
WATCHED = "video.watched"


class _Watched(BaseModel):
    viewer: Id
    video: Id
    title: Name = None
    watched: Percent


class Acme:
    slug: str = SLUG
    kept_headers: Sequence[str] = (SIGNATURE, ID)
    secret_headers: Sequence[str] = ()

    def __init__(self, secrets: Sequence[bytes]) -> None:
        self._secrets = secrets

    def authenticate(self, incoming: Incoming) -> None:
        sent = incoming.headers.get(SIGNATURE)
        if not sent:
            raise Rejected(Outcome.MISSING_CREDENTIALS, f"No {SIGNATURE} header.")
        signed = incoming.headers.get(ID, b"") + incoming.body
        expected = (hmac.digest(one, signed, "sha256").hex().encode() for one in self._secrets)
        if not any(hmac.compare_digest(one, sent) for one in expected):
            raise Rejected(Outcome.BAD_SIGNATURE, "The signature fits no value of ACME_SECRET.")

    def may_be_signed(self, incoming: Incoming) -> bool:
        return bool(incoming.headers.get(SIGNATURE))

    def parse(self, incoming: Incoming) -> VendorEvent:
        body = json_object(incoming.body)
        watched, ignored = read(_Watched, WATCHED, body, incoming.received_at)
        return VendorEvent(
            event_key=key_of(incoming.headers.get(ID, b"")) or self.digest(incoming),
            digest=self.digest(incoming),
            type=WATCHED,
            company_id=None,
            user_id=watched.viewer,
            occurred_at=incoming.received_at,
            payload=text_of(incoming.body),
            facts=kept_facts(
                KeptEvent("", WATCHED, incoming.received_at, incoming.received_at,
                          text_of(incoming.body))
            ),
            ignored=ignored,
        )  # fmt: skip

    def digest(self, incoming: Incoming) -> str:
        return hashlib.sha256(incoming.headers.get(ID, b"") + incoming.body).hexdigest()

    def claims(self, incoming: Incoming) -> Claims:
        return Claims(key_of(incoming.headers.get(ID, b"")) or None, WATCHED)


def kept_facts(event: KeptEvent) -> Sequence[Fact]:
    body = json_object(event.payload.encode())
    one, _ = read(_Watched, WATCHED, body, event.received_at)
    return (Progressed(SLUG, one.viewer, one.video, one.title, one.watched, 0, event.occurred_at),)


class AcmeSettings(VendorSettings):
    acme_secret: Secrets = ()
    acme_retry_delays: Delays = (60, 600)

    def vendor(self) -> Acme | None:
        secrets = [one.get_secret_value().encode() for one in self.acme_secret]
        return Acme(secrets) if secrets else None

    def weaknesses(self) -> Iterator[str]:
        yield from guessable("ACME_SECRET", self.acme_secret, "have Acme make another")

    def facts(self) -> VendorFacts:
        return VendorFacts(
            slug=SLUG,
            name="Acme Video",
            schedule=Schedule.of(self.acme_retry_delays, "gaps"),
            suspend_after=timedelta(days=2),
            reactivate="Press Resume in Acme.",
            cures={Outcome.BAD_SIGNATURE: "Copy Acme's new secret into ACME_SECRET, then replay."},
            set_up=SetUp("ACME_SECRET", "In Acme, enter this address under Hooks:", curl=CURL),
            secret_headers=(SIGNATURE,),
            progress=ProgressFields(WATCHED, "video", "title", "watched"),
        )


CURL = (
    FROM_ENV
    + """\
secret=$(setting ACME_SECRET)
body='{"viewer": "u-5", "video": "v-1", "title": "The first call", "watched": 35}'
signature=$(printf '%s' "first$body" | openssl dgst -sha256 -hmac "$secret" | sed 's/^.* //')
curl -sS "$url" -H "x-acme-id: first" -H "x-acme-signature: $signature" --data-binary "$body"
"""
)
ADAPTER = Adapter(SLUG, "acme_secret", AcmeSettings, kept_facts)
