"""Certifications: which certificates have expired, and which courses were completed?"""

import streamlit as st

from dashboard.base import filters, paging, people, pieces, refresh, states, windows
from dashboard.certifications import data, marks, view

VIEWS = {"certificates": "Certificates", "courses": "Course completions"}
WHO = {
    "open": people.OPEN,
    "learner": st.column_config.TextColumn("Learner"),
    "team_id": st.column_config.TextColumn("Team"),
}

zone = windows.viewer_zone()
answer = st.container()
with pieces.row():
    tab = filters.switch("View", "view", VIEWS, "certificates")
    if tab == "courses":
        window = filters.window("30d")
    team, vendor, leavers = filters.by_team(), filters.by_vendor(), filters.with_leavers()
    filters.panel(team, vendor, leavers)
    pieces.share()
who = filters.who(team, vendor, leavers)


@refresh.part
def headline() -> None:
    if tab == "courses":
        view.courses_headline(data.courses(who, window), filters.in_words())
    else:
        first = data.certificates(who, zone, paging.Part(0, 1))
        view.headline(data.totals(who), first)


@refresh.part
def certificates() -> None:
    marks.leave_live_part()
    counts = data.totals(who)
    if not any(counts):
        states.nothing_here(view.CHECK)
        return
    listed, teams = st.columns([2.5, 1], gap="small")
    with listed:
        rows = st.container()
        part = paging.choose(counts.expired + counts.expires_soon + counts.valid)
        with rows:
            view.listed(lambda asked: data.certificates(who, zone, asked), part, WHO)
        view.renewed(lambda asked: data.certificates(who, zone, asked, renewed=True), WHO)
    with teams:
        pieces.section("By team", data.by_team(who), view.TEAM, "teams", "")
    st.caption(view.KNOWN)


@refresh.part
def courses() -> None:
    counted = data.courses(who, window)
    if counted.empty:
        states.nothing_here("No course completed in this period. Choose a longer one.")
        return
    total = int(counted["completions"].sum())
    listed, by_course = st.columns([5, 3], gap="medium")
    with listed:
        rows = st.container()
        part = paging.choose(total)
        with rows:
            view.completed(lambda asked: data.completions(who, window, zone, asked), part, WHO)
    with by_course:
        pieces.section("By course", counted, view.course_columns(counted), "courses", "")


with answer:
    headline()
if tab == "courses":
    courses()
else:
    marks.message()
    certificates()
    marks.confirm_asked()
