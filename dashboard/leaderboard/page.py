"""Leaderboard: who is moving, who is not?"""

import streamlit as st

from dashboard.base import filters, paging, pieces, refresh, windows
from dashboard.leaderboard import aside, data, head, view
from dashboard.leaderboard.words import METRICS
from shared.queries.team_boards import TEAM_RULES

opened = windows.quarter_hour()
day = data.Day(windows.today(), windows.viewer_zone())
answer = st.container()
toolbar = pieces.row()
with toolbar:
    window = filters.window()
    team, vendor, leavers = filters.by_team(), filters.by_vendor(), filters.with_leavers()
    module = filters.by_module()
    filters.panel(team, module, vendor, leavers)
    pieces.share()
    st.page_link("contests/page.py", label="Contests", icon=":material/emoji_events:")
who = filters.who(team, vendor, leavers)
board = data.board_of(who, window, filters.module_of(module.value()))
period = filters.period(window)
compared = period.compared
first = st.container()


@refresh.part
def headline(metric: str) -> None:
    windows.follow(opened)
    shown = data.headline(metric, board)
    if kind == "teams":
        head.of_teams(data.team_board(metric, board), shown, period)
    elif kind == "modules":
        head.of_modules(data.module_board(board), period)
    else:
        head.headline(shown, period, data.only_team(who))


@refresh.part
def missing() -> None:
    head.missing(data.lag(window), window)


@refresh.part
def leaders(metric: str) -> None:
    figures = data.figures(board, opened)
    if not figures.now["active"]:
        head.nothing(period)
        return
    if kind == "learners":
        head.podium(data.headline(metric, board))
    head.figures(figures, period)


@refresh.part
def learners(metric: str, find: str) -> None:
    total = data.learner_count(metric, board, find)
    if not total:
        if find:
            st.info("No learner on this board has that in name, e-mail or ID.")
        return
    listed, beside = st.columns([3, 1.05], gap="small")
    with listed:
        rows = st.container()
        part = paging.choose(total, view.ROWS)
        with rows:
            view.learners(data.learner_board(metric, board, day, find, part), metric, compared)
        columns = view.in_full(metric, compared)
        pieces.csv_of(lambda: data.whole_board(metric, board, find), columns, "learners")
        below = st.columns(2, gap="small")
        with below[0]:
            aside.teams(data.team_board("gained", board), compared)
        with below[1]:
            aside.still(*data.still(metric, board), period)
    with beside:
        aside.climbers(data.climbers(metric, board))
        aside.close_calls(data.close_calls(board))


@refresh.part
def teams(metric: str) -> None:
    frame = data.team_board(metric, board)
    if frame.empty:
        st.info("No learner here is on the roster of a team.", icon=":material/info:")
        return
    view.teams(frame, metric, compared)
    st.caption(TEAM_RULES[board.credit])


@refresh.part
def modules() -> None:
    frame = data.module_board(board)
    if not frame.empty:
        view.modules(frame)


with pieces.row():
    kind = filters.switch("Board", "board", view.BOARDS, "learners")
    by = filters.pick("Ranked by", "metric", METRICS, "gained") if kind != "modules" else ""
    if by == "score":
        board = data.by_score(board)
    if kind == "learners":
        words = view.find()
        view.jumps(by, board)
    elif kind == "teams":
        board = board._replace(credit=view.credit())
metric = by or "gained"
with answer:
    headline(metric)
with toolbar:
    st.space("stretch")
    with st.container(width="content"):
        missing()
with first:
    leaders(metric)
if kind == "learners":
    learners(by, words)
elif kind == "teams":
    teams(by)
else:
    modules()
view.explain_if_asked(metric, board, period)
