"""The pieces of the page of scoring."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboard.base.pieces import answer, heading, plain, table
from shared.scoring import KINDS, MAX_TYPE, Field, Rules, Weight

COLUMNS = {
    "rank": st.column_config.NumberColumn("#", width=50),
    "learner": st.column_config.TextColumn("Learner", width=240),
    "score": st.column_config.NumberColumn("Score", format="%,.2f"),
    "rank_saved": st.column_config.NumberColumn("Saved #", width=80),
    "score_saved": st.column_config.NumberColumn("Saved score", format="%,.2f"),
}


SOURCES = {
    "progress": "progress",
    "module": "completed modules",
    "course": "completed courses",
    "quiz": "passed quizzes",
    "first_try": "passes at the first try",
    "event": "events",
}
"""What points come from, as the headline names each kind."""


def headline(stored: Rules) -> None:
    """What points are given for, the most for one thing in the reason."""
    kinds = list(dict.fromkeys(SOURCES[one.kind] for one in stored.weights))
    come_from = " and ".join([*([", ".join(kinds[:-1])] if kinds[1:] else []), kinds[-1]])
    most = max(stored.weights, key=lambda one: one.points)
    answer(f"Points come from {come_from}", _why(most, alone=len(stored.weights) == 1))


def _why(most: Weight, *, alone: bool) -> str:
    what = most.event_type or KINDS[most.kind]
    counts = "the only thing that counts" if alone else "no single thing counts more"
    points = f"{most.points:g} point{'' if most.points == 1 else 's'}"
    return f"{plain(what)}: {points}, {counts}. A weight of 0 does not count."


class Typed(NamedTuple):
    """A weight as it is typed in, and the place under its field for what is wrong with it."""

    weight: Weight
    below: DeltaGenerator


def weights(stored: Rules, event_types: Sequence[str]) -> list[Typed]:
    """A field for each kind and event type, and one for another event type."""
    typed = [
        _typed(Weight(kind, "", stored.points(kind)), label)
        for kind, label in KINDS.items()
        if kind != "event"
    ]
    heading(KINDS["event"])
    of_events = stored.events()
    typed += [_typed(Weight("event", name, of_events.get(name, 0)), name) for name in event_types]
    other = st.text_input(
        "Another event type", key="other_type", placeholder="meeting.booked", max_chars=MAX_TYPE
    ).strip()
    if other and other not in event_types:
        typed.append(_typed(Weight("event", other, 0), other))
    return typed


def _typed(stored: Weight, label: str) -> Typed:
    """Without a lower limit: with one the field would change a number, and not say why."""
    points = st.number_input(
        plain(label),
        value=float(stored.points),
        step=1.0,
        format="%.2f",
        key=f"points_{stored.kind}_{stored.event_type}",
    )
    return Typed(stored._replace(points=points), st.empty())


def refused(typed: Sequence[Typed], problems: Mapping[Field, str]) -> None:
    """Say what is wrong under each field."""
    for one in typed:
        if problem := problems.get(Field(one.weight.kind, one.weight.event_type)):
            one.below.error(problem, icon=":material/block:")


def preview(frame: pd.DataFrame) -> None:
    """The top of the board by the weights as typed in."""
    if frame.empty:
        st.info("No learner has points in this period.", icon=":material/info:")
        return
    table(frame, COLUMNS, "The board by these weights, beside the saved ones", "score_preview")
