"""The parts of the coaching page."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import pandas as pd
import streamlit as st

from dashboard.base import paging
from dashboard.base.percent import FORMAT
from dashboard.base.pictures import avatar
from dashboard.base.pieces import csv_of, cut_off, heading, plain, table
from dashboard.base.store import each
from dashboard.coaching import data, undo
from shared.queries.coaching import Counts
from shared.queries.coaching_states import ACTIVE
from shared.wording import number_of

VIEWS = {
    "new": "To coach",
    "progress": "Open cases",
    "ready": "Ready to close",
    "closed": "Closed",
    "all": "All",
}
WINDOWS = {"7d": "7 days", "30d": "30 days", "quarter": "Quarter", "all": "All time"}
ROW_PX, HEADER_PX = 40, 36
ROWS_HIGH = 12
"""A longer part of the queue scrolls, so that the cards below stay near."""
ROWS = 20
EMPTY = {
    "new": "No latest score is low here. A longer window shows older ones.",
    "progress": "No open case here. Select people under To coach, and flag or take them.",
    "ready": "No flagged learner has passed yet. People appear here after they pass.",
    "closed": "No closed case here. Cases that are resolved, dismissed or snoozed appear here.",
    "all": "No low score and no case here.",
}


def counted(counts: Counts) -> dict[str, str]:
    """The names of the views, each with the number of its items."""
    return {
        view: name if view == "all" else f"{name} {getattr(counts, view):,}"
        for view, name in VIEWS.items()
    }


def no_quiz(*, all_teams: bool) -> str:
    """Why the page is empty."""
    if all_teams:
        return "No graded quiz yet. Check that the subscription lists quiz.submitted."
    return "No graded quiz of your teams yet."


def percent_column(label: str, help: str | None = None) -> Any:  # noqa: A002 (as Streamlit calls it)
    return st.column_config.NumberColumn(label, format=FORMAT, help=help)


def _moment(label: str) -> Any:
    return st.column_config.DatetimeColumn(label, format="distance", width=95)


COLUMNS = {
    "face": st.column_config.ImageColumn("", width=46),
    "learner": st.column_config.TextColumn("Learner", width=128),
    "quiz": st.column_config.TextColumn("Quiz", width=150),
    "course": st.column_config.TextColumn("Why now", width=100),
    "why": st.column_config.TextColumn("Due and score", width=190),
    "stands": st.column_config.TextColumn("Status", width=100),
    "threshold_pct": percent_column("Pass mark"),
    "flagged_pct": percent_column("Flagged at"),
    "best_pct": percent_column("Best"),
    "tries": st.column_config.NumberColumn("Tries", help="Graded attempts."),
    "practice_runs": st.column_config.NumberColumn("Practice", help="Shown, never counted."),
    "lift": st.column_config.TextColumn("Lift", width=115),
    "submitted_at": _moment("Tried"),
    "opened_at": _moment("Flagged"),
    "closed_at": _moment("Closed"),
    "owner": st.column_config.TextColumn("Owner", width=100),
    "due": st.column_config.DateColumn("Due", format="D MMM YYYY", width=100),
    "outcome": st.column_config.TextColumn("Reason"),
    "team_id": st.column_config.TextColumn("Team"),
}
SHOWN = {
    "new": "face learner course quiz latest_pct submitted_at why threshold_pct best_pct tries "
    "practice_runs trend team_id stands",
    "progress": "face learner due quiz owner stands why latest_pct flagged_pct trend opened_at "
    "team_id",
    "ready": "face learner latest_pct quiz lift threshold_pct trend submitted_at owner due team_id",
    "closed": "face learner closed_at quiz stands lift outcome latest_pct trend owner team_id",
    "all": "face learner stands quiz latest_pct why threshold_pct best_pct tries trend "
    "submitted_at owner due team_id",
}
FITTING = 5
"""So many of them stand on the page, the first two also on a phone: the next would be cut off. The
file has all, and the table's menu shows the others."""


def _scales(frame: pd.DataFrame) -> dict[str, Any]:
    """Columns that draw percentages, as far as the largest goes: a bonus makes more than 100."""
    largest = max([100.0, *frame["latest_pct"].dropna(), *frame["trend"].explode().dropna()])
    return {
        "latest_pct": st.column_config.ProgressColumn(
            "Latest", format=FORMAT, min_value=0, max_value=largest, width=95
        ),
        "trend": st.column_config.LineChartColumn(
            "Trend", y_min=0, y_max=largest, width=90, help="The last graded scores."
        ),
    }


# The queue


class Shown(NamedTuple):
    """Which part of which view the table shows."""

    asked: data.Asked
    view: str
    part: paging.Part


def queue(asked: data.Asked, view: str, counts: Counts) -> Any:
    """The items of a view by the page, to select and to act on. Gives the row that is looked at:
    the first that is selected, else the first of the page; None where there is none."""
    total = getattr(counts, view)
    if not total:
        _empty(view, counts.hidden)
        return None
    rows = st.container()
    part = paging.choose(total, ROWS)
    with rows:
        columns = _items(Shown(asked, view, part), data.queue(asked, view, part))
    csv_of(lambda: data.whole_queue(asked, view), columns, "coaching")
    _, key, frame = st.session_state["coaching_held"]
    chosen = _picked(key) or [min(st.session_state.get("coaching_next", 0), len(frame) - 1)]
    return frame.iloc[chosen[0]]


def _items(of: Shown, fresh: pd.DataFrame) -> dict[str, Any]:
    """The table, and its columns."""
    key, frame = _held(of, fresh)
    picked = _picked(key)
    _actions(key, frame.iloc[picked], of.view)
    columns = COLUMNS | _scales(frame)
    frame = frame.assign(face=[avatar(one) for one in frame["learner"]])
    shown = {name: columns[name] for name in SHOWN[of.view].split()}
    opener = st.column_config.ButtonColumn(
        "", on_click=_open_clicked, args=(key,), key=f"open_{key}", type="tertiary", width=50
    )
    st.session_state["coaching_held"] = (of, key, frame)
    st.dataframe(
        frame.assign(open="Open")[["open", *shown]],
        column_config={"open": opener, **shown},
        column_order=["open", *list(shown)[:FITTING]],
        hide_index=True,
        placeholder="–",
        row_height=ROW_PX,
        height=ROW_PX * min(len(frame), ROWS_HIGH) + HEADER_PX,
        key=key,
        on_select="rerun",
        selection_mode="multi-row",
        alt=f"{VIEWS[of.view]}: learners and quizzes",
    )
    return {name: column for name, column in shown.items() if name != "face"}


def _empty(view: str, hidden: int) -> None:
    if view in ("new", "all") and hidden:
        st.info("All new low scores are at quizzes that most people fail.", icon=":material/quiz:")
    else:
        (st.success if view == "new" else st.info)(EMPTY[view], icon=":material/check_circle:")


def _held(of: Shown, fresh: pd.DataFrame) -> tuple[str, pd.DataFrame]:
    """The table and its name. A selection is kept by position, so the rows that were on screen
    stay while some are selected, and a table of other rows has another name."""
    held = st.session_state.get("coaching_held")
    if held and held[0] == of and _picked(held[1]):
        return held[1], held[2]
    rows = (of.view, fresh[["vendor", "user_id", "quiz_id", "version"]].to_csv(index=False),
            st.session_state.get("coaching_done", 0))  # fmt: skip
    number, last = st.session_state.get("coaching_rows", (0, None))
    if rows != last:
        number += 1
        st.session_state["coaching_rows"] = (number, rows)
    return f"{of.view}_{number}", fresh


def _picked(key: str) -> list[int]:
    state = st.session_state.get(key)
    return list(state["selection"]["rows"]) if state else []


def _actions(key: str, chosen: pd.DataFrame, view: str) -> None:
    """Buttons for the rows that are selected: a lead flags, changes and takes, a manager takes."""
    new = chosen[chosen["state"] == "new"]
    cases = chosen[chosen["case_id"].notna() & (chosen["state"] != "new")]
    free = chosen[
        (chosen["state"] == "new") | chosen["state"].isin(ACTIVE) & chosen["owner"].isna()
    ]
    leads = data.coaches()
    with st.container(horizontal=True, vertical_alignment="center"):
        if leads and view in ("new", "all") and _button("Flag", len(new)):
            ask("flag", {taker: label(row) for taker, row in _by_taker(new)})
        if leads and view != "new" and _button("Change", len(cases)):
            ask("change", cases[["case_id", "version", "state", "status", "learner", "quiz"]])
        if view in ("new", "progress", "all") and _button("Take", len(free), primary=not leads):
            take({taker: label(row) for taker, row in _by_taker(free)})
        if len(chosen):
            st.button("Clear selection", type="tertiary", on_click=_clear, args=(key,))
            st.caption("The list waits while rows are selected.")


def take(names: Mapping[data.Taker, str]) -> None:
    """Make the viewer the owner of these, and say so."""
    taken = data.take(list(names))
    due = f"{data.default_due():%-d %B %Y}"
    number = "1 case is" if len(taken.done) == 1 else f"{len(taken.done):,} cases are"
    done = f"{number} yours. Due {due} unless set before." if taken.done else ""
    finish(done, [f"{names[taker]}: {why}" for taker, why in taken.refused.items()])


def decline(taker: data.Taker, name: str) -> None:
    """Note that this low score needs no coaching, and say how to take that back."""
    if data.decline(taker):
        finish(f"No coaching needed: {plain(name)}. Closed lists it, to reopen.")
    else:
        finish("", [f"{name}: is no longer low, or has a case"])


def snooze(taker: data.Taker, name: str) -> None:
    """Take this low score out of the queue for a week, and say when it is back."""
    if data.snooze(taker):
        finish(f"Snoozed until {data.snoozed_until():%A %-d %B}: {plain(name)}.")
    else:
        finish("", [f"{name}: is no longer low, or has a case"])


def finish(done: str, problems: Sequence[str] = ()) -> None:
    """Close the dialog, begin a new selection, and have the page say what was done."""
    st.session_state["coaching_result"] = (done, "; ".join(map(plain, problems)))
    st.session_state["coaching_did"] = done
    st.session_state["coaching_done"] = st.session_state.get("coaching_done", 0) + 1
    dismiss()
    st.rerun()


def dismiss() -> None:
    st.query_params.pop("item", None)
    for name in ("coaching_asked", "coaching_seen", "coaching_held"):
        st.session_state.pop(name, None)


def _button(verb: str, number: int, *, primary: bool = True) -> bool:
    label = f"{verb} {number:,} selected" if number else f"{verb} selected"
    kind: Literal["primary", "secondary"] = "primary" if primary else "secondary"
    return st.button(label, key=f"{verb}_selected", type=kind, disabled=not number)


def _clear(key: str) -> None:
    st.session_state[key] = {"selection": {"rows": [], "columns": [], "cells": []}}


def _by_taker(frame: pd.DataFrame) -> list[tuple[data.Taker, Any]]:
    return [(data.Taker(row.vendor, row.user_id, row.quiz_id), row) for row in each(frame)]


def label(row: Any) -> str:
    return f"{row.learner}, {row.quiz}"


def _open_clicked(key: str) -> None:
    clicked, held = st.session_state[f"open_{key}"], st.session_state["coaching_held"]
    row = held[2].iloc[clicked.row]
    open_item(data.Taker(row.vendor, row.user_id, row.quiz_id))


def open_item(taker: data.Taker) -> None:
    """All of one item, in a dialog."""
    st.query_params["item"] = data.address(taker)
    st.rerun()  # of the whole page: a dialog cannot open in a live part


# Below the queue


def several(frame: pd.DataFrame) -> None:
    """People who fail several quizzes, to flag or take all of theirs at once."""
    if frame.empty:
        return
    heading("People who fail three quizzes or more")
    verb = "Flag" if data.coaches() else "Take"
    flags = [f"{verb} {len(takers)}" if takers else "" for takers in frame["takers"]]
    st.session_state["coaching_several"] = frame
    columns = {
        "flag": st.column_config.ButtonColumn(
            "", on_click=_flag_person, key="flag_person", type="tertiary", width=80
        ),
        "learner": COLUMNS["learner"],
        "low": st.column_config.NumberColumn("Fails"),
        "new": st.column_config.NumberColumn("Not flagged"),
        "lowest_pct": percent_column("Lowest"),
        "quizzes": st.column_config.ListColumn("Quizzes", width="large"),
        "team_id": COLUMNS["team_id"],
    }
    table(frame.assign(flag=flags), columns, "People who fail several quizzes", "several")
    st.caption("Quizzes that most people fail are not counted, unless the filters include them.")
    cut_off(len(frame), int(frame["of"].iloc[0]))


def _flag_person() -> None:
    row = st.session_state["coaching_several"].iloc[st.session_state["flag_person"].row]
    names = [f"{row.learner}, {taker.quiz_id}" for taker in row.takers]
    people = dict(zip(row.takers, names, strict=True))
    if data.coaches():
        ask("flag", people)
    else:
        take(people)


# Requests to the page, and their results


def ask(what: str, about: Any = None) -> None:
    """Have the page open a dialog, outside of its live parts."""
    st.session_state["coaching_asked"] = (what, about)
    st.rerun()


def last_action() -> None:
    """The last action of the viewer, with a way to take it back until the next one."""
    if not undo.last():
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="xsmall"):
        st.markdown(f":small[{st.session_state.get('coaching_did', '')}]", width="content")
        st.button(
            "Undo",
            key="undo",
            shortcut="U",
            icon=":material/undo:",
            type="tertiary",
            on_click=_undo,
        )


def _undo() -> None:
    undone = data.undo_last()
    problems = [f"{row.updated_by} has changed it since" for row in undone.conflicts]
    problems += undone.refused.values()
    number = len(undone.done)
    said = f"Undone: {number_of(number, 'case')} as before." if number else ""
    st.session_state["coaching_result"] = (said, "; ".join(map(plain, problems)))
    st.session_state["coaching_done"] = st.session_state.get("coaching_done", 0) + 1


def result() -> None:
    """The result of the last action."""
    if found := st.session_state.pop("coaching_result", None):
        done, problems = found
        if done and not undo.last():  # else it stands beside Undo
            st.toast(done, icon=":material/check_circle:")
        if problems:
            st.warning(problems, icon=":material/group:", title="Not everything was done")
