"""Page config, sign-in and navigation."""

from pathlib import Path
from typing import Literal

import streamlit as st

from dashboard import access, sign_in
from dashboard.base import address, contests, filters, first_run, pieces, refresh, states, store
from dashboard.base.colours import DARK, LIGHT, is_dark

HERE = Path(__file__).parent
# A local image: with a Material symbol Streamlit asks a font host for the tab's icon.
st.set_page_config("Repboard", page_icon=HERE / "icon.png", layout="wide")
st.logo(HERE / f"logo-{'dark' if is_dark() else 'light'}.svg", size="large")


def menu(name: str) -> Literal["visible", "hidden"]:
    """Whether a page is in the viewer's menu. Access itself is checked below."""
    return "visible" if access.is_here() and access.may(name) else "hidden"


page = st.navigation(
    [
        st.Page(
            "leaderboard/page.py",
            title="Leaderboard",
            url_path="leaderboard",
            default=True,
            visibility=menu("leaderboard"),
            help="Progress by learner and by team.",
        ),
        st.Page(
            "contests/page.py",
            title="Contests",
            url_path="contests",
            visibility=menu("contests"),
            help="Boards with a start, an end and a result that stays.",
        ),
        st.Page(
            "coaching/page.py",
            title="Coaching",
            url_path="coaching",
            visibility=menu("coaching"),
            help="Learners whose latest graded quiz score is low, and their coaching.",
        ),
        st.Page(
            "certifications/page.py",
            title="Certifications",
            url_path="certifications",
            visibility=menu("certifications"),
            help="Expired certificates, and completed courses.",
        ),
        st.Page(
            "deliveries/page.py",
            title="Deliveries",
            url_path="deliveries",
            visibility=menu("deliveries"),
            help="What vendors sent, with which outcome, and what to do about failures.",
        ),
        st.Page(
            "learner/page.py",
            title="Learners",
            url_path="learner",
            visibility=menu("learner"),
            help="One learner: progress, quizzes, courses, certificates, coaching, events.",
        ),
        st.Page(
            "audit/page.py",
            title="Audit log",
            url_path="audit",
            visibility=menu("audit"),
            help="Who replayed, flagged, closed, changed a pass mark, exported or erased.",
        ),
        st.Page(
            "scoring/page.py",
            title="Scoring",
            url_path="scoring",
            visibility=menu("scoring"),
            help="What learners get points for, and the board that other weights would make.",
        ),
        st.Page(
            "screens/page.py",
            title="Screens",
            url_path="screens",
            visibility=menu("screens"),
            help="Wall displays: pair one by its code, or revoke it.",
        ),
        st.Page(
            "preferences/page.py",
            title="Messages",
            url_path="preferences",
            visibility=menu("preferences"),
            help="Which messages you get, where and when.",
        ),
        st.Page("wall/page.py", title="Wall", url_path="wall", visibility="hidden"),
    ],
    position="top",
)
# Section headings stand close to what they head. On a filled button in the dark theme Streamlit
# writes in white, which is too pale on its accent. A part keeps its look while it is drawn again:
# live parts would fade every few seconds, below the contrast that text needs.
st.html(
    "<style>[data-testid=stMain] h2{padding-top:.25rem}"
    "[data-testid=stMain] [data-stale=true]{opacity:1!important}"
    f"button[kind^=primary]{{color:light-dark({LIGHT.ground},{DARK.ground})}}"
    "</style>"
)
if page.url_path == "wall":
    page.run()  # a screen has no sign-in, and draws nothing around its board
    st.stop()
if page.url_path == "preferences" and "subscription" in st.query_params:
    # The link of a message ends or pauses its subscription without a sign-in.
    if problem := store.problem():
        states.stop_with(problem)
    page.run()
    st.stop()
sign_in.first()
if problem := store.problem():
    states.stop_with(problem)
if not access.may(page.url_path or "leaderboard"):
    sign_in.not_for_you(page.title)
    st.stop()
if first_run.waits(page.url_path or "leaderboard"):
    sign_in.who_is_here()
    st.stop()
contests.store_due_results()
address.begin(page.url_path)
above = st.container()
refresh.begin()
with pieces.downloads():
    page.run()
with above:
    filters.say_unknown()
st.divider()
states.foot()
sign_in.who_is_here()
