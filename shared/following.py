"""Whether the pages are behind the events, and what is wrong if they are. Pure functions."""

from collections.abc import Iterator
from datetime import timedelta

from shared.diagnosis import Finding, Severity
from shared.queries.follower import COUNTED, Lag
from shared.wording import duration, number_of

NOTICED_SEC = 5
"""A page says how far it is behind if that is more."""
DOWN_SEC = 60
"""A follower takes the place of another within seconds."""


def in_words(lag: Lag) -> str | None:
    """`12 s behind`; None if that is not worth a word."""
    if lag.seconds <= NOTICED_SEC:
        return None
    return f"{duration(timedelta(seconds=lag.seconds))} behind"


def findings(lag: Lag, unfoldable: int) -> Iterator[Finding]:
    """What keeps events from the pages. `unfoldable` is how many the read models cannot take."""
    if lag.events and not lag.alive and lag.seconds > DOWN_SEC:
        more = " or more" if lag.events >= COUNTED else ""
        yield Finding(
            "follower-down",
            Severity.WARNING,
            "No follower works",
            f"{number_of(lag.events, 'event')}{more} stored, and not on the pages yet, for "
            f"{duration(timedelta(seconds=lag.seconds))}.",
            "Start the receiver, or `repboard follow` where RECEIVER_FOLLOWER is no. During a "
            "rebuild, wait until it is complete.",
            "Boards and coaching stay as they are. No delivery is lost.",
        )
    if unfoldable:
        yield Finding(
            "unfoldable",
            Severity.WARNING,
            f"{number_of(unfoldable, 'event')} could not be added to the pages",
            "The events are stored. The log of the follower says why (`event_not_foldable`).",
            "Report it: this is a bug. After an update, run `repboard rebuild`.",
            "Boards and coaching do not have these events.",
        )
