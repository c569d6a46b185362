"""The form that pairs a screen, and the list of screens with their revocation."""

from collections.abc import Sequence

import streamlit as st

from dashboard.base import windows
from dashboard.base.pieces import answer, heading, plain, row
from dashboard.screens import data
from dashboard.screens.data import Pairing, ScreenRow
from shared.wording import number_of

CODE = "screen_code"
SAID = "screen_said"
WALL = "wall/page.py"


def headline(found: Sequence[ScreenRow]) -> None:
    """How many screens are paired."""
    paired = f"{number_of(len(found), 'screen')} paired" if found else "No screen is paired"
    answer(
        paired,
        "A screen shows the boards of your teams in a room, without a sign-in. Open the page "
        "`/wall` on it, and enter its code here.",
    )


def local() -> None:
    """Instead of the form, while no sign-in is configured."""
    st.info("Local mode: the wall needs no pairing on this machine.", icon=":material/info:")
    st.page_link(WALL, label="Open the wall", icon=":material/tv:")


def form() -> None:
    """The field for a code."""
    with st.form("screen_form", border=False), row():
        st.text_input("Code on the screen", key=CODE, max_chars=7, width=200, autocomplete="off")
        st.form_submit_button("Pair", type="primary", icon=":material/tv:", on_click=_pair)
    said = st.session_state.pop(SAID, None)
    if said is Pairing.PAIRED:
        st.success("Paired. The screen shows its boards within 15 seconds.")
    elif said is Pairing.WRONG:
        st.error("No screen shows this code now. A code changes after 10 minutes.")
    elif said is Pairing.REFUSED:
        st.error("Too many wrong codes. Try again in 10 minutes.")


def _pair() -> None:
    st.session_state[SAID] = data.pair(st.session_state[CODE])
    st.session_state[CODE] = ""


def listed(found: Sequence[ScreenRow]) -> None:
    """Each paired screen, with a button that revokes it."""
    if not found:
        return
    heading("Paired screens")
    for one in found:
        with row():
            st.markdown(
                f"**Screen {one.id}** · {plain(data.in_words(one))} · paired by "
                f"{plain(one.confirmed_by or '')} {windows.ago(one.confirmed_at)} · last seen "
                f"{windows.ago(one.seen_at)}",
                width="content",
            )
            st.button("Revoke", key=f"revoke_{one.id}", on_click=data.revoke, args=(one.id,))
