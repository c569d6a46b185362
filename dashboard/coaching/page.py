"""Coaching: who needs coaching today, and at which quiz?"""

import streamlit as st

from dashboard import access
from dashboard.base import filters, paging, pieces, states, store, windows
from dashboard.coaching import data, dialogs, view
from shared.queries.people import Who

zone = windows.viewer_zone()
view.result()
head = st.container()
with pieces.row():
    queue = filters.switch("Queue", "queue", view.VIEWS, "new")
    window = filters.switch("Latest try within", "since", view.WINDOWS, "30d")
with pieces.row():
    quiz = filters.choose("Quiz", "quiz", data.quiz_names(access.who(Who())), "All quizzes")
    team = filters.choose("Team", "of", {team: team for team in store.teams()}, "All teams")
    owner = filters.choose("Owner", "owner", {one: one for one in data.owners()}, "All owners")
    vendor = filters.choose_vendor()
    problems = filters.toggle(
        "Also where most people fail",
        "problems",
        "Lists people one by one at quizzes that more than half of five or more fail.",
    )
    if access.may("set_threshold") and st.button("Thresholds", icon=":material/tune:"):
        view.ask("thresholds")


who = access.who(Who(teams=(team,) if team else None, vendor=vendor))


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
