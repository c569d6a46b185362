"""Scoring: what does the company give points for?"""

import streamlit as st

from dashboard.base import filters, pieces, store
from dashboard.scoring import data, view
from shared.queries.movement import Board
from shared.scoring import WeightsRefused, rules_of

with pieces.row():
    window = filters.window("30d")
stored = data.rules()
left, right = st.columns([2, 3], gap="large")
with left:
    st.caption("Points for each; 0 does not count. Nothing changes before you save.")
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
    st.subheader("The board by these weights", anchor=False)
    view.preview(data.preview(Board(store.everybody(), window), new))
