"""Audit log: who did what, when, to what?"""

import streamlit as st

from dashboard.audit import data, view
from dashboard.base import filters, pieces, store, windows

with pieces.row():
    window = filters.window("30d")
with pieces.row():
    actor = filters.choose("Actor", "actor", {one: one for one in data.actors()}, "All actors")
    action = filters.choose("Action", "action", {one: one for one in data.actions()}, "All actions")
    words = filters.words("Search", "search", "A case, a vendor, or words of an entry")


@st.fragment(run_every=pieces.LIVE)
def live() -> None:
    asked = data.asked(window, actor, action, words)
    found = data.entries(store.version(), asked, windows.viewer_zone())
    if found.empty:
        st.info("No activity in this period. Try a longer one.", icon=":material/info:")
        return
    view.listed(found)


live()
