"""Learner: one person, by link."""

import streamlit as st

from dashboard.base import people, pieces, store
from dashboard.learner import data, view

link = st.query_params.get("id", "")
key = people.key_at(link) or ""


@st.fragment(run_every=pieces.LIVE)
def live() -> None:
    found = data.profile(key, store.everybody())
    if found is None:
        st.rerun()
    view.head(found)
    view.summary(data.summary(found.person))
    left, right = st.columns(2, gap="medium")
    with left:
        view.modules(found.person)
    with right:
        view.certificates(found.person)
        view.coaching(found.person)
    view.quizzes(found.person)
    left, right = st.columns(2, gap="medium")
    with left:
        view.completions(found.person)
    with right:
        view.roster(found.person)
    view.events(found.person)


if key and data.profile(key, store.everybody()):
    with pieces.row():
        st.page_link(people.PAGE, label="Find another learner", icon=":material/person_search:")
        pieces.share()
    live()
else:
    if link:
        st.warning("No learner with this ID, or not on your teams.", icon=":material/person_off:")
    view.search()
