"""Why deliveries failed, the soonest loss first, with the cure of each."""

from collections.abc import Sequence
from typing import Any

import pandas as pd
import streamlit as st

from dashboard.base.colours import Palette, palette
from dashboard.base.people import without_addresses
from dashboard.base.pieces import csv, heading
from dashboard.deliveries import charts
from dashboard.deliveries.answer import clock
from shared.causes import Cause, causes as find
from shared.diagnosis import Severity
from shared.evidence import Evidence
from shared.retries import Forecast
from shared.verdict import Clock

WORDS = {
    Severity.LOSING: "● Act now",
    Severity.WARNING: "▲ Check",
    Severity.NOTE: "○ Information",
}
ROW_PX, HEADER_PX = 40, 36
MOST_ROWS = 8
COLUMNS: dict[str, Any] = {
    "severity": st.column_config.TextColumn("Severity", width=100),
    "loss": st.column_config.TextColumn("Loss", width=130),
    "cause": st.column_config.TextColumn("Cause", width=120),
    "vendor": st.column_config.TextColumn("Vendor", width=140),
    "open": st.column_config.NumberColumn("Open", format="%,d", width=55, help="Not recovered."),
    "events": st.column_config.NumberColumn("Events", format="%,d", width=60),
    "attempts": st.column_config.NumberColumn("Attempts", format="%,d", width=75),
    "seen": st.column_config.TextColumn("Seen", width=215),
    "reason": st.column_config.TextColumn("Commonest reason", width=150),
    "cure": st.column_config.TextColumn("What to do", width=510),
}
REPLAY = "None: in quarantine"
"""Of a cause all of whose events are in quarantine."""
IN_FILE = ("attempts", "reason")
"""No room for these on a page; findings and the list of deliveries have them."""


def causes(evidence: Sequence[Evidence]) -> None:
    """Failures by vendor and outcome, as a table of its full height up to eight rows."""
    found = find(evidence)
    if not found:
        return
    heading("Causes, soonest loss first")
    now = clock()
    frame = pd.DataFrame([_row(one, now) for one in found])
    shown = [name for name in COLUMNS if name != "vendor" or len(evidence) > 1]
    columns = {name: COLUMNS[name] for name in shown}
    st.dataframe(
        frame[shown].style.apply(_painted, axis=1, colours=palette()),
        hide_index=True,
        row_height=ROW_PX,
        height=ROW_PX * min(len(frame), MOST_ROWS) + HEADER_PX,
        column_config=columns,
        column_order=[name for name in shown if name not in IN_FILE],
        alt=f"Why deliveries failed, the soonest loss first: {frame['cause'].iloc[0]} leads",
        key="causes",
    )
    csv(frame, columns, "causes")


def _row(cause: Cause, now: Clock) -> dict[str, Any]:
    failures = cause.failures
    first, last = now.shown(failures.first), now.shown(failures.last)
    return {
        "severity": WORDS[cause.severity],
        "loss": _at_risk(failures.forecast, now),
        "cause": charts.OUTCOMES[cause.outcome],
        "vendor": cause.vendor.name,
        "open": failures.open,
        "events": failures.events,
        "attempts": failures.attempts,
        "seen": first if first == last else f"{first} – {last}",
        "reason": without_addresses(failures.reason or "–"),
        "cure": without_addresses(cause.cure),
    }


def _at_risk(known: Forecast, now: Clock) -> str:
    """What is lost and when, or that a replay recovers all."""
    if known.at_risk:
        return f"{known.at_risk.events:,} in {now.left(known.at_risk.first)}"
    if known.lost:
        return f"{known.lost:,} lost"
    return REPLAY if known.quarantined else "–"


def _painted(row: "pd.Series[Any]", colours: Palette) -> list[str]:
    """The severity in its colour beside its word and sign, and a loss to come as one."""
    of = {
        WORDS[Severity.LOSING]: colours.bad_text,
        WORDS[Severity.WARNING]: colours.warn_text,
        WORDS[Severity.NOTE]: colours.muted,
    }
    styles = dict.fromkeys(row.index, "")
    styles["severity"] = f"color: {of[row['severity']]}; font-weight: 600"
    if row["loss"] not in ("–", REPLAY):
        styles["loss"] = f"color: {colours.bad_text}; font-weight: 600"
    return list(styles.values())
