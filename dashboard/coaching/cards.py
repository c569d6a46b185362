"""Below the queue: is it the quiz or the person, and what became of retakes."""

import pandas as pd
import streamlit as st

from dashboard.base.colours import palette
from dashboard.base.percent import percent
from dashboard.base.pieces import heading, plain, table
from dashboard.base.store import each
from dashboard.coaching import charts
from dashboard.coaching.head import worst_quiz
from dashboard.coaching.view import percent_column

ROW_PX, FRAME_PX = 30, 56
SHOWN = 8
"""Quizzes drawn, those with the largest share of fails; the table has all."""


def quizzes(frame: pd.DataFrame, *, all_teams: bool) -> None:
    """How many fail each quiz, as a chart and as a table."""
    with st.container(border=True, gap="xsmall", height="stretch"):
        heading("Quiz or person?")
        most = frame.sort_values("share", ascending=False, kind="stable").head(SHOWN)
        worst = worst_quiz(frame)
        st.vega_lite_chart(
            charts.quizzes(most, palette()),
            height=ROW_PX * len(most) + FRAME_PX,
            alt="Share of takers who fail, by quiz. "
            + (f"Most fail {worst.quiz}." if worst is not None else "No quiz is failed by most."),
            key="quizzes",
        )
        teams = "over all teams" if all_teams else "of your teams"
        st.markdown(
            f":small[:gray[By each taker's latest graded score, {teams}, of all time. In orange: "
            "most people fail it, so fix the quiz.]]"
        )
        columns = {
            "quiz": st.column_config.TextColumn("Quiz", width=200),
            "share": percent_column("Fail"),
            "low": st.column_config.NumberColumn("Failing"),
            "takers": st.column_config.NumberColumn("Takers"),
            "threshold_pct": percent_column("Pass mark"),
        }
        with st.expander("All quizzes as a table"):
            table(frame.sort_values("share", ascending=False), columns, "Quizzes", "quiz_table")


def achieved(frame: pd.DataFrame) -> None:
    """Results of retakes, with coaching and without."""
    with st.container(border=True, gap="xsmall", height="stretch"):
        heading("Does coaching work?")
        if frame.empty:
            st.caption("No learner who failed has tried again here.")
            return
        rows = frame.assign(
            kind=frame["coached"].map({True: "Coached", False: "Not coached"}),
            share=100 * frame["passed"] / frame["retakes"],
        )
        said = "; ".join(
            f"**{percent(row.share)} of {row.retakes:,}** {plain(str(row.kind)).lower()} passed"
            for row in each(rows)
        )
        st.markdown(
            f"{said}. :small[:gray[People are picked for coaching, so this shows what followed, "
            "not the cause.]]"
        )
        st.vega_lite_chart(
            charts.retakes(rows, palette()),
            height=ROW_PX * len(rows) + FRAME_PX,
            alt="Share of retakes passed: " + said.replace("**", ""),
            key="retakes",
        )
        columns = {
            "kind": st.column_config.TextColumn("Retakes", width=110),
            "retakes": st.column_config.NumberColumn("Tried again"),
            "passed": st.column_config.NumberColumn("Passed so far"),
            "lift_pct": st.column_config.NumberColumn("Lift, median", format="%+.0f points"),
            "days": st.column_config.NumberColumn("Days to pass, median", format="%.1f"),
        }
        table(rows, columns, "Retakes with coaching and without", "achieved")
        st.markdown(
            ":small[:gray[From the first fail to the next pass or the latest try. Coached: flagged "
            "before the last of these tries.]]"
        )
