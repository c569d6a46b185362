"""The viewer's clock, and the windows of time that pages offer."""

from datetime import UTC, date, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

import streamlit as st

from shared.queries.windows import Window

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


def compared_with(window: Window, zone: str) -> str:
    """What the figures of a window are compared with, as it follows "vs" or "than on": `the same
    weekdays 5 weeks earlier, up to 08:30`. Empty for all time."""
    if not (window.since and window.before and window.before_until):
        return ""
    since, before, last = (
        at.astimezone(ZoneInfo(zone)) for at in (window.since, window.before, window.before_until)
    )
    weeks = (since.date() - before.date()).days // 7
    one_day = (last - timedelta(microseconds=1)).date() <= before.date()
    earlier = "a week" if weeks == 1 else f"{weeks} weeks"
    said = f"the same weekday{'' if one_day else 's'} {earlier} earlier"
    return said if window.until else f"{said}, up to {last:%H:%M}"


def quarter_hour() -> datetime:
    """The begin of this quarter of an hour, up to which running periods are compared."""
    at = now()
    return at.replace(minute=at.minute // 15 * 15, second=0, microsecond=0)


def follow(opened: datetime) -> None:
    """A page that stays open moves on: its periods begin with the viewer's day, and are compared up
    to the same time of day."""
    if opened != quarter_hour():
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
