"""What the page of the audit log draws."""

import pandas as pd
import streamlit as st

from dashboard.base import pieces

COLUMNS = {
    "at": st.column_config.DatetimeColumn("When", format="D MMM YYYY, HH:mm:ss", width=170),
    "actor": st.column_config.TextColumn("Who", width=200),
    "action": st.column_config.TextColumn("Did", width=130),
    "subject": st.column_config.TextColumn("To", width=160),
    "detail": st.column_config.TextColumn("In words"),
}


def listed(found: pd.DataFrame) -> None:
    """Entries, how many of all these are, and their CSV."""
    pieces.cut_off(len(found), int(found["of"].iloc[0]))
    pieces.table(found, COLUMNS, "Who did what, the newest first", "audit")
    pieces.csv(found, COLUMNS, "audit")
