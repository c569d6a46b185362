"""The viewer's clock, and the windows of time that pages offer."""

from datetime import UTC, date, datetime
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

import streamlit as st

WINDOWS = {
    "today": "Today",
    "week": "This week",
    "last_week": "Last week",
    "7d": "7 days",
    "month": "This month",
    "last_month": "Last month",
    "30d": "30 days",
    "quarter": "This quarter",
    "all": "All time",
    "custom": "Custom days",
}
"""What pages call each window of `shared.queries.windows`."""

WORDS = {
    "today": "today",
    "week": "this week",
    "last_week": "last week",
    "7d": "in the last 7 days",
    "month": "this month",
    "last_month": "last month",
    "30d": "in the last 30 days",
    "quarter": "this quarter",
    "all": "so far",
    "custom": "on these days",
}
"""How each of them ends a sentence."""


def viewer_zone() -> str:
    """The name of the viewer's time zone; UTC where it is unknown."""
    return _named_zone() or "UTC"


def zone_in_words() -> str:
    """Whose clock the times of a page are by."""
    named = _named_zone()
    unknown = "Your browser's time zone is unknown: times are in UTC"
    return f"times in {named}" if named else unknown


def _named_zone() -> str | None:
    """None for a name that is not in this installation's tzdata. Some browsers say `Etc/Unknown` or
    an offset, and a client can send anything."""
    named = st.context.timezone
    return named if named in _zones() else None


@cache
def _zones() -> frozenset[str]:
    # These two are in the tzdata too: the zone of this server, and none at all.
    return frozenset(available_timezones() - {"localtime", "Factory"})


def now() -> datetime:
    """The time on the viewer's clock."""
    return datetime.now(ZoneInfo(viewer_zone()))


def today() -> date:
    """The day on the viewer's clock."""
    return now().date()


def follow(day: date) -> None:
    """A page that stays open moves on to the viewer's new day."""
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
