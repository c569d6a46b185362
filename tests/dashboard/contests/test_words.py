"""How contests are put into words."""

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from dashboard.contests import words
from dashboard.contests.data import ContestRow, Status

MONDAY = date(2026, 11, 23)


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Asia/Kolkata"])
@pytest.mark.parametrize(
    ("days", "said"), [(0, ", last day today"), (1, ", 1 day left"), (4, ", 4 days left")]
)
def test_the_days_that_are_left_are_those_of_the_contests_own_zone(
    zone: str, days: int, said: str
) -> None:
    last = MONDAY + timedelta(days=days)
    row = ContestRow(
        id=1, name="Sprint", board="learners", metric="gained", first_day=MONDAY, last_day=last,
        zone=zone, all_teams=True, hidden=False, created_by="lea", stored_at=None,
        stored_event=None,
    )  # fmt: skip
    monday_morning = datetime(2026, 11, 23, 8, 30, tzinfo=ZoneInfo(zone))
    assert words.left(row, Status.RUNNING, monday_morning) == said
