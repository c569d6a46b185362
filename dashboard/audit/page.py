"""Audit: who did what?"""

import streamlit as st

from dashboard.audit import data
from dashboard.base import filters, pieces, store

with pieces.row():
    window = filters.window("30d")
with pieces.row():
    actor = pieces.choose("Who", "actor", {one: one for one in data.actors()}, "Everybody")
    action = pieces.choose("What", "action", {one: one for one in data.actions()}, "Anything")
    words = st.text_input(
        "Search",
        key="search",
        bind="query-params",
        placeholder="A case, a vendor, or words of the entry",
        label_visibility="collapsed",
        width=360,
    )

COLUMNS = {
    "at": st.column_config.DatetimeColumn("When", format="D MMM YYYY, HH:mm:ss", width=170),
    "actor": st.column_config.TextColumn("Who", width=200),
    "action": st.column_config.TextColumn("Did", width=130),
    "subject": st.column_config.TextColumn("To", width=160),
    "detail": st.column_config.TextColumn("In words"),
}


@st.fragment(run_every=pieces.LIVE)
def live() -> None:
    asked = data.asked(window, actor, action, words)
    found = data.entries(store.version(), asked, pieces.viewer_zone())
    if found.empty:
        st.info("Nobody did such a thing in this window.", icon=":material/info:")
        return
    pieces.cut_off(len(found), int(found["of"].iloc[0]))
    pieces.table(found, COLUMNS, "Who did what, the newest first", "audit")
    pieces.csv(found[list(COLUMNS)], "audit")


live()
