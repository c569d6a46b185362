"""How a page shows people: by name, by initials or as nobody in particular, and the way to one."""

import hmac
import re

import pandas as pd
import streamlit as st
from pydantic import SecretStr

from dashboard import access
from dashboard.settings import settings
from shared.settings import Names

CODE_DIGITS = 8
"""Of a company of ten thousand, two share a name once in a hundred installations."""


def known_as(name: str | None, email: str | None, key: str) -> str:
    """What a person is called to the viewer."""
    return shown_as(name, email, key, access.names())


def sees_names() -> bool:
    """Whether people are shown to the viewer by their full names."""
    return access.names() == "full"


def smallest_group() -> int:
    """How many members a team needs for the viewer to see its average. Beside full names, which
    stand with their figures on the same page, hiding it would hide nothing."""
    return 1 if sees_names() else settings().smallest_group


def with_people(frame: pd.DataFrame) -> pd.DataFrame:
    """With `learner`, what each person is known as; their `key` is vendor and user id. Addresses
    are only for who sees full names."""
    people = frame[["name", "email", "key"]].astype(object)
    people = people.where(people.notna(), None)
    known = frame.assign(learner=[known_as(*one) for one in people.itertuples(index=False)])
    return known if sees_names() else known.assign(name=None, email=None)


def shown_as(name: str | None, email: str | None, key: str, how: Names) -> str:
    """A person by name or e-mail; who has neither, as unknown with the user id. `key` is vendor
    and user id."""
    if how == "anonymous":
        return _anonymous(key)
    if how == "initials":
        return initials(name or email)
    return name or email or f"unknown ({key.partition('/')[2]})"


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


PAGE = "learner/page.py"
"""Of one learner, as links name it."""


def opened(frame: pd.DataFrame) -> pd.DataFrame:
    """A list of learners, each row with a button that opens their page."""
    st.session_state["learners"] = frame["key"].tolist()
    return frame.assign(open="Open")


def _open_clicked() -> None:
    row = st.session_state["opened_learner"].row
    st.switch_page(PAGE, query_params={"id": st.session_state["learners"][row]})


OPEN = st.column_config.ButtonColumn(
    "", on_click=_open_clicked, key="opened_learner", type="tertiary", width=60
)
