"""Coaching: who needs me today?"""

import streamlit as st

from dashboard import charts, components
from dashboard.data import coaching as data
from dashboard.data import store

with components.row():
    window = components.switch("Latest try within", "since", components.WINDOWS, "30d")
    team = components.choose("Team", "of", {team: team for team in store.teams()}, "All teams")
    quiz = components.choose("Quiz", "quiz", data.quiz_names(), "All quizzes")

COLUMNS = {
    "learner": st.column_config.TextColumn("Learner", width=260),
    "quiz": st.column_config.TextColumn("Quiz"),
    "latest_pct": st.column_config.ProgressColumn(
        "Latest score", format="%.0f %%", min_value=0, max_value=100
    ),
    "threshold_pct": st.column_config.NumberColumn("Threshold", format="%.0f %%"),
    "best_pct": st.column_config.NumberColumn("Best", format="%.0f %%"),
    "tries": st.column_config.NumberColumn("Tries", help="Graded attempts; practice never counts."),
    "team_id": st.column_config.TextColumn("Team"),
    "submitted_at": st.column_config.DatetimeColumn("When", format="distance"),
}


@st.fragment(run_every=components.LIVE)
def live() -> None:
    version = store.version()
    quizzes = data.quizzes(version)
    if quizzes.empty:
        components.nothing_here(
            version,
            "No graded quiz has come in yet. Check that the subscription lists quiz.submitted.",
        )
        return
    zone = components.viewer_zone()
    low = data.low_scorers(version, window, store.today(), team, quiz, zone)
    counts = data.low_counts(version, window, store.today(), team, quiz)
    if low.empty:
        st.success("No latest score is under its threshold here.", icon=":material/check_circle:")
    else:
        st.markdown(
            f"**{counts.people:,} people** are under the threshold at their latest graded try on "
            f"**{counts.quizzes:,} quizzes**. The lowest score comes first."
        )
        components.table(low, COLUMNS, "People whose latest graded score is low", "low_scorers")
        components.cut_off(len(low), counts.items)
        components.csv(low[list(COLUMNS)], "coaching")
    st.subheader("Quizzes by share of takers under the threshold", anchor=False)
    st.caption("Where most people fail, look at the quiz first.")
    st.altair_chart(
        charts.quizzes(quizzes), alt="Share of takers under the threshold, by quiz", key="quizzes"
    )


live()
