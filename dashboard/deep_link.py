"""The page that somebody wanted before they had to sign in.

The provider sends everybody back to the front page. So the wanted address waits in a cookie of the
browser, and is used only as far as it names one of our pages and parameters of ours: nobody can be
sent elsewhere by a link, whatever is in a cookie or a Referer.
"""

from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from dashboard.access import PAGES

PARAMETERS = frozenset(
    ("action", "actor", "board", "days", "delivery", "find", "id", "item", "learner", "leavers",
     "metric", "module", "of", "outcome", "owner", "problems", "queue", "quiz", "quizzes", "search",
     "since", "span", "team", "vendor", "view", "which", "window")
)  # fmt: skip
"""What pages keep in the address."""
LONGEST = 2_000
"""Characters of an address; a longer one is forgotten."""


def wanted(address: str) -> str:
    """The page of an address, with what is known of its query; `/` if it is none of ours."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return "/"
    if len(address) > LONGEST or parts.path.removeprefix("/") not in ("", *PAGES):
        return "/"
    known = [pair for pair in parse_qsl(parts.query) if pair[0] in PARAMETERS]
    return f"/{parts.path.removeprefix('/')}" + (f"?{urlencode(known)}" if known else "")


def as_cookie(address: str) -> str:
    """An address as a cookie's value."""
    return quote(wanted(address), safe="")


def of_cookie(value: str) -> str:
    """Where to go by a cookie's value, which anybody may have written."""
    return wanted(unquote(value))
