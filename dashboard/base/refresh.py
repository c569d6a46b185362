"""Live parts of a page: drawn again when the store has moved, and only then.

One look every five seconds for a whole page, at its foot (`look`), decides for all of its parts.
Parts that looked each for itself would be as many runs of the script, news or not.

Where many pages are open, each is drawn again less often (`Pace`), so that what a viewer asks for
does not wait for what no viewer asked for.
"""

from collections.abc import Callable
from datetime import datetime
from threading import Lock
from time import monotonic, thread_time
from typing import ParamSpec, TypeVar

import streamlit as st
from streamlit.runtime.scriptrunner import RerunData, RerunException, get_script_run_ctx

from dashboard.base import store, windows

P = ParamSpec("P")
R = TypeVar("R")
FOOT = "foot"
EVERY_SEC = 5
"""Seconds between two looks of a page."""
SHARE = 0.4
"""The part of a core that drawing again may take, over all pages that are open."""
LONGEST_SEC = 60
"""No page is further behind, however many are open."""
LATEST = 10
"""The cost of a page is a mean over about so many of the latest."""
PARTS, SEEN, BEGAN, DRAWN = "live_parts", "live_seen", "live_began", "live_drawn"
"""In the session: the live parts of the page, as of what they were drawn, the clock of the
thread when that began, and when it ended."""


class Pace:
    """How often a page is drawn again: as often as it looks, or as `SHARE` allows if that is less.

    It is shared by all sessions. A page that has closed counts until it would have looked again.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._looked: dict[str, float] = {}
        self._costs = 0.0

    def interval(self, session: str, now: float) -> float:
        """Seconds between two times, as of a look at `now`."""
        with self._lock:
            self._looked[session] = now
            open_since = now - 2 * EVERY_SEC
            self._looked = {one: at for one, at in self._looked.items() if at > open_since}
            return min(len(self._looked) * self._costs / SHARE, LONGEST_SEC)

    def took(self, seconds: float) -> None:
        """A page was drawn again, with so much of a core's time."""
        with self._lock:
            self._costs += (max(seconds, 0) - self._costs) / LATEST


pace = Pace()


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
    st.session_state[DRAWN] = monotonic()
    st.session_state[BEGAN] = None


def look() -> None:
    """Draw the live parts again if the store has moved since they were drawn, or a quarter of an
    hour has ended, with which periods move. For a part called `FOOT`, which is drawn after them."""
    session, now = st.session_state, monotonic()
    run = get_script_run_ctx()
    if run is None or not run.fragment_ids_this_run:  # the page is drawn as a whole
        return
    if (began := session.get(BEGAN)) is not None:
        pace.took(thread_time() - began)
        session[BEGAN], session[DRAWN] = None, now
    interval = pace.interval(run.session_id, now)
    if _now() == session[SEEN] or now - session[DRAWN] < interval:
        return
    session[SEEN], session[BEGAN] = _now(), thread_time()
    # `st.rerun` takes the names of parts from a callback only; this is what it does with them.
    parts = run.fragment_storage.resolve_target([*session[PARTS], FOOT])
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
