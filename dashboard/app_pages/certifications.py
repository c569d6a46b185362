"""Certifications: whose have run out, and who has completed what?"""

import streamlit as st

from dashboard import components
from dashboard.components import certifications as pieces
from dashboard.components import filters, learner
from dashboard.data import certifications as data
from dashboard.data import store

VIEWS = {"certificates": "Certificates", "courses": "Course completions"}
WHO = {
    "open": learner.OPEN,
    "learner": st.column_config.TextColumn("Learner"),
    "team_id": st.column_config.TextColumn("Team"),
}

with components.row():
    view = components.switch("View", "view", VIEWS, "certificates")
    if view == "courses":
        window = filters.window("30d")
    who = filters.who(leavers=True)
    components.link_to_view()


@st.fragment(run_every=components.LIVE)
def certificates() -> None:
    version = store.version()
    counts = data.totals(version, who)
    if not counts.expired:
        components.nothing_here(
            version,
            "No certificate has run out here. If there should be some, check that the subscription "
            "lists certification.expired.",
        )
        return
    st.markdown(
        f"**{counts.overdue:,} overdue** and **{counts.due_soon:,} due within 30 days**, of "
        f"{counts.expired:,} expired certificates, held by {counts.people:,} people."
    )
    listed, teams = st.columns([3, 1], gap="medium")
    with listed:
        frame = pieces.standing(data.certificates(version, who, components.viewer_zone()))
        columns = {**WHO, **pieces.CERTIFICATE}
        components.section("Most urgent first", learner.opened(frame), columns, "certificates", "")
        components.cut_off(len(frame), int(frame["of"].iloc[0]))
    with teams:
        components.section("By team", data.by_team(version, who), pieces.TEAM, "teams", "")


@st.fragment(run_every=components.LIVE)
def courses() -> None:
    version = store.version()
    frame = data.completions(version, who, window, components.viewer_zone())
    if frame.empty:
        components.nothing_here(version, "No course was completed here. Choose a longer window.")
        return
    counted = data.courses(version, who, window)
    st.markdown(f"**{int(frame['of'].iloc[0]):,} completions** of {len(counted):,} courses.")
    listed, by_course = st.columns([5, 3], gap="medium")
    with listed:
        columns = {**WHO, **pieces.completion_columns(frame)}
        components.section("Latest first", learner.opened(frame), columns, "completions", "")
        components.cut_off(len(frame), int(frame["of"].iloc[0]))
    with by_course:
        components.section("By course", counted, pieces.course_columns(counted), "courses", "")


if view == "courses":
    courses()
else:
    certificates()
