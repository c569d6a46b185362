"""Coaching: who needs coaching today, and at which quiz?"""

import streamlit as st

from dashboard import access
from dashboard.base import filters, paging, pieces, states, windows
from dashboard.coaching import data, dialogs, view
from shared.queries.people import Who

zone = windows.viewer_zone()
view.result()
head = st.container()
with pieces.row():
    queue = filters.switch("Queue", "queue", view.VIEWS, "new")
    window = filters.switch("Latest try within", "since", view.WINDOWS, "30d")
    by_quiz = filters.choice("Quiz", "quiz", data.quiz_names(access.who(Who())), "All quizzes")
    by_team, by_vendor = filters.by_team("of"), filters.by_vendor()
    by_owner = filters.choice("Owner", "owner", {one: one for one in data.owners()}, "All owners")
    with_problems = filters.toggle(
        "Include quizzes most people fail",
        "problems",
        "Lists people one by one at quizzes that more than half of five or more fail.",
    )
    filters.panel(by_team, by_quiz, by_owner, by_vendor, with_problems)
    if access.may("set_threshold") and st.button("Thresholds", icon=":material/tune:"):
        view.ask("thresholds")


who = filters.who(by_team, by_vendor)
quiz, owner, problems = by_quiz.value(), by_owner.value(), with_problems.value()


@st.fragment(run_every=pieces.LIVE)
def live() -> None:
    quizzes = data.quizzes(access.who(Who()))
    if quizzes.empty:
        states.nothing_here(view.no_quiz(all_teams=access.sees_all_teams()))
        return
    today = windows.today()
    asked = data.Asked(window, today, zone, who, quiz, owner, problems, data.manager())
    counts = data.counts(asked)
    new = data.queue(asked, "new", paging.Part())
    with head:
        view.headline(counts, None if new.empty else new.iloc[0], window)
    view.problems(quizzes, counts.hidden)
    view.queue(asked, queue, counts)
    if not quiz:
        view.several(data.people_failing(asked))
    view.quizzes(quizzes, all_teams=access.sees_all_teams())
    view.achieved(data.achieved(asked))


live()
dialogs.open_asked()
