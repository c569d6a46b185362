"""How far the pages are behind the events."""

from dashboard.base import store
from shared import following
from shared.queries.follower import lag


def behind() -> str:
    """For the line on how fresh a page is: ` · 12 s behind`, or nothing for a few seconds."""
    words = following.in_words(store.query_now(lag))
    return f" · {words}" if words else ""
