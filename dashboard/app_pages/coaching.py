"""Coaching: who needs me today?"""

import streamlit as st

from dashboard import components
from dashboard.components import coaching as pieces
from dashboard.components import coaching_dialogs as dialogs
from dashboard.data import coaching as data
from dashboard.data import store

zone = components.viewer_zone()
pieces.told()
head = st.container()
with components.row():
    view = components.switch("Queue", "queue", pieces.VIEWS, "new")
    window = components.switch("Latest try within", "since", pieces.WINDOWS, "30d")
with components.row():
    quiz = components.choose("Quiz", "quiz", data.quiz_names(), "All quizzes")
    team = components.choose("Team", "of", {team: team for team in store.teams()}, "All teams")
    owner = components.choose("Owner", "owner", {one: one for one in data.owners()}, "All owners")
    vendor = components.choose_vendor()
    problems = st.toggle(
        "Also where most people fail",
        key="problems",
        bind="query-params",
        help="Lists people one by one at quizzes that more than half of five or more fail.",
    )
    if st.button("Thresholds…", icon=":material/tune:"):
        pieces.ask("thresholds")


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
    asked = data.Asked(window, data.today(zone), zone, quiz, team, owner, vendor, problems)
    counts = data.counts(version, asked)
    with head:
        pieces.headline(counts)
    pieces.problems(quizzes, counts.hidden)
    pieces.queue(asked, view, data.queue(version, asked, view), getattr(counts, view))
    if not quiz:
        pieces.several(data.people_failing(version, asked))
    pieces.quizzes(quizzes)
    pieces.achieved(data.achieved(version.note, asked))


live()
dialogs.open_asked()
