"""Windows of time, by the name that pages and addresses use."""

from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

DAYS = {"today": 1, "7d": 7, "30d": 30}
WINDOWS = (*DAYS, "quarter", "all", "custom")
WEEKS = 8


class Window(NamedTuple):
    """From `since` to before `until`, and the period of as many days before it, from `before`.

    Moments in UTC. None is no limit; all time has no period before it.
    """

    since: datetime | None = None
    until: datetime | None = None
    before: datetime | None = None


def window_of(name: str, today: date, zone: str, custom: tuple[date, date] | None = None) -> Window:
    """A window of whole days on the viewer's clock, up to and with `today`.

    A quarter is the calendar's, so far. `custom` is the first and the last day of "custom".
    """
    if name == "all":
        return Window()
    first, last = custom if name == "custom" and custom else (_first_day(name, today), today)
    days = (last - first).days + 1
    return Window(
        since=midnight(first, zone),
        until=None if last >= today else midnight(last + timedelta(days=1), zone),
        before=midnight(first - timedelta(days=days), zone),
    )


def _first_day(name: str, today: date) -> date:
    if name == "quarter":
        return date(today.year, 3 * ((today.month - 1) // 3) + 1, 1)
    return today - timedelta(days=DAYS.get(name, 1) - 1)


def midnight(day: date, zone: str) -> datetime:
    """The begin of a day on the viewer's clock, in UTC."""
    return datetime.combine(day, time(), ZoneInfo(zone)).astimezone(UTC)


def week_begins(today: date, zone: str) -> list[datetime]:
    """The begins of the last eight weeks on the viewer's clock, the latest ending with `today`."""
    return [midnight(today - timedelta(days=7 * weeks - 1), zone) for weeks in range(WEEKS, 0, -1)]


HOURS = {"24h": 24, "7d": 7 * 24, "30d": 30 * 24}


def first_hour(window: str, now: datetime) -> datetime:
    """The start of a window of deliveries: a full hour, or a full day where days are drawn."""
    start = (now - timedelta(hours=HOURS[window])).replace(minute=0, second=0, microsecond=0)
    return start if window == "24h" else start.replace(hour=0)
