"""How a page shows people: by name, by initials or anonymously, and what a link to one is made of.

Where names are not shown in full, no name, address or id of a person leaves the server: not in a
cell, not in the data of a chart, not in a link, not in the key of a widget.
"""

import re
from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st
from sqlalchemy import Connection

from dashboard import access
from dashboard.base import store
from dashboard.settings import settings
from shared.naming import LINK_DIGITS, Naming
from shared.queries import catalog
from shared.setting_types import Names
from shared.settings import spelt

LINK = f"[0-9a-f]{{{LINK_DIGITS}}}"
EVENT_DIGITS = 12


def known_as(name: str | None, email: str | None, key: str) -> str:
    """The name of a person as the viewer may see it."""
    return shown_as(name, email, key, access.names())


def sees_names() -> bool:
    """Whether people are shown to the viewer by their full names."""
    return access.names() == "full"


def smallest_group() -> int:
    """How many members a team needs for the viewer to see its average. A viewer who sees full names
    sees each member's figure, so all averages are shown."""
    return 1 if sees_names() else settings().smallest_group


def with_people(frame: pd.DataFrame) -> pd.DataFrame:
    """With `learner`, what each person is known as; their `key` is vendor and user id. Addresses
    are only for viewers who see full names."""
    people = frame[["name", "email", "key"]].astype(object)
    people = people.where(people.notna(), None)
    known = frame.assign(learner=[known_as(*one) for one in people.itertuples(index=False)])
    return known if sees_names() else known.assign(name=None, email=None)


def shown_as(name: str | None, email: str | None, key: str, how: Names) -> str:
    """A person by name or e-mail address; without either by the user ID, as `Naming.known_as`.
    `key` is vendor and user ID."""
    return _naming(how).known_as(name, email, key)


NAMELESS = "A learner without a name"


def known_in_a_room(name: str | None, email: str | None, key: str) -> str:
    """The name of a person on a display that all see: never a user ID."""
    anonymous = access.names() == "anonymous"
    return known_as(name, email, key) if name or email or anonymous else NAMELESS


def _naming(how: Names = "full") -> Naming:
    return Naming(how, settings().names_key)


def link_to(key: str) -> str:
    """What names a person in addresses and in keys of widgets: with NAMES_KEY a code, the same for
    all roles, so that one link serves all of them; else `key`, vendor and user id."""
    return _naming().link_to(key)


def key_at(link: str) -> str | None:
    """Vendor and user id of the person that a link names; None if it names none.

    A user id works only for viewers who see full names: others could try ids to find out who an
    anonymous person is.
    """
    coded = settings().names_key is not None and re.fullmatch(LINK, link)
    found = store.query_seldom(_account_of, link) if coded else None
    return found or (link if link and sees_names() else None)


def _account_of(connection: Connection, link: str) -> str | None:
    keys = (f"{row.vendor}/{row.user_id}" for row in catalog.accounts(connection))
    return next((key for key in keys if link_to(key) == link), None)


def event_id(key: str | None) -> str | None:
    """An event's id as the viewer may see it: it can name a learner, as Lessonly's begins with the
    user id."""
    return (
        key
        if key is None or sees_names()
        else f"event {_naming().code(f'event/{key}')[:EVENT_DIGITS]}"
    )


def without_addresses(text: str) -> str:
    """Free text as the viewer may see it."""
    return text if sees_names() else re.sub(r"\S+(@|%40)\S+", "(address)", text)


FREE_WORDS = r"\b(?:notes|outcome) "
HIDDEN = "(hidden: may name a learner)"


def unnamed_log(frame: pd.DataFrame) -> pd.DataFrame:
    """Entries of the audit log as the viewer may see them: `detail` without addresses, and without
    the notes and reasons of leads, which are free text about a learner."""
    if sees_names():
        return frame
    of_case = frame["subject"].str.startswith("case ", na=False)
    free = of_case & frame["detail"].str.contains(FREE_WORDS)
    return frame.assign(detail=frame["detail"].map(without_addresses).mask(free, HIDDEN))


def in_file() -> Mapping[str, Any]:
    """The columns that tell people of one name apart in a CSV, for a role that sees names."""
    text = st.column_config.TextColumn
    return {"email": text("E-mail"), "key": text("Vendor and user ID")} if sees_names() else {}


PAGE = "learner/page.py"
"""Of one learner, as links name it."""


def opened(frame: pd.DataFrame) -> pd.DataFrame:
    """A list of learners, each row with a button that opens their page."""
    st.session_state["learners"] = frame["key"].tolist()
    return frame.assign(open="Open")


def _open_clicked() -> None:
    row = st.session_state["opened_learner"].row
    st.switch_page(PAGE, query_params={"id": link_to(st.session_state["learners"][row])})


OPEN = st.column_config.ButtonColumn(
    "", on_click=_open_clicked, key="opened_learner", type="tertiary", width=60
)


def as_signed_in(address: str) -> str:
    """An address as sign-in spells it, so that it names the same person."""
    return spelt(address)
