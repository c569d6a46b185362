"""Certificates and completed courses, as pages list them."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
import streamlit as st

from dashboard.base.pieces import viewer_zone

CERTIFICATE: Mapping[str, Any] = {
    "cert_name": st.column_config.TextColumn("Certificate"),
    "stands": st.column_config.TextColumn("Renewal", width=150),
    "renewal_deadline": st.column_config.DatetimeColumn("Deadline", format="D MMM YYYY, HH:mm"),
    "expired_at": st.column_config.DatetimeColumn("Expired", format="distance"),
}
COMPLETION: Mapping[str, Any] = {
    "course": st.column_config.TextColumn("Course"),
    "score": st.column_config.NumberColumn("Score", format="%.0f"),
    "completed_at": st.column_config.DatetimeColumn("Completed", format="distance"),
}
REPORT = {
    "report_url": st.column_config.LinkColumn(
        "Report", display_text="Open", width=65, help="The learner's answers, at the vendor."
    )
}
TEAM: Mapping[str, Any] = {
    "team_id": st.column_config.TextColumn("Team"),
    "overdue": st.column_config.NumberColumn("Overdue"),
    "due_soon": st.column_config.NumberColumn("Due soon", help="The deadline is within 30 days."),
    "expired": st.column_config.NumberColumn("Expired", help="All of them."),
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
            "Score", format="%.0f", width=70, help="The average of those that have one."
        ),
        "people": st.column_config.NumberColumn("People", width=70),
    }


def completion_columns(frame: pd.DataFrame) -> Mapping[str, Any]:
    """Completions, with the vendor's report cards where there are any."""
    return {**COMPLETION, **(REPORT if (frame["report_url"] != "").any() else {})}


def standing(frame: pd.DataFrame) -> pd.DataFrame:
    """Certificates with `stands`: in words, with the days that are left on the viewer's clock."""
    today = datetime.now(ZoneInfo(viewer_zone())).date()
    rows = zip(frame["state"], frame["renewal_deadline"], strict=True)
    return frame.assign(stands=[_stands(state, deadline, today) for state, deadline in rows])


def _stands(state: str, deadline: datetime, today: date) -> str:
    if pd.isna(deadline):
        return "○ No deadline known"
    days = abs((deadline.date() - today).days)
    span = f"{days:,} day{'' if days == 1 else 's'}"
    if state == "overdue":
        return f"⚠ Overdue by {span}" if days else "⚠ Overdue since today"
    if state == "due soon":
        return f"◔ Due in {span}" if days else "◔ Due today"
    return f"○ {span} left"
