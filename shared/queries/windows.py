"""Windows of time, by the name that pages and addresses use."""

import math
from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple, Self
from zoneinfo import ZoneInfo

QUARTER_HOUR = timedelta(minutes=15)
"""Standings are kept for each of these, so a finer moment could not be looked up."""
ROLLING_DAYS = {"today": 1, "7d": 7, "30d": 30}
WINDOWS = (
    "today",
    "week",
    "last_week",
    "7d",
    "month",
    "last_month",
    "30d",
    "quarter",
    "all",
    "custom",
)
WEEKS = 8
WEEK = timedelta(days=7)


class Calendar(NamedTuple):
    """How a company counts: `week_begins` on a weekday (0 is Monday), `year_begins` in a month."""

    week_begins: int = 0
    year_begins: int = 1

    @classmethod
    def of(cls, weekday: str, month: int) -> Self:
        """By the name of the weekday: `monday`, `saturday`, `sunday`."""
        return cls({"monday": 0, "saturday": 5, "sunday": 6}[weekday], month)


class Window(NamedTuple):
    """From `since` to before `until`, compared with what lies from `before` to before
    `before_until`.

    Moments in UTC. None is no limit; all time is compared with nothing.
    """

    since: datetime | None = None
    until: datetime | None = None
    before: datetime | None = None
    before_until: datetime | None = None

    def earliest(self) -> datetime | None:
        """The first moment of which standings matter; None if only those of now do."""
        return self.before or self.since or self.until


class Days(NamedTuple):
    """The first and the last day of a window."""

    first: date
    last: date


def window_of(
    name: str,
    now: datetime,
    zone: str,
    calendar: Calendar = Calendar(),  # noqa: B008
    custom: Days | None = None,
) -> Window:
    """A window of `WINDOWS`: whole days on the viewer's clock, never past today.

    It is compared with the same weekdays, as many whole weeks earlier as it is long, and up to the
    same time of day while it still runs. So an unfinished day is never compared with a full one,
    nor a weekend with working days. `custom` holds the days of "custom"; without them it is today.
    """
    if name == "all":
        return Window()
    local = now.astimezone(ZoneInfo(zone))
    days = days_of(name, local.date(), calendar, custom)
    earlier = weeks_earlier(days)
    begin, compared_from = (midnight(day, zone) for day in (days.first, days.first - earlier))
    if days.last < local.date():
        end, compared_until = (
            midnight(day + timedelta(days=1), zone) for day in (days.last, days.last - earlier)
        )
        return Window(begin, end, compared_from, compared_until)
    return Window(begin, None, compared_from, _quarter_hour(local, earlier))


def days_of(
    name: str,
    today: date,
    calendar: Calendar = Calendar(),  # noqa: B008
    custom: Days | None = None,
) -> Days:
    """The first and last day of a window that has some; `today` is the last of one that runs."""
    week = today - timedelta(days=(today.weekday() - calendar.week_begins) % 7)
    month = today.replace(day=1)
    last_month = month - timedelta(days=1)
    named = {
        "week": Days(week, today),
        "last_week": Days(week - WEEK, week - timedelta(days=1)),
        "month": Days(month, today),
        "last_month": Days(last_month.replace(day=1), last_month),
        "quarter": Days(_quarter(month, calendar), today),
        "custom": custom or Days(today, today),
    }
    rolling = {key: Days(today - timedelta(days=n - 1), today) for key, n in ROLLING_DAYS.items()}
    return (named | rolling)[name]


def weeks_earlier(days: Days) -> timedelta:
    """How far back the period lies that a window is compared with: whole weeks, at least as many
    as the window is long."""
    length = (days.last - days.first).days + 1
    return WEEK * math.ceil(length / 7)


def _quarter(month: date, calendar: Calendar) -> date:
    """The begin of the quarter of a month, which is given by its first day."""
    into_quarter = (month.month - calendar.year_begins) % 3
    years, index = divmod(month.year * 12 + month.month - 1 - into_quarter, 12)
    return date(years, index + 1, 1)


def _quarter_hour(local: datetime, earlier: timedelta) -> datetime:
    """The begin of the quarter hour, at the same time of day `earlier`. In UTC."""
    there = datetime.combine(local.date() - earlier, local.time(), local.tzinfo).astimezone(UTC)
    return there - (there - datetime.min.replace(tzinfo=UTC)) % QUARTER_HOUR


def midnight(day: date, zone: str) -> datetime:
    """The begin of a day on the viewer's clock, in UTC."""
    return datetime.combine(day, time(), ZoneInfo(zone)).astimezone(UTC)


def week_begins(today: date, zone: str) -> list[datetime]:
    """The begins of the last eight weeks on the viewer's clock, the latest ending with `today`."""
    return [midnight(today - timedelta(days=7 * weeks - 1), zone) for weeks in range(WEEKS, 0, -1)]


HOURS = {"24h": 24, "7d": 7 * 24, "30d": 30 * 24, "90d": 90 * 24}


def first_hour(window: str, now: datetime) -> datetime:
    """The start of a window of deliveries: a full hour, or a full day where days are drawn."""
    start = (now - timedelta(hours=HOURS[window])).replace(minute=0, second=0, microsecond=0)
    return start if window == "24h" else start.replace(hour=0)
