"""Learner: one person, by link."""

import streamlit as st

from dashboard import components
from dashboard.components import learner as pieces
from dashboard.data import learners as data
from dashboard.data import store

asked = st.query_params.get("id", "")


@st.fragment(run_every=components.LIVE)
def live() -> None:
    version = store.version()
    found = data.profile(version, asked, store.everybody())
    if found is None:
        st.rerun()
    pieces.head(found)
    pieces.summary(data.summary(version, found.person))
    left, right = st.columns(2, gap="medium")
    with left:
        pieces.modules(version, found.person)
    with right:
        pieces.certificates(version, found.person)
        pieces.coaching(version, found.person)
    pieces.quizzes(version, found.person)
    left, right = st.columns(2, gap="medium")
    with left:
        pieces.completions(version, found.person)
    with right:
        pieces.roster(version, found.person)
    pieces.events(version, found.person)


if asked and data.profile(store.version(), asked, store.everybody()):
    with components.row():
        st.page_link(pieces.PAGE, label="Find another", icon=":material/person_search:")
        components.link_to_view()
    live()
else:
    if asked:
        st.warning("There is no such learner here.", icon=":material/person_off:")
    pieces.search()
