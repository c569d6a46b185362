"""Leaderboard: who is moving, who is not?"""

import streamlit as st

from dashboard import charts, components
from dashboard.data import leaderboard as data
from dashboard.data import store

METRICS = {
    "gained": "Progress gained",
    "completed": "Modules completed",
    "average": "Average progress",
    "hours": "Time spent",
}
BOARDS = {"learners": "Learners", "teams": "Teams"}

with components.row():
    window = components.switch("Window", "window", components.WINDOWS, "7d")
    metric = components.switch("Metric", "metric", METRICS, "gained")
with components.row():
    kind = components.switch("Board", "board", BOARDS, "learners")
    team = components.choose("Team", "team", {team: team for team in store.teams()}, "All teams")
    module = components.choose("Module", "module", store.modules(), "All modules")
    leavers = st.toggle("With leavers", key="leavers", bind="query-params")


def key_figures(version: store.Version, board: data.Board) -> None:
    now, before = data.key_figures(version, board)
    shown = {
        "active": ("Active learners", "{:,.0f}"),
        "gained": ("Progress gained", "{:,.0f} pts"),
        "completed": ("Modules completed", "{:,.0f}"),
        "hours": ("Time spent", "{:,.0f} h"),
    }
    components.key_figures(
        [
            components.Figure(
                label, form.format(now[name]), now[name], before[name] if before else None
            )
            for name, (label, form) in shown.items()
        ]
    )


def table(version: store.Version, board: data.Board) -> None:
    teams = kind == "teams"
    frame = (data.team_board if teams else data.learner_board)(version, board)
    if frame.empty:
        components.nothing_here(version, "Nobody here is on the roster of a team.")
        return
    if teams:
        st.caption("Ranked by the average of a team's members, so that size does not win.")
        columns = components.team_columns(metric, METRICS[metric], frame)
    else:
        columns = components.learner_columns(metric, METRICS, frame)
        components.cut_off(len(frame), int(frame["of"].iloc[0]))
    components.table(frame, columns, f"{BOARDS[kind]} by {METRICS[metric]}", f"board_{kind}")
    components.csv(frame[list(columns)], kind)


@st.fragment(run_every=components.LIVE)
def live() -> None:
    version = store.version()
    board = data.Board(metric, window, store.today(), team, module, leavers)
    days = data.people_by_day(version, board)
    if days.empty:
        components.nothing_here(
            version, "Nobody made progress here. Choose a longer window or fewer filters."
        )
        return
    key_figures(version, board)
    table(version, board)
    st.subheader("People making progress, by day", anchor=False)
    chart = charts.people_by_day(days, data.day_span(board, days))
    st.altair_chart(chart, alt="How many people made progress on each day", key="people_by_day")


live()
