"""Windows of time, by the name that pages and addresses use."""

from datetime import date, datetime, timedelta

DAYS = {"today": 1, "7d": 7, "30d": 30, "90d": 90}
WINDOWS = (*DAYS, "all")


def first_day(window: str, today: date) -> date | None:
    """The first UTC day of a window that ends `today`; None for all time."""
    days = DAYS.get(window)
    return None if days is None else today - timedelta(days=days - 1)


def previous(window: str, today: date) -> tuple[date, date] | None:
    """The span of the same length before a window: first day, and the day after its last."""
    first = first_day(window, today)
    return None if first is None else (first - timedelta(days=DAYS[window]), first)


HOURS = {"24h": 24, "7d": 7 * 24, "30d": 30 * 24}


def first_hour(window: str, now: datetime) -> datetime:
    """The start of a window of deliveries: a full hour, or a full day where days are drawn."""
    start = (now - timedelta(hours=HOURS[window])).replace(minute=0, second=0, microsecond=0)
    return start if window == "24h" else start.replace(hour=0)
