"""The last action of a viewer on cases, and how it is taken back."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

import streamlit as st
from sqlalchemy import Connection

from dashboard.base.store import actor, everybody
from shared import coaching as cases
from shared.coaching import Changed, Done
from shared.queries import coaching
from shared.queries.coaching import Case
from shared.queries.quiz_standings import Taker

LAST = "coaching_undo"
"""What the last action did: its words, and each case. It is forgotten with the session."""


@contextmanager
def remembered(connection: Connection, takers: Iterable[Taker]) -> Iterator[None]:
    """Compare the cases of these before and after an action, in its transaction."""
    known = list(takers)
    before = _cases(connection, known)
    yield
    after = _cases(connection, known).values()
    st.session_state[LAST] = [
        Done(one.id, one.version, before.get(one.id)) for one in after if before.get(one.id) != one
    ]


def _cases(connection: Connection, takers: Iterable[Taker]) -> Mapping[int, Case]:
    """The latest round of each."""
    found = (coaching.rounds(connection, taker, limit=1) for taker in takers)
    return {one.id: one for rounds in found for one in rounds}


def takers_of(connection: Connection, case_ids: Iterable[int]) -> list[Taker]:
    found = (coaching.case_of(connection, one) for one in case_ids)
    return [one.taker for one in found if one]


def last() -> list[Done]:
    """What can be taken back."""
    return list(st.session_state.get(LAST, ()))


def undo(connection: Connection) -> Changed:
    """Take it back."""
    done = last()
    st.session_state.pop(LAST, None)
    return cases.undo(connection, actor(), done, everybody())
