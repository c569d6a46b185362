"""Coaching: who needs coaching today, and at which quiz?"""

import streamlit as st

from dashboard import access
from dashboard.base import filters, paging, pieces, refresh, states, windows
from dashboard.coaching import cards, data, dialogs, head, person, view
from shared.queries.people import Who

SWITCH_PX = 520  # as wide as the queues' names and numbers

zone = windows.viewer_zone()
view.result()
answer = st.container()
by_window = filters.option("Tried or closed within", "since", view.WINDOWS, "30d")
by_quiz = filters.choice("Quiz", "quiz", data.quiz_names(access.who(Who())), "All quizzes")
by_team, by_vendor = filters.by_team("of"), filters.by_vendor()
by_owner = filters.choice("Owner", "owner", {one: one for one in data.owners()}, "All owners")
with_problems = filters.toggle(
    "Include quizzes most people fail",
    "problems",
    "Lists people one by one at quizzes that more than half of five or more fail.",
)
window = by_window.value()
who = filters.who(by_team, by_vendor)
quiz, owner, problems = by_quiz.value(), by_owner.value(), with_problems.value()


def asked() -> data.Asked:
    today = windows.today()
    return data.Asked(window, today, zone, who, quiz, owner, problems, data.manager())


@refresh.part
def queues() -> str:
    """The chosen queue. A choice draws the whole page; the numbers of all queues are live."""
    chosen = filters.switch("Queue", "queue", view.counted(data.counts(asked())), "new")
    if st.session_state.setdefault("coaching_queue", chosen) != chosen:
        st.session_state["coaching_queue"] = chosen
        st.session_state.pop("coaching_next", None)
        st.rerun()
    return chosen


with pieces.row():
    with st.container(width=SWITCH_PX):  # on a phone a line of its own
        queue = queues()
    filters.panel(by_window, by_team, by_quiz, by_owner, by_vendor, with_problems)
    if access.may("set_threshold") and st.button("Pass marks", icon=":material/tune:"):
        view.ask("thresholds")
    pieces.share()
view.last_action()


@refresh.part
def headline() -> None:
    quizzes = data.quizzes(access.who(Who()))
    if quizzes.empty:
        pieces.answer("No quiz to coach on yet")
        return
    first = data.first(asked(), paging.Part(0, view.ROWS))  # as the queue lists
    head.headline(data.counts(asked()), first, quizzes, window, data.achieved(asked()))


@refresh.part
def live() -> None:
    quizzes = data.quizzes(access.who(Who()))
    if quizzes.empty:
        states.nothing_here(view.no_quiz(all_teams=access.sees_all_teams()))
        return
    counts = data.counts(asked())
    listed, beside = st.columns([5, 4], gap="small")
    with listed:
        row = view.queue(asked(), queue, counts)
        head.hidden(counts)
    if row is not None:
        with beside:
            person.shown(row, quizzes)
    if not quiz:
        view.several(data.people_failing(asked()))
    left, right = st.columns([5, 4], gap="small")
    with left:
        cards.quizzes(quizzes, all_teams=access.sees_all_teams())
    with right:
        cards.achieved(data.achieved(asked()))


with answer:
    headline()
live()
dialogs.open_asked()
