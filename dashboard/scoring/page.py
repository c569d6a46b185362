"""Scoring: what does the company give points for?"""

import streamlit as st

from dashboard.base import filters, pieces, store
from dashboard.scoring import data, view
from shared.queries.movement import Board
from shared.scoring import WeightsRefused, rules_of

stored = data.rules()
view.headline(stored)
with pieces.row():
    window = filters.window("30d")
    pieces.share()
left, right = st.columns([2, 3], gap="large")
with left:
    pieces.heading("Points for each")
    typed = view.weights(stored, data.event_types())
try:
    new = rules_of([one.weight for one in typed], stored.pass_pct, stored.judged_by)
except WeightsRefused as refused:
    view.refused(typed, refused.problems)
    st.stop()
with left:
    if st.button("Save", type="primary", disabled=new == stored):
        data.save(new)
        st.session_state["weights_saved"] = True
        st.rerun()
    if st.session_state.pop("weights_saved", False):
        st.success("Saved. The board of scores counts by these weights.")
with right:
    pieces.heading("The board by these weights")
    view.preview(data.preview(Board(store.everybody(), window), new))
