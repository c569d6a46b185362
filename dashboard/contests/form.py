"""The form of a new contest: valid as it opens, each mistake named beside its field."""

from collections.abc import Mapping
from datetime import date

import streamlit as st

from dashboard.base import store, windows
from dashboard.base.pieces import plain
from dashboard.contests import data, words
from dashboard.contests.words import METRICS

OPEN = "contest_form"
PROBLEMS = "contest_problems"
SUGGESTED = "contest_suggested"
BOARDS = {"learners": "People", "teams": "Teams"}


def opened() -> None:
    """The form, once it was asked for."""
    if st.session_state.get(OPEN):
        _form()


def ask() -> None:
    """Open the form on the next run of the page."""
    st.session_state[OPEN] = True
    st.session_state.pop(PROBLEMS, None)


def _close() -> None:
    st.session_state.pop(OPEN, None)
    st.session_state.pop(PROBLEMS, None)


@st.dialog("New contest", on_dismiss=_close)
def _form() -> None:
    zone = windows.viewer_zone()
    first, last = data.whole_weeks(windows.today())
    problems: Mapping[str, str] = st.session_state.get(PROBLEMS, {})
    name = _name(first)
    _problem(problems, "name")
    left, right = st.columns(2)
    with left:
        begin = st.date_input("First day", first, format="YYYY-MM-DD", key="contest_first")
        _problem(problems, "first_day")
    with right:
        end = st.date_input("Last day", last, format="YYYY-MM-DD", key="contest_last")
        _problem(problems, "last_day")
    metric = st.selectbox(
        "Metric", list(METRICS), format_func=METRICS.__getitem__, key="contest_metric"
    )
    _problem(problems, "metric")
    board = st.segmented_control(
        "Board of", list(BOARDS), default="learners", required=True,
        format_func=BOARDS.__getitem__, key="contest_board",
    )  # fmt: skip
    teams = _teams()
    _problem(problems, "teams")
    hidden = st.toggle("Hide the places until the result is final", key="contest_hidden")
    st.caption(f"{_counted(_day(begin))} Whole days in {zone}, first and last included.")
    _problem(problems, "zone")
    if st.button("Create", type="primary", key="contest_create"):
        days = _day(begin), _day(end)
        _create(data.Draft(name, *days, zone, metric, board or "", teams, hidden))


def _name(first: date) -> str:
    """Named for its first day until another name is typed."""
    suggested = f"Contest from {words.day(_day(st.session_state.get('contest_first', first)))}"
    before = st.session_state.get(SUGGESTED)
    if st.session_state.get("contest_name", before) == before:
        st.session_state["contest_name"] = suggested
    st.session_state[SUGGESTED] = suggested
    return st.text_input("Name", key="contest_name")


def _counted(first: date) -> str:
    """From when on it counts. One that has begun is no fresh start, which is easily missed."""
    since = f"Counts from {words.day(first)}, 00:00"
    return f"{since}." if first > windows.today() else f"{since}: what was gained since counts too."


def _teams() -> tuple[str, ...] | None:
    """Own teams of a manager; of others, none chosen is all."""
    own = data.viewer_teams()
    chosen = st.multiselect(
        "Teams",
        store.teams(),
        default=None if own is None else store.teams(),
        placeholder="All teams" if own is None else "Choose at least one of your teams",
        key="contest_teams",
    )
    return None if own is None and not chosen else tuple(chosen)


def _day(value: object) -> date:
    return value if isinstance(value, date) else date.min


def _problem(problems: Mapping[str, str], field: str) -> None:
    if words := problems.get(field):
        st.markdown(f":red[:material/error: {plain(words)}]")


def _create(draft: data.Draft) -> None:
    made = data.create(draft)
    if isinstance(made, int):
        _close()
        st.query_params["contest"] = str(made)
    else:
        st.session_state[PROBLEMS] = made
    st.rerun()
