"""Reconciliations of vendors' exports: what arrived of them, and what did not."""

import json
from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st

from dashboard.base import filters, paging, people, pieces
from dashboard.base.pieces import csv_of, cut_off, plain, table
from dashboard.base.windows import ago
from dashboard.deliveries import data
from shared.imports import IN_WORDS, LISTED, Cause, rest, source, statement
from shared.queries.imports import RunRow

KINDS = {"missing": "Missing", "differing": "Differing"}
COMMAND = "repboard import export.csv --vendor mindtickle --mapping mapping.toml"
NO_RUN = (
    "Which events never arrived? The vendor knows: compare an export of its own with the stored "
    "events.\n"
    "1. Download an export at the vendor, as CSV or as JSON with one object a line: one row for "
    "each event.\n"
    "2. Write `mapping.toml`, which says what its columns mean. `docs/importing.md` has one to "
    "begin with.\n"
    "3. On the machine of the receiver, run the command below. It only compares. The result is "
    "shown here, with the reason why an event is missing where one is known.\n"
    "4. To import the missing events, run it again with `--apply`. Each counts once, even if it "
    "arrives later."
)
DAY = {
    "day": st.column_config.DateColumn("Day (UTC)", format="D MMM YYYY"),
    "events": st.column_config.NumberColumn("In the export", format="%,d"),
    "arrived": st.column_config.NumberColumn("Arrived", format="%,d"),
    "missing": st.column_config.NumberColumn("Missing", format="%,d"),
    "lost_pct": st.column_config.NumberColumn("Missing, share", format="%.2f %%"),
}
FOUND = {
    "line": st.column_config.NumberColumn("Line", format="%d"),
    "occurred_at": st.column_config.DatetimeColumn("When", format="D MMM YYYY, HH:mm:ss"),
    "type": st.column_config.TextColumn("Event"),
    "learner": st.column_config.TextColumn("User ID"),
    "event_key": st.column_config.TextColumn("Event ID", width=220),
}
MORE = {
    "missing": {"why": st.column_config.TextColumn("What is known", width=240)},
    "differing": {"why": st.column_config.TextColumn("Export and store", width=420)},
}


def imports(zone: str) -> None:
    """The latest reconciliations, of which one is shown."""
    runs = {str(one.id): one for one in data.import_runs()}
    if not runs:
        st.markdown(NO_RUN)
        st.code(COMMAND, language=None)
        return
    labels = {number: _label(one) for number, one in runs.items()}
    with pieces.row():
        chosen = filters.pick("Import", "import", labels, next(iter(runs)))
        kind = filters.switch("Events", "events", KINDS, "missing")
    _shown(int(chosen), kind, zone)
    st.caption(f"Compare another export: `{COMMAND}`")


def _label(one: RunRow) -> str:
    names = {facts.slug: facts.name for facts in data.known_vendors()}
    name = people.without_addresses(one.file_name)
    return f"{name} · {names.get(one.vendor, one.vendor)} · {one.started_at:%-d %b %Y}"


@st.fragment(run_every=pieces.LIVE)
def _shown(number: int, kind: str, zone: str) -> None:
    row = data.import_run(number)
    if row is None:
        return
    pieces.heading(statement(row.counts))
    st.caption(f"{_state(row)} {rest(row.counts)}".strip())
    _days(data.import_days(number))
    _findings(row, kind, zone)


def _state(row: RunRow) -> str:
    name = plain(people.without_addresses(row.file_name))
    if row.finished_at is None:
        return (
            f":material/hourglass: {name}, begun {ago(row.started_at)}, is not finished: the same "
            "command goes on where it ended."
        )
    if row.imported_at is None:
        to_do = (
            " To import the missing ones, run the command with `--apply`." if row.missing else ""
        )
        return f":material/done: {name}, compared {ago(row.finished_at)}, not imported.{to_do}"
    on = source(people.without_addresses(row.file_name), row.imported_at)
    return f":material/done: Compared {ago(row.finished_at)}; {plain(on)}."


def _days(frame: pd.DataFrame) -> None:
    if frame.empty:
        return
    causes = {
        cause: st.column_config.NumberColumn(words[:1].upper() + words[1:], format="%,d")
        for cause, words in IN_WORDS.items()
        if cause in frame and frame[cause].any()
    }
    table(frame, DAY | causes, "Missing events by day", "import_days")
    csv_of(lambda: frame, DAY | causes, "import-days")


def _findings(row: RunRow, kind: str, zone: str) -> None:
    total = data.import_listed(row.id, kind)
    if not total:
        nothing = "did not arrive" if kind == "missing" else "has other values here"
        st.success(f"No event of the export {nothing}.", icon=":material/check_circle:")
        return
    columns = FOUND | MORE[kind]
    rows = st.container()
    part = paging.choose(total)
    with rows:
        frame = data.import_findings(row.id, kind, zone, part)
        table(_in_words(frame), columns, f"{KINDS[kind]} events", "import_findings")
    if total == LISTED:
        cut_off(total, row.missing if kind == "missing" else row.differing)
    whole = lambda: _in_words(data.import_findings(row.id, kind, zone, paging.WHOLE))  # noqa: E731
    csv_of(whole, columns, f"import-{kind}")


def _in_words(frame: pd.DataFrame) -> pd.DataFrame:
    """Without what names a person, where the viewer does not see names."""
    why = [_why(row) for row in frame[["cause", "detail"]].to_dict("records")]
    learner = frame["user_id"] if people.sees_names() else None
    ids = frame["event_key"].map(people.event_id)
    return frame.assign(why=why, learner=learner, event_key=ids)


def _why(row: Mapping[Any, Any]) -> str:
    if not isinstance(row["detail"], str):
        return IN_WORDS.get(Cause(row["cause"]), "")
    if not people.sees_names():
        return ", ".join(field for field, _, _ in json.loads(row["detail"]))
    differ = json.loads(row["detail"])
    return "; ".join(
        f"{field}: {theirs} in the export, {ours} here" for field, theirs, ours in differ
    )
