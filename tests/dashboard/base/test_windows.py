"""How pages say when a period is, in the viewer's zone."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from dashboard.base import windows
from shared.queries.windows import window_of

BERLIN, NEW_YORK = "Europe/Berlin", "America/New_York"
KOLKATA, LORD_HOWE, SANTIAGO = "Asia/Kolkata", "Australia/Lord_Howe", "America/Santiago"


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> datetime:
    """Half past eight of a day on the viewer's clock."""
    day, zone = request.param
    now = datetime.fromisoformat(f"{day}T08:37").replace(tzinfo=ZoneInfo(zone))
    monkeypatch.setattr(windows, "today", now.date)
    monkeypatch.setattr(windows, "viewer_zone", lambda: zone)
    return now


def period(name: str, at: datetime) -> windows.Period:
    zone = windows.viewer_zone()
    return windows.period_of(name, window_of(name, at, zone))


@pytest.mark.parametrize(
    ("at", "name", "said"),
    [
        (("2026-11-23", BERLIN), "7d", "since Tue 17 Nov, 00:00 Berlin"),
        (("2026-11-23", BERLIN), "week", "since Mon 23 Nov, 00:00 Berlin"),
        (("2026-11-23", BERLIN), "last_week", "from Mon 16 Nov to Sun 22 Nov (Berlin)"),
        (("2026-11-23", BERLIN), "custom", "since Mon 23 Nov, 00:00 Berlin"),
        (("2026-11-23", BERLIN), "all", ""),
        (("2026-12-01", KOLKATA), "month", "since Tue 1 Dec, 00:00 Kolkata"),
        (("2026-12-01", KOLKATA), "last_month", "from Sun 1 Nov to Mon 30 Nov (Kolkata)"),
        (("2027-01-01", BERLIN), "7d", "since Sat 26 Dec 2026, 00:00 Berlin"),
        (("2026-10-26", BERLIN), "7d", "since Tue 20 Oct, 00:00 Berlin"),
        (("2026-10-26", BERLIN), "last_week", "from Mon 19 Oct to Sun 25 Oct (Berlin)"),
        (("2026-11-02", NEW_YORK), "last_week", "from Mon 26 Oct to Sun 1 Nov (New York)"),
        (("2026-03-09", NEW_YORK), "7d", "since Tue 3 Mar, 00:00 New York"),
        (("2026-10-05", LORD_HOWE), "last_week", "from Mon 28 Sep to Sun 4 Oct (Lord Howe)"),
        (("2026-09-06", SANTIAGO), "today", "since Sun 6 Sep, 01:00 Santiago"),
    ],
    indirect=["at"],
)
def test_a_period_says_when_it_is_on_the_viewers_clock(at: datetime, name: str, said: str) -> None:
    assert period(name, at).dates == said


@pytest.mark.parametrize("at", [("2026-10-26", BERLIN), ("2026-11-02", NEW_YORK)], indirect=True)
def test_on_the_day_after_a_clock_change_a_morning_is_compared_with_a_morning(
    at: datetime,
) -> None:
    against = "the same weekday a week earlier, up to 08:30"
    assert period("week", at).compared == period("today", at).compared == against
    before = window_of("week", at, windows.viewer_zone()).before_until
    assert before is not None
    local = before.astimezone(ZoneInfo(windows.viewer_zone()))
    assert (at.date() - local.date()).days == 7
    assert f"{local:%H:%M}" == "08:30"


@pytest.mark.parametrize(
    ("at", "name", "said"),
    [
        (("2026-11-23", BERLIN), "week", ("this week so far", "this week yet")),
        (("2026-11-24", BERLIN), "week", ("this week", "this week")),
        (("2026-12-01", BERLIN), "month", ("this month so far", "this month yet")),
        (("2026-11-23", BERLIN), "last_week", ("last week", "last week")),
        (("2026-11-23", BERLIN), "all", ("so far", "so far")),
    ],
    indirect=["at"],
)
def test_on_its_first_day_a_period_is_one_that_has_only_begun(
    at: datetime, name: str, said: tuple[str, str]
) -> None:
    found = period(name, at)
    assert (found.said, found.none) == said
