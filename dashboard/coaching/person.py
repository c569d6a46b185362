"""The person of the queue who is looked at: the scores against the pass mark, and what to do."""

from datetime import date
from typing import Any

import streamlit as st

from dashboard.base import charts
from dashboard.base.colours import palette
from dashboard.base.percent import exact, percent
from dashboard.base.pictures import avatar
from dashboard.base.pieces import plain
from dashboard.base.store import each
from dashboard.base.windows import ago, viewer_zone
from dashboard.coaching import data
from dashboard.coaching.view import ask, decline, label, open_item, snooze, take
from shared.queries.coaching import Item
from shared.queries.coaching_states import ACTIVE

FACE_PX = 52


def shown(row: Any, quizzes: Any) -> None:
    """A row of the queue as a card; nothing if the learner has gone since."""
    taker = data.Taker(row.vendor, row.user_id, row.quiz_id)
    found = data.item(taker, viewer_zone())
    if found is None:
        return
    with st.container(border=True, gap="small"):
        _who(row, found)
        st.markdown(f"**{plain(found.quiz)}** · {_score(found.row)}")
        frame = found.attempts.assign(threshold_pct=found.row.threshold_pct)
        points = charts.on_the_clock(frame)
        if len(points):
            st.vega_lite_chart(
                charts.quiz_scores(points, charts.around(points["at"]), palette()),
                alt=f"Scores of {len(points)} attempts at {found.quiz}, the latest "
                f"{_score(found.row)}",
                key="person_scores",
                height=170,
            )
        about = f"{_quiz_or_person(found, quizzes)}{charts.not_drawn(frame)}"
        st.markdown(f":small[:gray[{about.strip()}]]")
        if said := data.messages(taker):
            st.markdown(f":small[:gray[:material/notifications: {plain(said)}]]")
        _actions(row, taker, found.row)


def _who(row: Any, found: data.Detail) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small", wrap=False):
        st.image(avatar(found.learner), width=FACE_PX, alt="")
        team = f"{plain(found.row.team_id)} · " if found.row.team_id else ""
        tries = f"{found.row.tries} graded {'try' if found.row.tries == 1 else 'tries'}"
        about = f"{team}{tries}, latest {ago(found.row.submitted_at)}{_promise(row)}"
        st.markdown(f"**{plain(found.learner)}**  \n:small[:gray[{about}]]", width="stretch")
        if row.state == "new" and row.course:
            st.badge(plain(str(row.course)), color="red")
        else:
            st.badge(plain(str(row.stands)), color="orange" if "overdue" in row.stands else "gray")


def _promise(row: Any) -> str:
    """Of an open case: who works on it, and until when."""
    if row.state not in ACTIVE:
        return ""
    due = f", due {row.due:%-d %b}" if isinstance(row.due, date) else ""
    owner = plain(row.owner) if isinstance(row.owner, str) else "no owner"
    return f" · {owner}{due}"


def _score(row: Item) -> str:
    """`55 %, 15 under the pass mark of 70 %`."""
    if row.latest_pct is None:
        return "no score in percent"
    score, mark = percent(row.latest_pct, row.threshold_pct), exact(row.threshold_pct)
    apart = row.latest_pct - row.threshold_pct
    side = f"{abs(apart):.0f} {'over' if apart > 0 else 'under'}" if round(apart) else "at"
    return f"{score}, {side} the pass mark of {mark}"


def _quiz_or_person(found: data.Detail, quizzes: Any) -> str:
    """What others make of this quiz, so that the person is not blamed for it."""
    of = each(quizzes[quizzes["key"] == data.quiz_key(found.row)])
    if not of:
        return ""
    quiz = of[0]
    fail = f"{percent(quiz.all_share)} of {quiz.all_takers:,} who took this quiz fail it"
    return f"{fail}: {'look at the quiz first' if quiz.problem else 'most people pass it'}."


def _actions(row: Any, taker: data.Taker, item: Item) -> None:
    """Each with its key; the dialogs have the rest."""
    names = {taker: label(row)}
    with st.container(horizontal=True, vertical_alignment="center", gap="xsmall"):
        free = item.state == "new" or (item.state in ACTIVE and item.owner is None)
        if item.state == "new" and data.coaches():
            if st.button("Flag for coaching", type="primary", shortcut="F", icon=":material/flag:"):
                ask("flag", names)
            if st.button("Snooze", shortcut="Z"):
                snooze(taker, label(row))
            if st.button("Not needed", shortcut="X"):
                decline(taker, label(row))
        elif free and st.button("Take", type="primary", shortcut="T", icon=":material/flag:"):
            take(names)
        if st.button("Open", shortcut="O"):
            open_item(taker)
        st.space("stretch")
        if st.button("Next", type="tertiary", shortcut="J", icon=":material/arrow_downward:"):
            st.session_state["coaching_next"] = st.session_state.get("coaching_next", 0) + 1
            st.rerun(scope="fragment")
