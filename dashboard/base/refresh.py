"""Live parts of a page: drawn again when the store has moved, and only then.

One look every five seconds for a whole page, at its foot (`look`), decides for all of its parts.
Parts that looked each for itself would be as many runs of the script, news or not.
"""

from collections.abc import Callable
from datetime import datetime
from typing import ParamSpec, TypeVar

import streamlit as st
from streamlit.runtime.scriptrunner import RerunData, RerunException, get_script_run_ctx

from dashboard.base import store, windows

P = ParamSpec("P")
R = TypeVar("R")
EVERY = "5s"
FOOT = "foot"
PARTS, SEEN = "live_parts", "live_seen"
"""In the session: the live parts of the page, and as of what they were drawn."""


def part(draw: Callable[P, R]) -> Callable[P, R]:
    """A live part, by the name of its function, of which a page has one."""
    fragment = st.fragment(draw, key=draw.__name__)

    def drawn(*args: P.args, **kwargs: P.kwargs) -> R:
        st.session_state.setdefault(PARTS, set()).add(draw.__name__)
        return fragment(*args, **kwargs)

    return drawn


def begin() -> None:
    """A page is about to be drawn as a whole."""
    st.session_state[PARTS] = set()
    st.session_state[SEEN] = _now()


def look() -> None:
    """Draw the live parts again if the store has moved since they were drawn, or a quarter of an
    hour has ended, with which periods move. For a part called `FOOT`, which is drawn with them."""
    now = _now()
    if now == st.session_state.get(SEEN):
        return
    st.session_state[SEEN] = now
    run = get_script_run_ctx()
    if run is None or not run.fragment_ids_this_run:  # the page is drawn as a whole
        return
    # `st.rerun` takes the names of parts from a callback only; this is what it does with them.
    parts = run.fragment_storage.resolve_target([*st.session_state[PARTS], FOOT])
    raise RerunException(
        RerunData(
            query_string=run.query_string,
            page_script_hash=run.page_script_hash,
            fragment_id_queue=parts,
            is_auto_rerun=True,
            is_fragment_scoped_rerun=True,
            cached_message_hashes=run.cached_message_hashes,
            context_info=run.context_info,
        )
    )


def _now() -> tuple[store.Version, datetime]:
    return store.version(), windows.quarter_hour()
