"""Contests: who leads, who won, and does the result stay?"""

import streamlit as st

from dashboard.base import pieces, refresh
from dashboard.contests import data, form, view
from dashboard.contests.data import ContestRow

asked = st.query_params.get("contest", "")
answer = st.container()


def chosen() -> ContestRow | None:
    """The contest of the address; None if there is none that the viewer may see."""
    found = data.contests_of(data.viewer_teams())
    return next((row for row in found if str(row.id) == asked), None)


@refresh.part
def headline() -> None:
    row = chosen()
    if row is None:
        view.list_headline(data.contests_of(data.viewer_teams()))
    else:
        view.headline(row)


@refresh.part
def live() -> None:
    row = chosen()
    if row is None:
        view.listed(data.contests_of(data.viewer_teams()))
    else:
        view.shown(row)


with answer:
    headline()
with pieces.row():
    opened = chosen()
    if opened is not None:
        st.page_link(view.PAGE, label="All contests", icon=":material/emoji_events:")
    if st.button("New contest", icon=":material/add:", type="primary"):
        form.ask()
    pieces.share()
    if opened is not None:
        view.removal(opened)
if asked and opened is None:
    st.warning("No contest with this ID, or not of your teams.", icon=":material/search_off:")
live()
form.opened()
