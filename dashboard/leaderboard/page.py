"""Leaderboard: who is moving, who is not?"""

import streamlit as st

from dashboard.base import filters, pieces, states, store, windows
from dashboard.leaderboard import data, view
from shared.queries.leaderboard import TEAM_RULES

day = data.Day(windows.today(), windows.viewer_zone())
with pieces.row():
    window = filters.window()
    who = filters.who(leavers=True)
    module = filters.module()
    pieces.link_to_view()
board = data.board_of(who, window, module)
compared = window.before is not None


@st.fragment(run_every=pieces.LIVE)
def head() -> None:
    windows.follow(day.date)
    version = store.version()
    view.notice(data.lag(version, window), window)
    figures = data.figures(version, board)
    if not figures.now["active"]:
        states.nothing_here(
            version, "Nobody made progress here. Choose a longer window or fewer filters."
        )
        return
    view.headline(data.headline(version, board), filters.in_words())
    view.figures(figures)


@st.fragment(run_every=pieces.LIVE)
def learners(metric: str) -> None:
    version = store.version()
    frame = data.learner_board(version, metric, board, day)
    if frame.empty:
        return
    listed, aside = st.columns([3, 1])
    with listed:
        view.learners(frame, metric, compared=compared)
    with aside, st.container(gap="xsmall"):
        view.climbers(data.climbers(version, metric, board))
        view.close_calls(data.close_calls(version, board))


@st.fragment(run_every=pieces.LIVE)
def teams(metric: str) -> None:
    frame = data.team_board(store.version(), metric, board)
    if frame.empty:
        st.info("Nobody here is on the roster of a team.", icon=":material/info:")
        return
    st.caption(TEAM_RULES[board.credit])
    view.teams(frame, metric, compared=compared)


@st.fragment(run_every=pieces.LIVE)
def modules() -> None:
    frame = data.module_board(store.version(), board)
    if not frame.empty:
        view.modules(frame)


head()
with pieces.row():
    kind = filters.switch("Board", "board", view.BOARDS, "learners")
    by = filters.switch("Metric", "metric", view.METRICS, "gained") if kind != "modules" else ""
if kind == "learners":
    learners(by)
elif kind == "teams":
    teams(by)
else:
    modules()
view.explain_if_asked(store.version(), by or "gained", board, filters.in_words())
