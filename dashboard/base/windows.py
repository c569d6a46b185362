"""The viewer's clock, and the windows of time that pages offer."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import streamlit as st

WINDOWS = {
    "today": "Today",
    "7d": "7 days",
    "30d": "30 days",
    "quarter": "Quarter",
    "all": "All time",
    "custom": "Custom",
}

WORDS = {
    "today": "today",
    "7d": "in these 7 days",
    "30d": "in these 30 days",
    "quarter": "this quarter",
    "all": "in all this time",
    "custom": "in these days",
}


def viewer_zone() -> str:
    """The viewer's time zone by its name."""
    return st.context.timezone or "UTC"


def now() -> datetime:
    """The time on the viewer's clock."""
    return datetime.now(ZoneInfo(viewer_zone()))


def today() -> date:
    """The day on the viewer's clock."""
    return now().date()


def follow(day: date) -> None:
    """Windows begin anew with the viewer's day, also on a page that stays open."""
    if day != today():
        st.rerun()


def ago(at: datetime | None) -> str:
    """`4 s ago`; `never` if there is no time."""
    if at is None:
        return "never"
    seconds = max(0, int((datetime.now(UTC) - at).total_seconds()))
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit} ago"
    return f"{seconds} s ago"
