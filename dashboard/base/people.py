"""Whether a page shows people by name, by initials or as nobody in particular."""

import hmac
import re

from pydantic import SecretStr

from dashboard.settings import settings
from shared.settings import Names

CODE_DIGITS = 8
"""Of a company of ten thousand, two share a name once in a hundred installations."""


def known_as(name: str | None, email: str | None, key: str, how: Names) -> str:
    """A person by name or e-mail; who has neither, as unknown with the user id. `key` is vendor
    and user id."""
    if how == "anonymous":
        return _anonymous(key)
    if how == "initials":
        return initials(name or email)
    return name or email or f"unknown ({key.partition('/')[2]})"


def smallest_group(how: Names) -> int:
    """How many members a team needs to show an average. Beside full names, which stand with
    their figures on the same page, hiding it would hide nothing."""
    return 1 if how == "full" else settings().smallest_group


def initials(name: str | None) -> str:
    """`D. B.` of `Dana Brooks` and of `dana.brooks@acme.example`: of the first and last word."""
    words = re.findall(r"[^\W\d_]+", (name or "").partition("@")[0])
    few = words if len(words) < 2 else [words[0], words[-1]]  # noqa: PLR2004
    return " ".join(f"{word[0].upper()}." for word in few) or "unknown"


def _anonymous(key: str) -> str:
    """`Learner 7f3a91c2`: always the same for one person here, and no way back."""
    secret = settings().names_key
    assert isinstance(secret, SecretStr)  # noqa: S101 (settings without one do not load)
    code = hmac.digest(secret.get_secret_value().encode(), _bytes(key), "sha256").hex()
    return f"Learner {code[:CODE_DIGITS]}"


def _bytes(key: str) -> bytes:
    return key.encode("utf-8", "surrogatepass")
