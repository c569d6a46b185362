"""Coaching: who needs me today?"""

import streamlit as st

from dashboard.base import filters, pieces, states, store, windows
from dashboard.coaching import data, dialogs, view

zone = windows.viewer_zone()
view.told()
head = st.container()
with pieces.row():
    queue = filters.switch("Queue", "queue", view.VIEWS, "new")
    window = filters.switch("Latest try within", "since", view.WINDOWS, "30d")
with pieces.row():
    quiz = filters.choose("Quiz", "quiz", data.quiz_names(), "All quizzes")
    team = filters.choose("Team", "of", {team: team for team in store.teams()}, "All teams")
    owner = filters.choose("Owner", "owner", {one: one for one in data.owners()}, "All owners")
    vendor = filters.choose_vendor()
    problems = filters.toggle(
        "Also where most people fail",
        "problems",
        "Lists people one by one at quizzes that more than half of five or more fail.",
    )
    if st.button("Thresholds…", icon=":material/tune:"):
        view.ask("thresholds")


@st.fragment(run_every=pieces.LIVE)
def live() -> None:
    version = store.version()
    quizzes = data.quizzes(version)
    if quizzes.empty:
        states.nothing_here(
            version,
            "No graded quiz has come in yet. Check that the subscription lists quiz.submitted.",
        )
        return
    asked = data.Asked(window, windows.today(), zone, quiz, team, owner, vendor, problems)
    counts = data.counts(version, asked)
    with head:
        view.headline(counts)
    view.problems(quizzes, counts.hidden)
    view.queue(asked, queue, data.queue(version, asked, queue), getattr(counts, queue))
    if not quiz:
        view.several(data.people_failing(version, asked))
    view.quizzes(quizzes)
    view.achieved(data.achieved(version.note, asked))


live()
dialogs.open_asked()
