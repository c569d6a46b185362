"""Each vendor's part in the simulation, by its slug."""

from collections.abc import Mapping

from receiver.simulator import innovative_educators, lessonly, mindtickle, standard_webhooks
from receiver.simulator.base import Part
from receiver.vendors.innovative_educators import SLUG as INNOVATIVE_EDUCATORS
from receiver.vendors.lessonly import SLUG as LESSONLY
from receiver.vendors.mindtickle.contract import SLUG as MINDTICKLE
from receiver.vendors.standard_webhooks import SLUG as STANDARD_WEBHOOKS

PARTS: Mapping[str, Part] = {
    MINDTICKLE: mindtickle.PART,
    INNOVATIVE_EDUCATORS: innovative_educators.PART,
    LESSONLY: lessonly.PART,
    STANDARD_WEBHOOKS: standard_webhooks.PART,
}
