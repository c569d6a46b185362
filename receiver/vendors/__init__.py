"""The vendors, by the slug in their webhook address."""

from collections.abc import Mapping

from receiver.errors import StartError
from receiver.vendors import innovative_educators, lessonly, mindtickle, standard_webhooks
from receiver.vendors.base import Adapter, Vendor
from shared.settings import ReceiverSettings

ADAPTERS: Mapping[str, Adapter] = {
    mindtickle.SLUG: mindtickle.ADAPTER,
    innovative_educators.SLUG: innovative_educators.ADAPTER,
    lessonly.SLUG: lessonly.ADAPTER,
    standard_webhooks.SLUG: standard_webhooks.ADAPTER,
}


def configured(settings: ReceiverSettings) -> dict[str, Vendor]:
    """The vendors that have their credential set; no other is served."""
    made = {slug: adapter.from_settings(settings) for slug, adapter in ADAPTERS.items()}
    return {slug: vendor for slug, vendor in made.items() if vendor is not None}


def required(settings: ReceiverSettings) -> dict[str, Vendor]:
    """The vendors that have their credential set. Raises StartError if there are none."""
    if vendors := configured(settings):
        return vendors
    first, *others = (adapter.setting.upper() for adapter in ADAPTERS.values())
    raise StartError(
        f"{first}: no vendor has its credential set. Set this, or {' or '.join(others)}."
    )
