"""Audit log: who did what, when, to what?"""

import streamlit as st

from dashboard.audit import data, view
from dashboard.base import filters, paging, pieces, refresh, states, windows
from shared.queries.audit import Asked

zone = windows.viewer_zone()
answer = st.container()
with pieces.row():
    window = filters.window("30d")
    actor = filters.choice("Actor", "actor", {one: one for one in data.actors()}, "All actors")
    action = filters.choice("Action", "action", {one: one for one in data.actions()}, "All actions")
    filters.panel(actor, action)
    words = filters.words("Search", "search", "A case, a vendor, or words of an entry")
    pieces.share()


def asked() -> Asked:
    return data.asked(window, actor.value(), action.value(), words)


@refresh.part
def headline() -> None:
    latest = data.entries(asked(), zone, paging.Part(0, 1))
    view.headline(data.how_many(asked()), latest, filters.in_words())


@refresh.part
def live() -> None:
    total = data.how_many(asked())
    if not total:
        states.no_match("No action in this period. Try a longer one, or fewer filters.")
        return
    rows = st.container()
    part = paging.choose(total)
    with rows:
        view.listed(data.entries(asked(), zone, part))
    pieces.csv_of(lambda: data.entries(asked(), zone, paging.WHOLE), view.IN_FILE, "audit")


with answer:
    headline()
live()
