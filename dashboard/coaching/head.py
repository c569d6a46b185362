"""The first lines of the coaching page: who needs coaching, and which quiz is at fault."""

from typing import Any

import pandas as pd
import streamlit as st

from dashboard.base.percent import percent
from dashboard.base.pieces import answer, plain
from dashboard.base.store import each
from shared.queries.coaching import Counts
from shared.wording import number_of

WITHIN = {
    "7d": "of the last 7 days",
    "30d": "of the last 30 days",
    "quarter": "of this quarter",
    "all": "of all time",
}


def headline(
    counts: Counts, first: Any, quizzes: pd.DataFrame, window: str, retakes: pd.DataFrame
) -> None:
    """`first` is the most urgent new item, if there is one; `window` is where low scores are looked
    for; `retakes` are the results with coaching and without."""
    said = _why(counts, first, quizzes, window)
    if len(retakes):
        passed = ", ".join(map(_passed, each(retakes)))
        said.append(f"Retakes passed so far: {passed}{_caveat(retakes)}.")
    answer(_answer(counts, first), " ".join(said))


def _caveat(retakes: pd.DataFrame) -> str:
    """What the comparison does not say, beside it."""
    if len(retakes) == 1:
        return ""
    return " (people are picked for coaching, so the difference does not show its effect)"


def _passed(row: Any) -> str:
    """`**75 %** of 28 coached`."""
    kind = "coached" if row.coached else "not coached"
    return f"**{percent(100 * row.passed / row.retakes)}** of {row.retakes:,} {kind}"


def _answer(counts: Counts, first: Any) -> str:
    if counts.people:
        return f"Coach {_people(counts.people)} today, {plain(str(first.learner))} first"
    if counts.hidden_people or counts.hidden:
        return "Look at the quiz first, not at people"
    if counts.progress or counts.ready:
        return "No new low score: the open cases go on"
    return "All caught up: no one needs coaching here"


def _people(number: int) -> str:
    return "1 person" if number == 1 else f"{number:,} people"


def _why(counts: Counts, first: Any, quizzes: pd.DataFrame, window: str) -> list[str]:
    said = []
    if counts.people:
        fresh = f", {counts.fresh:,} since yesterday" if counts.fresh else ""
        said.append(
            f"{number_of(counts.new, 'low score').capitalize()} {WITHIN[window]}{fresh}; first "
            f"*{plain(str(first.quiz))}* ({first.why})."
        )
    if counts.progress:
        late = f", {counts.overdue:,} overdue" if counts.overdue else ""
        verb = "is" if counts.progress == 1 else "are"
        said.append(f"{number_of(counts.progress, 'case')} {verb} open{late}.")
    if counts.ready:
        said.append(f"{number_of(counts.ready, 'case')} passed since the flag: ready to close.")
    worst = worst_quiz(quizzes)
    if worst is not None:
        others = int(quizzes["problem"].sum()) - 1
        more = f"; most people also fail {others:,} more {'quiz' if others == 1 else 'quizzes'}"
        said.append(
            f"**{plain(str(worst.quiz))}** is a quiz problem, not a people problem: "
            f"{percent(worst.all_share)} of {worst.all_takers:,} fail it{more if others else ''}."
        )
    if counts.hidden_people:
        more = " more" if counts.people else ""
        people = "person" if counts.hidden_people == 1 else "people"
        said.append(
            f"{counts.hidden_people:,}{more} {people} failed only quizzes that most people fail."
        )
    return said


def worst_quiz(quizzes: pd.DataFrame) -> Any:
    """The quiz that the largest share of people fails, of those that most people fail."""
    failed = quizzes[quizzes["problem"]].sort_values("all_share", ascending=False, kind="stable")
    return each(failed)[0] if len(failed) else None


def hidden(counts: Counts) -> None:
    """Under the queue: what is not listed one by one, and how to list it."""
    if not counts.hidden:
        return
    of = f" of {_people(counts.hidden_people)} with no other" if counts.hidden_people else ""
    st.caption(
        f"{number_of(counts.hidden, 'low score')}{of} at quizzes that most people fail "
        f"{'is' if counts.hidden == 1 else 'are'} not listed one by one: look at the quiz first. "
        "To list them, choose the quiz or *Include quizzes most people fail* in the filters."
    )
