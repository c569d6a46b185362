"""What both processes know of each vendor: its name, its retries, when it suspends, the cure."""

from collections.abc import Mapping
from datetime import timedelta
from typing import NamedTuple

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


def vendor_facts(settings: Settings) -> Mapping[str, VendorFacts]:
    """The vendors by slug. The defaults are what the vendors' guides say."""
    mindtickle = VendorFacts(
        slug="mindtickle",
        name="MindTickle",
        schedule=Schedule.of(settings.mindtickle_retry_delays, settings.mindtickle_retry_reading),
        suspend_after=timedelta(seconds=settings.mindtickle_suspend_after),
        reactivate="Once deliveries would pass, re-activate the webhook, under Admin > "
        "Integrations or with: python -m receiver webhooks reactivate <id>",
    )
    return {mindtickle.slug: mindtickle}
