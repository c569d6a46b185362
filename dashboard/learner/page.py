"""Learner: one person, by link."""

import streamlit as st

from dashboard.base import filters, people, pieces, refresh, store
from dashboard.learner import data, head, view

link = st.query_params.get("id", "")
key = people.key_at(link) or ""


answer = st.container()


@refresh.part
def headline() -> None:
    found = data.profile(key, store.everybody())
    if found is None:
        st.rerun()
    standing = data.standing(found.person, window)
    head.headline(found, standing, data.summary(found.person), filters.period(window))


@refresh.part
def figures() -> None:
    if found := data.profile(key, store.everybody()):
        standing = data.standing(found.person, window)
        head.figures(standing, data.summary(found.person), filters.period(window))


@refresh.part
def live() -> None:
    found = data.profile(key, store.everybody())
    if found is None:
        st.rerun()
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
    view.messages(found.person)
    view.events(found.person)


if key and data.profile(key, store.everybody()):
    with pieces.row():
        window = filters.window()
        st.page_link(people.PAGE, label="Find another learner", icon=":material/person_search:")
        pieces.share()
    with answer:
        headline()
    figures()
    live()
else:
    pieces.answer("Find a person", view.SEARCH)
    if link:
        st.warning("No learner with this ID, or not on your teams.", icon=":material/person_off:")
    view.search()
    view.lately()
