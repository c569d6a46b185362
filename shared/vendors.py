"""What both processes know of each vendor: its name, its retries, when it suspends, the cures."""

from collections.abc import Mapping
from datetime import timedelta
from typing import NamedTuple

from shared.outcomes import Outcome
from shared.retries import Schedule
from shared.settings import Settings


class VendorFacts(NamedTuple):
    """One vendor, as the settings say it behaves."""

    slug: str
    name: str
    schedule: Schedule
    suspend_after: timedelta | None
    """How long every delivery must fail until the vendor stops; None if it never does."""
    reactivate: str
    """How to get it going again once it has stopped."""
    cures: Mapping[Outcome, str]
    """What to do about deliveries that are refused, where the vendor has a say in it."""
    roster: bool = False
    """Whether it tells who joins and leaves."""


def vendor_facts(settings: Settings) -> Mapping[str, VendorFacts]:
    """The vendors by slug. The defaults are what the vendors' guides say."""
    every = (_mindtickle, _innovative_educators, _lessonly, _standard_webhooks)
    return {facts.slug: facts for facts in (of(settings) for of in every)}


def _mindtickle(settings: Settings) -> VendorFacts:
    return VendorFacts(
        slug="mindtickle",
        name="MindTickle",
        schedule=Schedule.of(settings.mindtickle_retry_delays, settings.mindtickle_retry_reading),
        suspend_after=timedelta(seconds=settings.mindtickle_suspend_after),
        reactivate="Once deliveries would pass, re-activate the webhook, under Admin > "
        "Integrations or with: repboard webhooks reactivate <id>",
        cures={
            Outcome.BAD_SIGNATURE: "Copy the new secret from Admin > Integrations into "
            "MINDTICKLE_WEBHOOK_SECRET, beside the old one, restart the receiver, then replay.",
        },
        roster=True,
    )


def _innovative_educators(settings: Settings) -> VendorFacts:
    return VendorFacts(
        slug="innovative-educators",
        name="Innovative Educators",
        schedule=Schedule.of(settings.innovative_educators_retry_delays, "gaps"),
        suspend_after=None,
        reactivate="It does not stop: it gives up on an event after the last retry, and goes on "
        "with the next.",
        cures={
            Outcome.IP_NOT_ALLOWED: "If the vendor has a new address, add it to "
            "INNOVATIVE_EDUCATORS_ALLOWED_IPS, restart the receiver, then replay. If it is the "
            "address of a proxy of yours, correct TRUSTED_PROXY_HOPS and restart: the vendor's "
            "next retry gets in.",
        },
    )


def _lessonly(settings: Settings) -> VendorFacts:
    return VendorFacts(
        slug="lessonly",
        name="Seismic Learning (Lessonly)",
        schedule=Schedule.of(settings.lessonly_retry_delays, "gaps"),
        suspend_after=None,
        reactivate="There is nothing to re-activate: after three failed retries it stops until "
        "the next lesson is completed.",
        cures={
            Outcome.WRONG_CREDENTIALS: "Copy the value from Lessonly's webhook settings into "
            "LESSONLY_AUTHORIZATION, beside the old one, restart the receiver, then replay.",
            Outcome.MISSING_CREDENTIALS: "If it is Lessonly, enter the value of "
            "LESSONLY_AUTHORIZATION in its webhook settings. Else it is somebody else, or a proxy "
            "that removes headers.",
        },
    )


def _standard_webhooks(settings: Settings) -> VendorFacts:
    return VendorFacts(
        slug="standard-webhooks",
        name="Standard Webhooks",
        schedule=Schedule.of(settings.standard_webhooks_retry_delays, "gaps"),
        suspend_after=None,  # left to each sender
        reactivate="Senders may turn off an address that fails for days: look there whether it is "
        "still on.",
        cures={
            Outcome.BAD_SIGNATURE: "Copy the new secret (whsec_…) from the sender into "
            "STANDARD_WEBHOOKS_SECRET, beside the old one, restart the receiver, then replay.",
            Outcome.STALE_TIMESTAMP: "Set this machine's clock by NTP: five minutes either way are "
            "all that Standard Webhooks allow.",
        },
    )
