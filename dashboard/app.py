"""Page config, sign-in and navigation."""

from pathlib import Path
from typing import Literal

import streamlit as st

from dashboard import access, components
from dashboard.components import sign_in
from dashboard.data import store

# A local image: with a Material symbol Streamlit asks a font host for the tab's icon.
st.set_page_config("Repboard", page_icon=Path(__file__).parent / "icon.png", layout="wide")


def menu(name: str) -> Literal["visible", "hidden"]:
    """Whether the viewer finds a page in the menu. What keeps them from it comes further down."""
    return "visible" if access.is_here() and access.may(name) else "hidden"


page = st.navigation(
    [
        st.Page(
            "app_pages/leaderboard.py",
            title="Leaderboard",
            default=True,
            visibility=menu("leaderboard"),
            help="Who is moving and who is not, by learner and by team.",
        ),
        st.Page(
            "app_pages/coaching.py",
            title="Coaching",
            visibility=menu("coaching"),
            help="Whose latest graded quiz score is low, and what was done about it.",
        ),
        st.Page(
            "app_pages/certifications.py",
            title="Certifications",
            visibility=menu("certifications"),
            help="Whose certificates have run out, and which courses were completed.",
        ),
        st.Page(
            "app_pages/deliveries.py",
            title="Deliveries",
            visibility=menu("deliveries"),
            help="What vendors sent, what became of it, and what to do about failures.",
        ),
        st.Page(
            "app_pages/learner.py",
            title="Learner",
            visibility=menu("learner"),
            help="One person: progress, quizzes, courses, certificates, coaching, events.",
        ),
        st.Page(
            "app_pages/audit.py",
            title="Audit log",
            visibility=menu("audit"),
            help="Who replayed, flagged, closed, changed a threshold, exported or erased.",
        ),
    ],
    position="top",
)
st.title(page.title, anchor=False)
sign_in.first()
if problem := store.problem():
    components.stop_with(problem)
if not access.may(page.url_path or "leaderboard"):
    sign_in.not_for_you(page.title)
    st.stop()
sign_in.who_is_here()
components.wait_for_first_delivery()
components.status()
page.run()
