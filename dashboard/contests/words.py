"""How contests are put into words."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from dashboard.base.amounts import NOUNS
from dashboard.contests.data import ContestRow, Status
from shared.contests import GRACE, METRICS as KEYS, begins, ends, stored_from
from shared.wording import number_of

_KNOWN = {
    "gained": "Progress gained",
    "completed": "Modules completed",
    "average": "Average progress",
    "time": "Time spent",
}
METRICS = {key: _KNOWN.get(key, key.replace("_", " ").capitalize()) for key in KEYS}
FORMATS = {"gained": "%.1f pts", "completed": "%.1f", "average": "%.1f %%", "time": "%.1f h"}
"""Of a column of values; hours for time."""
GRACE_HOURS = int(GRACE.total_seconds() // 3600)


def figure(metric: str, value: float) -> str:
    """`104.6 points`, `3 modules`, `61.5 %`; hours for time. As exact as the column of values, so
    that the heading and the table agree."""
    shown = f"{value:,.1f}".removesuffix(".0")
    if metric == "average":
        return f"{shown} %"
    return f"{shown} {NOUNS[metric]}{'' if shown == '1' else 's'}"


def metric(row: ContestRow) -> str:
    return METRICS.get(row.metric, row.metric)


def period(row: ContestRow, zone: str) -> str:
    """`1 Nov 2025 to 30 Nov 2025 (Europe/Berlin)`, on the viewer's clock."""
    return f"{first(row, zone)} to {last(row, zone)} ({zone})"


def first(row: ContestRow, zone: str) -> str:
    """When a contest begins: a day, with the time where that is not midnight on this clock."""
    begin = begins(row).astimezone(ZoneInfo(zone))
    return day(begin.date()) if begin.time() == time() else f"{day(begin.date())}, {begin:%H:%M}"


def last(row: ContestRow, zone: str) -> str:
    """The last day of a contest, or its end where that is not midnight on this clock."""
    end = ends(row).astimezone(ZoneInfo(zone))
    if end.time() == time():
        return day(end.date() - timedelta(days=1))
    return f"{day(end.date())}, {end:%H:%M}"


def state(row: ContestRow, status: Status, zone: str) -> str:
    """Where a contest stands, as a cell and a headline say it."""
    if status is Status.FINAL:
        return "✓ Final"
    if status is Status.COMING:
        return f"○ Starts on {first(row, zone)}"
    if status is Status.RUNNING:
        return f"◑ Running until {last(row, zone)}"
    return "◔ Ended, result not final yet"


def left(row: ContestRow, status: Status, now: datetime) -> str:
    """How long a contest still runs, by the days of the viewer's clock, as it ends a headline."""
    if status is Status.ENDED:
        return ", result not final yet"
    if status is not Status.RUNNING:
        return ""
    last_day = (ends(row) - timedelta(microseconds=1)).astimezone(now.tzinfo).date()
    days = (last_day - now.date()).days
    return f", {number_of(days, 'day')} left" if days else ", last day today"


def explained(row: ContestRow, status: Status, zone: str) -> str:
    """What a viewer can rely on."""
    if status is Status.FINAL:
        return (
            f"The result was stored on {_moment(row.stored_at, zone)} and does not change. "
            "Events that arrived later are listed apart."
        )
    final = (
        f"The result becomes final {GRACE_HOURS} h after the end, as retries of the last hours "
        f"arrive until then: at {_moment(stored_from(row), zone)}, with the first page that is "
        "opened after that."
    )
    return f"The places are hidden until then. {final}" if row.hidden else final


def day(one: date) -> str:
    """`1 Nov 2025`."""
    return f"{one:%-d %b %Y}"


def _moment(at: datetime | None, zone: str) -> str:
    local = (at or datetime.now(UTC)).astimezone(ZoneInfo(zone))
    return f"{local:%-d %b %Y, %H:%M} ({zone})"
