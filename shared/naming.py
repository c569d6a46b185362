"""How people are named where a role may not see full names. Pure functions."""

import hmac
import re
from typing import NamedTuple

from pydantic import SecretStr

from shared.setting_types import Names

CODE_DIGITS = 8
"""With ten thousand people, one installation in a hundred has two with the same name."""
LINK_DIGITS = 32
"""Too many to find a link by guessing."""


class Naming(NamedTuple):
    """A way of naming people, with the key of this installation (`NAMES_KEY`)."""

    how: Names
    key: SecretStr | None

    def known_as(self, name: str | None, email: str | None, key: str) -> str:
        """A person by name or e-mail address; without either by the user ID, which an admin can
        look up at the vendor. `key` is vendor and user ID."""
        if self.how == "anonymous":
            return f"Learner {self.code(key)[:CODE_DIGITS]}"
        if self.how == "initials":
            return initials(name or email)
        return name or email or f"Learner {key.partition('/')[2]} (no name)"

    def link_to(self, key: str) -> str:
        """What names a person in addresses: with NAMES_KEY a code, the same for all roles, so that
        one link serves all of them; else `key`, vendor and user id."""
        return key if self.key is None else self.code(f"link/{key}")[:LINK_DIGITS]

    def code(self, text: str) -> str:
        """Always the same for one text, and not reversible without the key."""
        assert self.key is not None  # noqa: S101 (settings without one do not load)
        spelled = text.encode("utf-8", "surrogatepass")
        return hmac.digest(self.key.get_secret_value().encode(), spelled, "sha256").hex()


def initials(name: str | None) -> str:
    """`D. B.` of `Dana Brooks` and of `dana.brooks@acme.example`: of the first and last word."""
    words = re.findall(r"[^\W\d_]+", (name or "").partition("@")[0])
    few = words if len(words) < 2 else [words[0], words[-1]]  # noqa: PLR2004
    return " ".join(f"{word[0].upper()}." for word in few) or "no name"
