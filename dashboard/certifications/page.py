"""Certifications: which certificates have expired, and which courses were completed?"""

import streamlit as st

from dashboard.base import filters, people, pieces, states, store, windows
from dashboard.base.certificates import completion_columns
from dashboard.certifications import data, marks, view

VIEWS = {"certificates": "Certificates", "courses": "Course completions"}
WHO = {
    "open": people.OPEN,
    "learner": st.column_config.TextColumn("Learner"),
    "team_id": st.column_config.TextColumn("Team"),
}

with pieces.row():
    tab = filters.switch("View", "view", VIEWS, "certificates")
    if tab == "courses":
        window = filters.window("30d")
    who = filters.who(leavers=True)
    pieces.link_to_view()


@st.fragment(run_every=pieces.LIVE)
def certificates() -> None:
    marks.leave_live_part()
    version = store.version()
    counts = data.totals(version, who)
    if not any(counts):
        states.nothing_here(
            version,
            "No certificate has expired. If you expect some, check that the subscription lists "
            "certification.expired.",
        )
        return
    view.headline(counts)
    listed, teams = st.columns([3, 1], gap="medium")
    with listed:
        view.listed(data.certificates(version, who, windows.viewer_zone()), WHO)
        view.renewed(data.certificates(version, who, windows.viewer_zone(), renewed=True), WHO)
    with teams:
        pieces.section("By team", data.by_team(version, who), view.TEAM, "teams", "")


@st.fragment(run_every=pieces.LIVE)
def courses() -> None:
    version = store.version()
    frame = data.completions(version, who, window, windows.viewer_zone())
    if frame.empty:
        states.nothing_here(version, "No course completed in this period. Choose a longer one.")
        return
    counted = data.courses(version, who, window)
    st.markdown(f"**{int(frame['of'].iloc[0]):,} completions** of {len(counted):,} courses.")
    listed, by_course = st.columns([5, 3], gap="medium")
    with listed:
        columns = {**WHO, **completion_columns(frame)}
        pieces.section("Latest first", people.opened(frame), columns, "completions", "")
        pieces.cut_off(len(frame), int(frame["of"].iloc[0]))
    with by_course:
        pieces.section("By course", counted, view.course_columns(counted), "courses", "")


if tab == "courses":
    courses()
else:
    marks.message()
    certificates()
    marks.confirm_asked()
