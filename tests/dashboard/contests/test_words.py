"""How contests are put into words."""

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from dashboard.contests import words
from dashboard.contests.data import ContestRow, Status

MONDAY = date(2026, 11, 23)


BERLIN, NEW_YORK = "Europe/Berlin", "America/New_York"


def sprint(zone: str, days: int) -> ContestRow:
    """Over `days` more than one, from a Monday on."""
    return ContestRow(
        id=1, name="Sprint", board="learners", metric="gained", first_day=MONDAY,
        last_day=MONDAY + timedelta(days=days), zone=zone, all_teams=True, hidden=False,
        created_by="lea", stored_at=None, stored_event=None,
    )  # fmt: skip


@pytest.mark.parametrize("zone", [BERLIN, NEW_YORK, "Asia/Kolkata"])
@pytest.mark.parametrize(
    ("days", "said"), [(0, ", last day today"), (1, ", 1 day left"), (4, ", 4 days left")]
)
def test_the_days_that_are_left_are_those_of_the_viewers_clock(
    zone: str, days: int, said: str
) -> None:
    monday_morning = datetime(2026, 11, 23, 8, 30, tzinfo=ZoneInfo(zone))
    assert words.left(sprint(zone, days), Status.RUNNING, monday_morning) == said


@pytest.mark.parametrize(
    ("made_in", "viewed_in", "period", "until"),
    [
        (BERLIN, BERLIN, "23 Nov 2026 to 27 Nov 2026", "27 Nov 2026"),
        (BERLIN, "Europe/Paris", "23 Nov 2026 to 27 Nov 2026", "27 Nov 2026"),
        ("UTC", BERLIN, "23 Nov 2026, 01:00 to 28 Nov 2026, 01:00", "28 Nov 2026, 01:00"),
        (BERLIN, NEW_YORK, "22 Nov 2026, 18:00 to 27 Nov 2026, 18:00", "27 Nov 2026, 18:00"),
    ],
)
def test_a_period_is_that_of_the_viewers_clock_and_names_it(
    made_in: str, viewed_in: str, period: str, until: str
) -> None:
    row = sprint(made_in, 4)
    assert words.period(row, viewed_in) == f"{period} ({viewed_in})"
    assert words.state(row, Status.RUNNING, viewed_in) == f"◑ Running until {until}"
