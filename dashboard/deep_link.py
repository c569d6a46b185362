"""The page that a person asked for before the sign-in.

The provider returns every person to the front page, so the address waits in a cookie. Only our own
pages and parameters are used from it: no cookie, Referer or link can redirect to another place.
"""

from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from dashboard.access import PAGES

PARAMETERS = frozenset(
    ("action", "actor", "board", "contest", "credit", "days", "delivery", "events", "find", "id",
     "import", "item", "learner", "leavers", "list", "metric", "module", "of", "outcome", "owner",
     "page", "problems", "queue", "quiz", "quizzes", "search", "since", "span", "team", "until",
     "vendor", "view", "which", "window")
)  # fmt: skip
"""The query parameters of pages."""
LONGEST = 2_000
"""Characters of an address; a longer one is ignored."""


def wanted(address: str) -> str:
    """The page of an address, with the known part of its query; `/` for any other address."""
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
    """The address in a cookie's value, which is untrusted."""
    return wanted(unquote(value))
