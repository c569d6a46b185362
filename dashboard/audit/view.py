"""The table of the audit log."""

import pandas as pd
import streamlit as st

from dashboard.base import pieces

COLUMNS = {
    "at": st.column_config.DatetimeColumn("When", format="D MMM YYYY, HH:mm:ss", width=170),
    "actor": st.column_config.TextColumn("Actor", width=200),
    "action": st.column_config.TextColumn("Action", width=130),
    "subject": st.column_config.TextColumn("Target", width=160),
    "detail": st.column_config.TextColumn("Detail"),
}


def listed(found: pd.DataFrame) -> None:
    """Entries, how many of all are shown, and their CSV."""
    pieces.cut_off(len(found), int(found["of"].iloc[0]))
    pieces.table(found, COLUMNS, "Audit log, the newest first", "audit")
    pieces.csv(found, COLUMNS, "audit")
