"""Windows of whole days on the viewer's clock, and what they are compared with."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, strategies as st

from shared.queries.windows import (
    WINDOWS,
    Calendar,
    Days,
    Window,
    days_of,
    midnight,
    week_begins,
    window_of,
)

TODAY = date(2025, 11, 22)
"""A Saturday."""
NOW = datetime(2025, 11, 22, 8, 37, tzinfo=UTC)
BERLIN, KATHMANDU = "Europe/Berlin", "Asia/Kathmandu"


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[arg-type, misc]


def test_today_begins_at_the_viewers_midnight() -> None:
    assert window_of("today", NOW, KATHMANDU).since == utc(2025, 11, 21, 18, 15)


@pytest.mark.parametrize(
    ("name", "first", "last"),
    [
        ("today", TODAY, TODAY),
        ("7d", date(2025, 11, 16), TODAY),
        ("30d", date(2025, 10, 24), TODAY),
        ("week", date(2025, 11, 17), TODAY),
        ("last_week", date(2025, 11, 10), date(2025, 11, 16)),
        ("month", date(2025, 11, 1), TODAY),
        ("last_month", date(2025, 10, 1), date(2025, 10, 31)),
        ("quarter", date(2025, 10, 1), TODAY),
    ],
)
def test_a_window_has_these_days(name: str, first: date, last: date) -> None:
    assert days_of(name, TODAY) == Days(first, last)


def test_a_week_that_begins_on_sunday_holds_saturday_as_its_last_day() -> None:
    sunday = Calendar(week_begins=6)
    assert days_of("week", TODAY, sunday) == Days(date(2025, 11, 16), TODAY)
    assert days_of("last_week", TODAY, sunday) == Days(date(2025, 11, 9), date(2025, 11, 15))


@pytest.mark.parametrize(("month", "begin"), [(1, 1), (3, 1), (4, 4), (12, 10)])
def test_each_month_belongs_to_its_quarter(month: int, begin: int) -> None:
    assert days_of("quarter", date(2025, month, 5)).first == date(2025, begin, 1)


@pytest.mark.parametrize(
    ("today", "begin"),
    [
        (date(2025, 1, 31), date(2024, 11, 1)),
        (date(2025, 2, 1), date(2025, 2, 1)),
        (date(2025, 12, 31), date(2025, 11, 1)),
    ],
)
def test_a_fiscal_year_that_begins_in_february_has_its_own_quarters(
    today: date, begin: date
) -> None:
    assert days_of("quarter", today, Calendar(year_begins=2)).first == begin


def test_all_time_has_no_limit_and_is_compared_with_nothing() -> None:
    assert window_of("all", NOW, "UTC") == Window()


def test_a_day_that_runs_is_compared_with_the_same_weekday_up_to_the_same_time() -> None:
    assert window_of("today", NOW, "UTC") == Window(
        utc(2025, 11, 22), None, utc(2025, 11, 15), utc(2025, 11, 15, 8, 30)
    )


def test_days_that_run_are_compared_with_the_same_weekdays_up_to_the_same_time() -> None:
    assert window_of("7d", NOW, "UTC") == Window(
        utc(2025, 11, 16), None, utc(2025, 11, 9), utc(2025, 11, 15, 8, 30)
    )


def test_thirty_days_are_compared_with_those_five_weeks_before() -> None:
    assert window_of("30d", NOW, "UTC").before == utc(2025, 9, 19)


def test_chosen_days_are_compared_with_the_same_weekdays_and_hold_their_last_day() -> None:
    window = window_of("custom", NOW, "UTC", custom=Days(date(2025, 11, 3), date(2025, 11, 4)))
    assert window == Window(
        utc(2025, 11, 3), utc(2025, 11, 5), utc(2025, 10, 27), utc(2025, 10, 29)
    )


def test_chosen_days_up_to_today_run() -> None:
    window = window_of("custom", NOW, "UTC", custom=Days(date(2025, 11, 3), TODAY))
    assert (window.until, window.before_until) == (None, utc(2025, 11, 1, 8, 30))


def test_the_days_of_a_window_follow_the_change_of_the_clocks() -> None:
    """Berlin went from UTC+2 to UTC+1 on 26 October 2025."""
    window = window_of("custom", NOW, BERLIN, custom=Days(date(2025, 10, 26), date(2025, 10, 26)))
    assert (window.since, window.until) == (utc(2025, 10, 25, 22), utc(2025, 10, 26, 23))


def test_the_same_time_of_day_is_that_of_the_viewers_clock_before_the_clocks_changed() -> None:
    monday = datetime(2025, 10, 27, 8, 30, tzinfo=ZoneInfo(BERLIN))
    assert window_of("today", monday, BERLIN).before_until == utc(2025, 10, 20, 6, 30)


@given(
    st.sampled_from([name for name in WINDOWS if name not in ("all", "custom")]),
    st.integers(1_600_000_000, 2_000_000_000),
    st.sampled_from([BERLIN, KATHMANDU, "America/New_York", "UTC"]),
    st.integers(0, 6),
    st.integers(1, 12),
)
def test_every_window_is_compared_with_the_same_weekdays_before_it(
    name: str, seconds: int, zone: str, week: int, year: int
) -> None:
    local = ZoneInfo(zone)
    window = window_of(name, datetime.fromtimestamp(seconds, UTC), zone, Calendar(week, year))
    assert window.since
    assert window.before
    assert window.before_until
    assert window.before_until <= window.since
    begin, compared = (moment.astimezone(local) for moment in (window.since, window.before))
    assert begin.weekday() == compared.weekday()
    assert begin.time() == compared.time() == time()


def test_the_last_of_eight_weeks_holds_today_as_its_seventh_day() -> None:
    begins = week_begins(TODAY, "UTC")
    assert (len(begins), begins[0], begins[-1]) == (8, utc(2025, 9, 28), utc(2025, 11, 16))


def test_every_zones_midnight_begins_a_quarter_hour() -> None:
    for zone in (BERLIN, KATHMANDU, "Pacific/Chatham", "Australia/Eucla", "America/St_Johns"):
        assert midnight(TODAY, zone).minute % 15 == 0


def test_a_fresh_day_is_compared_with_nothing_yet() -> None:
    window = window_of("today", datetime(2025, 11, 22, 0, 7, tzinfo=UTC), "UTC")
    assert window.before == window.before_until == utc(2025, 11, 22) - timedelta(days=7)
