"""Audit log: who did what, when, to what?"""

import streamlit as st

from dashboard.audit import data, view
from dashboard.base import filters, paging, pieces, windows

zone = windows.viewer_zone()
with pieces.row():
    window = filters.window("30d")
    actor = filters.choice("Actor", "actor", {one: one for one in data.actors()}, "All actors")
    action = filters.choice("Action", "action", {one: one for one in data.actions()}, "All actions")
    filters.panel(actor, action)
    words = filters.words("Search", "search", "A case, a vendor, or words of an entry")


@st.fragment(run_every=pieces.LIVE)
def live() -> None:
    asked = data.asked(window, actor.value(), action.value(), words)
    total = data.how_many(asked)
    if not total:
        st.info("No activity in this period. Try a longer one.", icon=":material/info:")
        return
    rows = st.container()
    part = paging.choose(total)
    with rows:
        view.listed(data.entries(asked, zone, part))
    pieces.csv_of(lambda: data.entries(asked, zone, paging.WHOLE), view.COLUMNS, "audit")


live()
