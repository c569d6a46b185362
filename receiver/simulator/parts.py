"""What each vendor plays, by its slug."""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from random import Random
from typing import NamedTuple, Protocol

from receiver.simulator.company import Company
from receiver.simulator.innovative_educators import Courses, InnovativeEducatorsWire
from receiver.simulator.lessonly import LessonlyWire, Lessons
from receiver.simulator.mindtickle import MindTickleWire
from receiver.simulator.plan import Plan
from receiver.simulator.post import Event, Wire
from receiver.simulator.scenarios import Twist
from receiver.simulator.standard_webhooks import Deals, StandardWebhooksWire
from receiver.vendors import innovative_educators, lessonly, mindtickle, standard_webhooks
from shared.settings import ReceiverSettings

Ahead = Callable[[datetime], timedelta]
"""How fast the vendor's clock is, at a time."""


class Story(Protocol):
    """What happens at a vendor, without I/O."""

    def history(self) -> Iterator[Event]:
        """What happened before the start, in order of time. To be taken once."""

    def live_event(self, at: datetime) -> Event:
        """Something that happens at `at`, after the history."""


class Part(NamedTuple):
    """A vendor's part in the play."""

    weight: int
    """How much of what happens live happens there."""
    credential: Callable[[ReceiverSettings], bytes]
    """What lets it in, of a receiver that serves it."""
    story: Callable[[Company, Random], Story]
    wire: Callable[[Plan, Twist, Ahead], Wire]


PARTS: Mapping[str, Part] = {
    mindtickle.SLUG: Part(
        14,
        lambda settings: settings.mindtickle_webhook_secret[0].get_secret_value().encode(),
        lambda company, _: company,
        lambda plan, twist, ahead: MindTickleWire(
            plan.secret + twist.secret, plan.company_id + twist.company, ahead
        ),
    ),
    innovative_educators.SLUG: Part(
        1,
        lambda _: b"",
        Courses,
        lambda plan, twist, _: InnovativeEducatorsWire(plan.company_id, foreign=twist.foreign),
    ),
    lessonly.SLUG: Part(
        3,
        lambda settings: settings.lessonly_authorization[0].get_secret_value().encode(),
        Lessons,
        lambda plan, twist, _: LessonlyWire(plan.secret + twist.secret),
    ),
    standard_webhooks.SLUG: Part(
        2,
        lambda settings: settings.standard_webhooks_secret[0].get_secret_value(),
        Deals,
        lambda plan, twist, _: StandardWebhooksWire(plan.secret + twist.secret),
    ),
}
