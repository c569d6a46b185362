"""Certificates and completed courses, as pages list them."""

import re
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

import pandas as pd
import streamlit as st

from dashboard.base import windows
from dashboard.base.people import sees_names

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


def completion_columns(frame: pd.DataFrame) -> Mapping[str, Any]:
    """Completions, with the vendor's report cards where there are any."""
    return {**COMPLETION, **(REPORT if (frame["report_url"] != "").any() else {})}


def standing(frame: pd.DataFrame) -> pd.DataFrame:
    """Certificates with `stands`: the state and the days left, in words."""
    today = windows.today()
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


def with_courses(frame: pd.DataFrame) -> pd.DataFrame:
    """course (its name), and report_url: empty unless it is a web address and the viewer sees
    names, as the vendor's report card shows them."""
    return frame.assign(
        course=frame["course_name"].fillna(frame["course_id"]),
        report_url=frame["report_url"].map(_of_the_web if sees_names() else lambda _: ""),
    )


def _of_the_web(address: object) -> str:
    """The store holds web addresses only, but a click opens this: never a script."""
    web = isinstance(address, str) and re.match(r"https?://", address, re.IGNORECASE)
    return str(address) if web else ""
