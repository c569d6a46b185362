"""Page config and navigation."""

from pathlib import Path

import streamlit as st

from dashboard import components
from dashboard.data import store

# A local image: with a Material symbol Streamlit asks a font host for the tab's icon.
st.set_page_config("Repboard", page_icon=Path(__file__).parent / "icon.png", layout="wide")

page = st.navigation(
    [
        st.Page(
            "app_pages/leaderboard.py",
            title="Leaderboard",
            default=True,
            help="Who is moving and who is not, by learner and by team.",
        ),
        st.Page(
            "app_pages/coaching.py",
            title="Coaching",
            help="Whose latest graded quiz score is low, and what was done about it.",
        ),
        st.Page(
            "app_pages/certifications.py",
            title="Certifications",
            help="Whose certificates have run out, and which courses were completed.",
        ),
        st.Page(
            "app_pages/deliveries.py",
            title="Deliveries",
            help="What vendors sent, what became of it, and what to do about failures.",
        ),
        st.Page(
            "app_pages/learner.py",
            title="Learner",
            help="One person: progress, quizzes, courses, certificates, coaching, events.",
        ),
    ],
    position="top",
)
if problem := store.problem():
    components.stop_with(problem)
st.title(page.title, anchor=False)
components.wait_for_first_delivery()
components.status()
page.run()
