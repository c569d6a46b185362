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
NAMED = 3
"""Of several who share the first place."""


def listed(found: Sequence[ContestRow]) -> None:
    """All contests, each with a button that opens it."""
    st.session_state["contests_listed"] = [row.id for row in found]
    zone = windows.viewer_zone()
    rows = [
        {"open": "Open", "name": row.name, "state": words.state(row, data.status(row), zone),
         "period": words.period(row, zone), "metric": words.metric(row)}
        for row in found
    ]  # fmt: skip
    none = "No contest yet. Make one with the button New contest."
    pieces.section("All contests", pd.DataFrame(rows), CONTEST, "contests", none)


def list_headline(found: Sequence[ContestRow]) -> None:
    """`2 contests run, 1 has ended`, and where the one that ends next stands."""
    running = [row for row in found if data.status(row) is Status.RUNNING]
    over = sum(data.status(row) in (Status.ENDED, Status.FINAL) for row in found)
    coming = len(found) - len(running) - over
    parts = [
        (len(running), "runs", "run"),
        (over, "has ended", "have ended"),
        (coming, "is to come", "are to come"),
    ]
    said = [f"{count:,} {one if count == 1 else many}" for count, one, many in parts if count]
    if not said:
        first = words.day(data.whole_weeks(windows.today()).first)
        pieces.answer(
            "No contest yet",
            f"A new one runs for four weeks from {first}, until you choose others.",
        )
        return
    number, _, rest = said[0].partition(" ")
    noun = "contest" if number == "1" else "contests"
    ends = min(running, key=lambda row: row.last_day, default=None)
    pieces.answer(
        ", ".join([f"{number} {noun} {rest}", *said[1:]]), _next_end(ends) if ends else ""
    )


def _next_end(row: ContestRow) -> str:
    found = data.places(row, data.viewer_teams())
    return f"Next to end: {_headline(row, Status.RUNNING, found)}."


def headline(row: ContestRow) -> None:
    """Who leads or won, and what the result is worth."""
    status = data.status(row)
    found = data.places(row, data.viewer_teams())
    why = words.explained(row, status, windows.viewer_zone())
    pieces.answer(_headline(row, status, found), plain(why))


def _headline(row: ContestRow, status: Status, found: pd.DataFrame) -> str:
    name = plain(row.name)
    if status is Status.COMING:
        return f"{name} starts on {words.first(row, windows.viewer_zone())}"
    if not data.shows_places(row):
        return f"The places of {name} are hidden until its result is final"
    first = found[(found["rank"] == 1) & (found["value"] > 0)] if len(found) else found
    if first.empty:
        return _without_first(name, status, found)
    names = list(first["team_id"] if row.board == "teams" else first["learner"])
    value = float(first["value"].iloc[0]) / (HOUR if row.metric == "time" else 1)
    verb = "won" if status is Status.FINAL else ("leads" if len(names) == 1 else "lead")
    figure = words.figure(row.metric, value) + (" a member" if row.board == "teams" else "")
    figure += " each" if len(names) > 1 and row.board == "learners" else ""
    left = words.left(row, status, windows.now())
    return f"{_together(names)} {verb} {name} with {figure}{left}"


def _together(names: Sequence[str]) -> str:
    """`Ines Ko`, `Ines Ko and Dana Brooks`, `Ines Ko, Dana Brooks and 2 more`."""
    shown = [plain(name) for name in names[:NAMED]]
    if len(names) > NAMED:
        return f"{', '.join(shown)} and {len(names) - NAMED:,} more"
    return " and ".join([*([", ".join(shown[:-1])] if shown[1:] else []), shown[-1]])


def _without_first(name: str, status: Status, found: pd.DataFrame) -> str:
    """Where none of the places that the viewer sees is a first one with progress."""
    hidden = len(found) > 0 and bool(found["value"].isna().any())
    others = hidden or data.viewer_teams() is not None
    if others and len(found) and (found["rank"] > 1).any():
        return f"The first place in {name} is on another team"
    if others and (hidden or found.empty):
        return f"No progress in {name} on the teams that you can see"
    if status is Status.FINAL:
        return f"No one made progress in {name}"
    return f"No progress in {name} yet"


def shown(row: ContestRow) -> None:
    """One contest: its terms, all places, and what came late."""
    status, teams = data.status(row), data.viewer_teams()
    found = data.places(row, teams)
    st.markdown(
        f"**{words.state(row, status, windows.viewer_zone())}** · {plain(_about(row, teams))}."
    )
    if not data.shows_places(row):
        return
    _places(row, found)
    if status is Status.FINAL:
        _late(row, data.late(row, teams))


def _about(row: ContestRow, teams: data.Teams) -> str:
    own = data.teams_of(row, teams)
    of = "all teams" if own is None else ", ".join(own)
    board = "teams" if row.board == "teams" else "people"
    return f"{words.metric(row)} of {board}, {of} · {words.period(row, windows.viewer_zone())}"


def _columns(row: ContestRow, value: str = "value", label: str | None = None) -> Mapping[str, Any]:
    per_member = ", per member" if row.board == "teams" else ""
    number = st.column_config.NumberColumn(
        label or f"{words.metric(row)}{per_member}", format=words.FORMATS.get(row.metric, "%.1f")
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
