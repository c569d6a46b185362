"""Columns of certificates by team and of completions by course."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st

TEAM: Mapping[str, Any] = {
    "team_id": st.column_config.TextColumn("Team"),
    "overdue": st.column_config.NumberColumn("Overdue"),
    "due_soon": st.column_config.NumberColumn("Due soon", help="The deadline is within 30 days."),
    "expired": st.column_config.NumberColumn(
        "Expired", help="All expired certificates, overdue and due soon included."
    ),
}


def course_columns(frame: pd.DataFrame) -> Mapping[str, Any]:
    """Courses that were completed, the most completed first."""
    most = int(frame["completions"].max())
    return {
        "course_name": st.column_config.TextColumn("Course"),
        "completions": st.column_config.ProgressColumn(
            "Completions", format="%d", min_value=0, max_value=most, width=120
        ),
        "average": st.column_config.NumberColumn(
            "Score", format="%.0f", width=70, help="The average of completions that have a score."
        ),
        "people": st.column_config.NumberColumn("People", width=70),
    }
