"""The table of the audit log."""

import pandas as pd
import streamlit as st

from dashboard.audit import data
from dashboard.audit.words import called
from dashboard.base import pieces, windows
from dashboard.base.pieces import plain
from dashboard.base.store import each
from shared.wording import number_of

COLUMNS = {
    "at": st.column_config.DatetimeColumn("When", format="D MMM YYYY, HH:mm:ss", width=170),
    "said": st.column_config.TextColumn("What happened", width=520),
    "actor": st.column_config.TextColumn("Actor", width=200),
    "action": st.column_config.TextColumn("Action", width=130),
    "subject": st.column_config.TextColumn("Target", width=130),
    "detail": st.column_config.TextColumn("Detail"),
}
SHOWN = {name: one for name, one in COLUMNS.items() if name not in ("actor", "action")}
"""The sentence names both; a file has the address and the action as the log has them."""
IN_FILE = {name: one for name, one in COLUMNS.items() if name != "said"}


def headline(total: int, latest: pd.DataFrame, window: str) -> None:
    """How many actions there were, and who acted last."""
    if latest.empty:
        pieces.answer(f"No action {window}")
        return
    row = each(latest)[0]
    last = f"the latest {windows.ago(row.at)} by {plain(called(row.actor))}"
    pieces.answer(f"{number_of(total, 'action')} {window}, {last}")


def listed(found: pd.DataFrame) -> None:
    """A page of entries."""
    pieces.table(data.in_sentences(found), SHOWN, "Audit log, the newest first", "audit")
