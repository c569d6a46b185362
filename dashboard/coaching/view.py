"""The pieces of the page of coaching."""

from typing import Any

import pandas as pd
import streamlit as st

from dashboard.base.percent import FORMAT, percent
from dashboard.base.pieces import csv, cut_off, plain, table
from dashboard.base.store import each
from dashboard.coaching import charts, data

VIEWS = {
    "new": "New",
    "progress": "In progress",
    "ready": "Ready to close",
    "closed": "Closed",
    "all": "All",
}
NAMED_QUIZZES = 3
"""So many quizzes that most people fail stand above the queue by name."""
WINDOWS = {"7d": "7 days", "30d": "30 days", "quarter": "Quarter", "all": "All time"}
EMPTY = {
    "new": "No latest score is under its threshold here. A longer window shows older ones.",
    "progress": "Nobody is flagged here. Select people under New, and flag them.",
    "ready": "Nobody who is flagged has passed since. Who does shows up here by itself.",
    "closed": "Nothing has been closed here. What you resolve or dismiss is kept under this view.",
    "all": "Nobody here is under a threshold, and nobody is flagged.",
}


def percent_column(label: str, help: str | None = None) -> Any:  # noqa: A002 (as Streamlit calls it)
    return st.column_config.NumberColumn(label, format=FORMAT, help=help)


def _moment(label: str) -> Any:
    return st.column_config.DatetimeColumn(label, format="distance")


COLUMNS = {
    "learner": st.column_config.TextColumn("Learner", width=215),
    "quiz": st.column_config.TextColumn("Quiz", width=165),
    "stands": st.column_config.TextColumn("Status"),
    "latest_pct": st.column_config.ProgressColumn(
        "Latest", format=FORMAT, min_value=0, max_value=100, width=105
    ),
    "threshold_pct": percent_column("Threshold"),
    "flagged_pct": percent_column("Flagged at"),
    "best_pct": percent_column("Best"),
    "tries": st.column_config.NumberColumn("Tries", help="Graded attempts."),
    "practice_runs": st.column_config.NumberColumn("Practice", help="Shown, never counted."),
    "trend": st.column_config.LineChartColumn(
        "Trend", y_min=0, y_max=100, width=90, help="The last graded scores."
    ),
    "lift": st.column_config.TextColumn("Lift"),
    "submitted_at": _moment("Latest try"),
    "opened_at": _moment("Flagged"),
    "closed_at": _moment("Closed"),
    "owner": st.column_config.TextColumn("Owner"),
    "due": st.column_config.DateColumn("Due", format="D MMM YYYY"),
    "outcome": st.column_config.TextColumn("Reason"),
    "team_id": st.column_config.TextColumn("Team"),
}
SHOWN = {
    "new": "learner quiz latest_pct threshold_pct best_pct tries practice_runs trend submitted_at "
    "team_id stands",
    "progress": "learner quiz stands owner due latest_pct flagged_pct trend opened_at team_id",
    "ready": "learner quiz lift latest_pct threshold_pct trend submitted_at owner due team_id",
    "closed": "learner quiz stands lift outcome latest_pct trend closed_at owner team_id",
    "all": "learner quiz stands latest_pct threshold_pct best_pct tries trend submitted_at owner "
    "due team_id",
}


# The first line


def headline(counts: Any) -> None:
    """Who needs the lead, in one sentence."""
    if not counts.new + counts.progress + counts.ready:
        st.markdown(":material/check_circle: **Nobody needs you** among what is chosen here.")
        return
    overdue = f", {counts.overdue:,} overdue" if counts.overdue else ""
    fresh = f", {counts.fresh:,} since yesterday" if counts.fresh else ""
    said = [f"**{counts.new:,} new**{fresh}"]
    if counts.progress:
        said += [f"**{counts.progress:,} in progress**{overdue}"]
    if counts.ready:
        said += [f"**{counts.ready:,} passed since**, ready to close"]
    st.markdown(" · ".join(said))


def problems(quizzes: pd.DataFrame, hidden: int) -> None:
    """The quizzes that most people fail, the worst by name, before any person is blamed."""
    failed = quizzes[quizzes["problem"]].sort_values("share", ascending=False, kind="stable")
    for row in each(failed.head(NAMED_QUIZZES)):
        st.warning(
            f"{plain(str(row.quiz))}: {percent(row.share)} of {row.takers:,} fail. "
            "Look at the quiz first.",
            icon=":material/quiz:",
        )
    if len(failed) > NAMED_QUIZZES:
        st.caption(
            f"So it is with {len(failed) - NAMED_QUIZZES:,} more: see *Quizzes by share of takers "
            "under the threshold* below."
        )
    if hidden:
        st.caption(
            f"{hidden:,} new low scores there are not listed one by one: choose the quiz, or turn "
            "the switch above on."
        )


# The queue


def queue(asked: data.Asked, view: str, fresh: pd.DataFrame, there: int) -> None:
    """The items of a view, to select and to act on."""
    if fresh.empty:
        (st.success if view == "new" else st.info)(EMPTY[view], icon=":material/check_circle:")
        return
    key, frame = _held(asked, view, fresh)
    picked = _picked(key)
    _actions(key, frame.iloc[picked], view)
    shown = {name: COLUMNS[name] for name in SHOWN[view].split()}
    opener = st.column_config.ButtonColumn(
        "", on_click=_open_clicked, args=(key,), key=f"open_{key}", type="tertiary", width=70
    )
    st.session_state["coaching_held"] = (asked, view, key, frame)
    st.dataframe(
        frame.assign(open="Open")[["open", *shown]],
        column_config={"open": opener, **shown},
        hide_index=True,
        placeholder="–",
        key=key,
        on_select="rerun",
        selection_mode="multi-row",
        alt=f"{VIEWS[view]}: learners and quizzes",
    )
    cut_off(len(frame), there)
    csv(frame, shown, "coaching")


def _held(asked: data.Asked, view: str, fresh: pd.DataFrame) -> tuple[str, pd.DataFrame]:
    """The table and its name. A selection is kept by position, so the rows that were on screen
    stay while some are selected, and a table of other rows has another name."""
    held = st.session_state.get("coaching_held")
    if held and held[:2] == (asked, view) and _picked(held[2]):
        return held[2], held[3]
    rows = (view, fresh[["vendor", "user_id", "quiz_id", "version"]].to_csv(index=False),
            st.session_state.get("coaching_done", 0))  # fmt: skip
    number, last = st.session_state.get("coaching_rows", (0, None))
    if rows != last:
        number += 1
        st.session_state["coaching_rows"] = (number, rows)
    return f"{view}_{number}", fresh


def _picked(key: str) -> list[int]:
    state = st.session_state.get(key)
    return list(state["selection"]["rows"]) if state else []


def _actions(key: str, chosen: pd.DataFrame, view: str) -> None:
    new = chosen[chosen["state"] == "new"]
    cases = chosen[chosen["case_id"].notna() & (chosen["state"] != "new")]
    with st.container(horizontal=True, vertical_alignment="center"):
        if view in ("new", "all") and _button("Flag", len(new)):
            ask("flag", {taker: label(row) for taker, row in _by_taker(new)})
        if view != "new" and _button("Change", len(cases)):
            ask("change", cases[["case_id", "version", "state", "status", "learner", "quiz"]])
        if len(chosen):
            st.button("Clear selection", type="tertiary", on_click=_clear, args=(key,))
            st.caption("The list waits while rows are selected.")


def _button(verb: str, number: int) -> bool:
    label = f"{verb} {number:,} selected…" if number else f"{verb} selected…"
    return st.button(label, key=f"{verb}_selected", type="primary", disabled=not number)


def _clear(key: str) -> None:
    st.session_state[key] = {"selection": {"rows": [], "columns": [], "cells": []}}


def _by_taker(frame: pd.DataFrame) -> list[tuple[data.Taker, Any]]:
    return [(data.Taker(row.vendor, row.user_id, row.quiz_id), row) for row in each(frame)]


def label(row: Any) -> str:
    return f"{row.learner}, {row.quiz}"


def _open_clicked(key: str) -> None:
    clicked, held = st.session_state[f"open_{key}"], st.session_state["coaching_held"]
    row = held[3].iloc[clicked.row]
    st.query_params["item"] = data.address(data.Taker(row.vendor, row.user_id, row.quiz_id))
    st.rerun()  # the whole page, as a dialog does not belong into a live part


# Beside the queue


def quizzes(frame: pd.DataFrame) -> None:
    """How many fail each quiz, as a chart and as a table."""
    st.subheader("Quizzes by share of takers under the threshold", anchor=False)
    st.caption("Of everybody's latest graded score, over all teams and times.")
    chart, listed = st.columns([3, 4])
    with chart:
        st.altair_chart(
            charts.quizzes(frame), alt="Share of takers under the threshold, by quiz", key="quizzes"
        )
    columns = {
        "quiz": st.column_config.TextColumn("Quiz", width=200),
        "share": percent_column("Fail"),
        "low": st.column_config.NumberColumn("People"),
        "takers": st.column_config.NumberColumn("Of"),
        "threshold_pct": percent_column("Threshold"),
    }
    with listed:
        table(frame.sort_values("share", ascending=False), columns, "Quizzes", "quiz_table")


def several(frame: pd.DataFrame) -> None:
    """People who fail several quizzes, to be flagged at all of them at once."""
    if frame.empty:
        return
    st.subheader("People who fail three quizzes or more", anchor=False)
    flags = [f"Flag {len(takers)}…" if takers else "" for takers in frame["takers"]]
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


def _flag_person() -> None:
    row = st.session_state["coaching_several"].iloc[st.session_state["flag_person"].row]
    names = [f"{row.learner}, {taker.quiz_id}" for taker in row.takers]
    ask("flag", dict(zip(row.takers, names, strict=True)))


def achieved(frame: pd.DataFrame) -> None:
    """What came of retakes, with coaching and without."""
    st.subheader("What came of retakes", anchor=False)
    if frame.empty:
        st.caption("Nobody who failed has tried again here.")
        return
    rows = frame.assign(kind=frame["coached"].map({True: "Coached", False: "Not coached"}))
    columns = {
        "kind": st.column_config.TextColumn("Retakes", width=140),
        "retakes": st.column_config.NumberColumn("Tried again"),
        "passed": st.column_config.NumberColumn("Passed so far"),
        "lift_pct": st.column_config.NumberColumn("Lift, median", format="%+.0f points"),
        "days": st.column_config.NumberColumn("Days from fail to pass, median", format="%.1f"),
    }
    table(rows, columns, "Retakes with coaching and without", "achieved")
    st.caption(
        "From the first fail to the next pass or the latest attempt; coached is who was flagged "
        "before the last of them. People are flagged for a reason, so the two differ in more than "
        "coaching: this says what happened, not why."
    )


# What was asked, and what came of it


def ask(what: str, about: Any = None) -> None:
    """Have the page open a dialog, outside its live parts."""
    st.session_state["coaching_asked"] = (what, about)
    st.rerun()


def told() -> None:
    """What came of the last thing done."""
    if said := st.session_state.pop("coaching_told", None):
        done, problems = said
        if done:
            st.toast(done, icon=":material/check_circle:")
        if problems:
            st.warning(problems, icon=":material/group:", title="Not everything was done")
