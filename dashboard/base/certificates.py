"""Certificates and completed courses, as pages list them."""

import re
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

import pandas as pd
import streamlit as st

from dashboard.base import windows
from dashboard.base.people import sees_names
from dashboard.base.store import each

CERTIFICATE: Mapping[str, Any] = {
    "cert_name": st.column_config.TextColumn("Certificate"),
    "stands": st.column_config.TextColumn("Renewal", width=170),
    "renewal_deadline": st.column_config.DatetimeColumn("Deadline", format="D MMM YYYY, HH:mm"),
    "expired_at": st.column_config.DatetimeColumn("Expiry", format="distance"),
}

TIMES = ("expired_at", "renewal_deadline", "renewed_at")

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
    return frame.assign(stands=[_stands(row, today) for row in each(frame)])


def certificates_expire(count: int) -> str:
    """`1 certificate expires`, `2 certificates expire`."""
    return f"{count:,} certificate{' expires' if count == 1 else 's expire'}"


def _stands(row: Any, today: date) -> str:
    if row.state == "renewed":
        return f"✓ {_how_renewed(row)}, {row.renewed_at:%-d %b %Y}"
    if row.state in ("expires soon", "valid"):
        sign = "◔" if row.state == "expires soon" else "○"
        return f"{sign} Expires {_in_days(row.expired_at, today)}"
    if pd.isna(row.renewal_deadline):
        return "○ No deadline known"
    span = _span(row.renewal_deadline, today)
    if row.state == "overdue":
        return f"⚠ Overdue by {span}" if span else "⚠ Overdue since today"
    if row.state == "due soon":
        return f"◔ Due {_in_days(row.renewal_deadline, today)}"
    return f"○ {span} left"


def _how_renewed(row: Any) -> str:
    if not isinstance(row.renewed_by, str):
        return "Course completed"
    return f"Marked by {row.renewed_by if sees_names() else 'a colleague'}"


def _in_days(at: datetime, today: date) -> str:
    span = _span(at, today)
    return f"in {span}" if span else "today"


def _span(at: datetime, today: date) -> str:
    """`3 days`; empty for today."""
    days = abs((at.date() - today).days)
    return f"{days:,} day{'' if days == 1 else 's'}" if days else ""


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
