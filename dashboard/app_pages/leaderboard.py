"""Leaderboard: who is moving, who is not?"""

import streamlit as st

from dashboard import components
from dashboard.components import filters
from dashboard.components import leaderboard as pieces
from dashboard.data import leaderboard as data
from dashboard.data import store

day = data.Day(filters.today(), components.viewer_zone())
with components.row():
    window = filters.window()
    who = filters.who(leavers=True)
    module = filters.module()
    components.link_to_view()
board = data.board_of(who, window, module)
compared = window.before is not None


@st.fragment(run_every=components.LIVE)
def head() -> None:
    filters.follow(day.date)
    version = store.version()
    pieces.notice(data.lag(version, window))
    figures = data.figures(version, board)
    if not figures.now["active"]:
        components.nothing_here(
            version, "Nobody made progress here. Choose a longer window or fewer filters."
        )
        return
    pieces.headline(data.headline(version, board), filters.in_words())
    pieces.figures(figures)


@st.fragment(run_every=components.LIVE)
def learners(metric: str) -> None:
    version = store.version()
    frame = data.learner_board(version, metric, board, day)
    if frame.empty:
        return
    listed, aside = st.columns([3, 1])
    with listed:
        pieces.learners(frame, metric, compared=compared)
    with aside, st.container(gap="xsmall"):
        pieces.climbers(data.climbers(version, metric, board))
        pieces.close_calls(data.close_calls(version, board))


@st.fragment(run_every=components.LIVE)
def teams(metric: str) -> None:
    frame = data.team_board(store.version(), metric, board)
    if frame.empty:
        st.info("Nobody here is on the roster of a team.", icon=":material/info:")
        return
    st.caption("Ranked by the average of a team's members, so that size does not win.")
    pieces.teams(frame, metric, compared=compared)


@st.fragment(run_every=components.LIVE)
def modules() -> None:
    frame = data.module_board(store.version(), board)
    if not frame.empty:
        pieces.modules(frame)


head()
with components.row():
    kind = components.switch("Board", "board", pieces.BOARDS, "learners")
    by = (
        components.switch("Metric", "metric", pieces.METRICS, "gained") if kind != "modules" else ""
    )
if kind == "learners":
    learners(by)
elif kind == "teams":
    teams(by)
else:
    modules()
pieces.explain_if_asked(store.version(), by or "gained", board, filters.in_words())
