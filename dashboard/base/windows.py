"""The viewer's clock, and the windows of time that pages offer."""

from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import NamedTuple
from zoneinfo import ZoneInfo, available_timezones

import streamlit as st

from shared.queries.windows import Window, midnight

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

WHOLE = {"week": "last_week", "month": "last_month"}
"""The last whole one of periods that run."""
INSTEAD = WHOLE | {
    "today": "7d",
    "last_week": "30d",
    "7d": "30d",
    "last_month": "all",
    "30d": "all",
    "quarter": "30d",
    "custom": "all",
}
"""What to look at where a period is empty: the one before it, or a longer one."""


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


class Period(NamedTuple):
    """A chosen period in words: `said` ends a sentence (`this week`, on its first day `this week so
    far`), `none` ends one that denies (`this week yet`), `dates` is when it is, and `compared` what
    its figures are compared with. The last two are empty for all time, see `dates_of` and
    `compared_with`. `has_begun_today` where no day of it is over."""

    said: str
    none: str
    dates: str
    compared: str
    has_begun_today: bool


def period_of(name: str, window: Window) -> Period:
    """A window of `WINDOWS` in words, on the viewer's clock."""
    zone, said = viewer_zone(), WORDS[name]
    began = window.until is None and window.since == midnight(today(), zone)
    words = (f"{said} so far", f"{said} yet") if began else (said, said)
    return Period(*words, dates_of(window, zone), compared_with(window, zone), began)


def dates_of(window: Window, zone: str) -> str:
    """When a period is, as it ends a sentence: `since Sat 21 Nov, 00:00 Berlin`, or once it is over
    `from Mon 16 Nov to Sun 22 Nov (Berlin)`. Empty for all time."""
    if window.since is None:
        return ""
    first = window.since.astimezone(ZoneInfo(zone))
    place = place_of(zone)
    if window.until is None:
        return f"since {_day(first.date())}, {first:%H:%M} {place}"
    last = (window.until - timedelta(microseconds=1)).astimezone(ZoneInfo(zone)).date()
    if last == first.date():
        return f"on {_day(last)} ({place})"
    return f"from {_day(first.date())} to {_day(last)} ({place})"


def place_of(zone: str) -> str:
    """A zone as a sentence names it: `New York` of `America/New_York`."""
    return zone.rpartition("/")[2].replace("_", " ")


def first_day(window: Window, zone: str) -> str:
    """The day with which a period begins: `Sat 21 Nov`. Empty for all time."""
    return _day(window.since.astimezone(ZoneInfo(zone)).date()) if window.since else ""


def _day(day: date) -> str:
    """`Sat 21 Nov`, with the year if it is another one than today's."""
    return f"{day:%a %-d %b}" if day.year == today().year else f"{day:%a %-d %b %Y}"


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
