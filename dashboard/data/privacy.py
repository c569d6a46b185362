"""Whether a page shows people by name, by initials or as nobody in particular."""

import hmac
import re
from collections.abc import Callable
from typing import Any, Literal

import pandas as pd
from pydantic import SecretStr

from dashboard.data.store import settings
from shared.settings import Names

Role = Literal["manager", "lead", "admin"]
CODE_DIGITS = 8
"""Of a company of ten thousand, two share a name once in a hundred installations."""


def names_for(role: Role) -> Names:
    """How a role sees people, by NAMES_MANAGER, NAMES_LEAD or NAMES_ADMIN."""
    now = settings()
    chosen: dict[Role, Names] = {
        "manager": now.names_manager,
        "lead": now.names_lead,
        "admin": now.names_admin,
    }
    return chosen[role]


def smallest_group(how: Names) -> int:
    """How many members a team needs to show an average. Beside full names, which stand with
    their figures on the same page, hiding it would hide nothing."""
    return 1 if how == "full" else settings().smallest_group


def shown(frame: pd.DataFrame, how: Names) -> pd.DataFrame:
    """The frame with the people in it as they are to be seen.

    It has `person`, and any of `learner`, `name` and `email`: the first two are replaced, an
    address is left out. `learner` or `name` is what initials are made of, else the address.
    """
    if how == "full" or frame.empty:
        return frame
    seen = _initials(frame) if how == "initials" else frame["person"].map(_anonymous())
    replaced = {name: seen for name in ("learner", "name") if name in frame}
    hidden = {"email": None} if "email" in frame else {}
    return frame.assign(**replaced, **hidden)


def _initials(frame: pd.DataFrame) -> "pd.Series[Any]":
    columns = [frame[one] for one in ("name", "learner", "email") if one in frame]
    known = columns[0]
    for other in columns[1:]:
        known = known.fillna(other)
    return known.map(initials)


def initials(name: Any) -> str:
    """`D. B.` of `Dana Brooks` and of `dana.brooks@acme.example`: of the first and last word."""
    if not isinstance(name, str) or name.startswith("unknown ("):
        return "unknown"
    words = re.findall(r"[^\W\d_]+", name.partition("@")[0])
    few = words if len(words) < 2 else [words[0], words[-1]]  # noqa: PLR2004
    return " ".join(f"{word[0].upper()}." for word in few) or "unknown"


def _anonymous() -> Callable[[str], str]:
    key = settings().names_key
    assert isinstance(key, SecretStr)  # noqa: S101 (settings without one do not load)
    secret = key.get_secret_value().encode()
    return lambda person: anonymous(person, secret)


def anonymous(person: str, key: bytes) -> str:
    """`Learner 7f3a91c2`: always the same for one person under one key, and no way back."""
    code = hmac.digest(key, person.encode("utf-8", "surrogatepass"), "sha256").hex()
    return f"Learner {code[:CODE_DIGITS]}"
