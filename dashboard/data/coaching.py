"""What the coaching page shows."""

from datetime import UTC, date, datetime
from typing import NamedTuple

import pandas as pd
import streamlit as st

from dashboard.data.store import Version, framed, kept, local, read, settings, version, with_people
from shared.queries import coaching
from shared.queries.windows import first_day


@kept
def low_scorers(
    version: Version, window: str, day: date, team: str | None, quiz: str | None, zone: str
) -> pd.DataFrame:
    """learner, quiz, latest_pct, best_pct, threshold_pct, tries, team_id, submitted_at."""
    since = _since(window, day)
    with read() as connection:
        rows = coaching.low_scorers(
            connection, settings().coaching_threshold_pct, since, team, quiz
        )
    return framed(
        rows, lambda frame: local(_with_quizzes(with_people(frame)), zone, "submitted_at")
    )


class LowCounts(NamedTuple):
    """How many items there are in all, of how many people on how many quizzes."""

    items: int
    people: int
    quizzes: int


@kept
def low_counts(
    version: Version, window: str, day: date, team: str | None, quiz: str | None
) -> LowCounts:
    with read() as connection:
        return LowCounts(
            *coaching.low_counts(
                connection, settings().coaching_threshold_pct, _since(window, day), team, quiz
            )
        )


def _since(window: str, day: date) -> datetime | None:
    first = first_day(window, day)
    return datetime.combine(first, datetime.min.time(), UTC) if first else None


@kept
def quizzes(version: Version) -> pd.DataFrame:
    """quiz_id, quiz, takers, low, and share: percent of the takers that are low."""
    with read() as connection:
        rows = coaching.quizzes(connection, settings().coaching_threshold_pct)
    return framed(
        rows, lambda frame: _with_quizzes(frame).assign(share=100 * frame["low"] / frame["takers"])
    )


@st.cache_data(ttl="30s", show_spinner=False)
def quiz_names() -> dict[str, str]:
    """Names of graded quizzes by id."""
    frame = quizzes(version())
    return dict(zip(frame["quiz_id"], frame["quiz"], strict=True)) if len(frame) else {}


def _with_quizzes(frame: pd.DataFrame) -> pd.DataFrame:
    """Quizzes by name; of two with one name, each with its id."""
    names = frame["quiz_name"].fillna(frame["quiz_id"])
    ids = frame["quiz_id"].groupby(names).transform("nunique")
    return frame.assign(quiz=names.where(ids == 1, names + " (" + frame["quiz_id"] + ")"))
