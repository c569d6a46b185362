"""The list of contests, and one contest with its places."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import streamlit as st

from dashboard.base import people, pieces, windows
from dashboard.base.pieces import plain
from dashboard.contests import data, words
from dashboard.contests.data import ContestRow, Status

PAGE = "contests/page.py"


def _open_clicked() -> None:
    contest_id = st.session_state["contests_listed"][st.session_state["opened_contest"].row]
    st.switch_page(PAGE, query_params={"contest": str(contest_id)})


CONTEST = {
    "open": st.column_config.ButtonColumn(
        "", on_click=_open_clicked, key="opened_contest", type="tertiary", width=60
    ),
    "name": st.column_config.TextColumn("Contest"),
    "state": st.column_config.TextColumn("State"),
    "period": st.column_config.TextColumn("Period"),
    "metric": st.column_config.TextColumn("Metric"),
}
HOUR = 3600


def listed(found: Sequence[ContestRow]) -> None:
    """All contests, each with a button that opens it."""
    st.session_state["contests_listed"] = [row.id for row in found]
    rows = [
        {"open": "Open", "name": row.name, "state": words.state(row, data.status(row)),
         "period": words.period(row), "metric": words.metric(row)}
        for row in found
    ]  # fmt: skip
    none = "No contest yet. Make one with the button New contest: its dates are this month's."
    pieces.section("All contests", pd.DataFrame(rows), CONTEST, "contests", none)


def shown(row: ContestRow) -> None:
    """One contest: who leads or won, what the result is worth, all places, and what came late."""
    status, teams = data.status(row), data.viewer_teams()
    found = data.places(row, teams)
    st.header(plain(row.name), anchor=False)
    st.markdown(f"**{words.state(row, status)}** · {_headline(row, status, found)}")
    st.caption(plain(f"{_about(row, teams)}."))
    st.caption(plain(words.explained(row, status, windows.viewer_zone())))
    if not data.shows_places(row):
        return
    _places(row, found)
    if status is Status.FINAL:
        _late(row, data.late(row, teams))


def _headline(row: ContestRow, status: Status, found: pd.DataFrame) -> str:
    if not data.shows_places(row):
        return "Places are hidden." if row.hidden else "No places yet."
    first = found[(found["rank"] == 1) & (found["value"] > 0)] if len(found) else found
    if first.empty:
        return _without_first(status, found)
    names = first["team_id"] if row.board == "teams" else first["learner"]
    verb = "won" if status is Status.FINAL else ("leads" if len(names) == 1 else "lead")
    more = f" and {len(names) - 3:,} more" if len(names) > 3 else ""  # noqa: PLR2004
    return f"**{plain(', '.join(names.head(3)))}**{more} {verb}."


def _without_first(status: Status, found: pd.DataFrame) -> str:
    """Where none of the places that the viewer sees is a first one with progress."""
    hidden = len(found) > 0 and bool(found["value"].isna().any())
    others = hidden or data.viewer_teams() is not None
    if others and len(found) and (found["rank"] > 1).any():
        return "The first place is on another team."
    if others and (hidden or found.empty):
        return "No progress on the teams that you can see."
    if status is Status.FINAL:
        return "No one made progress in this contest."
    return "No progress in this contest yet."


def _about(row: ContestRow, teams: data.Teams) -> str:
    own = data.teams_of(row, teams)
    of = "all teams" if own is None else ", ".join(own)
    board = "teams" if row.board == "teams" else "people"
    return f"{words.metric(row)} of {board}, {of} · {words.period(row)}"


def _columns(row: ContestRow, value: str = "value", label: str | None = None) -> Mapping[str, Any]:
    number = st.column_config.NumberColumn(
        label or words.metric(row), format=words.FORMATS.get(row.metric, "%.1f")
    )
    who = {"team_id": st.column_config.TextColumn("Team")}
    if row.board == "learners":
        who = {"learner": st.column_config.TextColumn("Learner"), **who}
    else:
        who = {**who, "members": st.column_config.NumberColumn("Members")}
    return {**who, value: number}


def _places(row: ContestRow, found: pd.DataFrame) -> None:
    columns = {"rank": st.column_config.NumberColumn("Rank", width=60), **_columns(row)}
    if row.board == "learners":
        columns["open"] = people.OPEN
        found = people.opened(found) if len(found) else found
    title = "Result" if row.stored_at else "Places"
    none = "No progress in this period on the teams that you can see."
    pieces.section(title, _in_units(row, found, "value"), columns, "places", none)


def _late(row: ContestRow, found: pd.DataFrame) -> None:
    columns = {
        **{name: one for name, one in _columns(row).items() if name != "members"},
        **{"value": _columns(row, label="In the result")["value"]},
        **{"value_now": _columns(row, "value_now", "With late events")["value_now"]},
        "events": st.column_config.NumberColumn("Late events"),
    }
    none = "No event of this contest arrived after the result was stored."
    shown = _in_units(row, found, "value", "value_now")
    pieces.section("Arrived too late", shown, columns, "late", none)


def _in_units(row: ContestRow, found: pd.DataFrame, *columns: str) -> pd.DataFrame:
    if found.empty or row.metric != "time":
        return found
    return found.assign(**{name: found[name] / HOUR for name in columns})


def removal(row: ContestRow) -> None:
    """The button that removes a contest, for who may."""
    if not data.may_remove(row):
        return
    with st.popover("Remove", icon=":material/delete:"):
        st.caption(f"{plain(row.name)} leaves all pages. The audit log keeps that you removed it.")
        if st.button("Remove this contest", key="contest_remove"):
            data.remove(row.id)
            st.query_params.pop("contest", None)
            st.rerun()
