"""Windows of whole days on the viewer's clock."""

from datetime import UTC, date, datetime

import pytest

from shared.queries.windows import Window, midnight, week_begins, window_of

TODAY = date(2025, 11, 22)
BERLIN, KATHMANDU = "Europe/Berlin", "Asia/Kathmandu"


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[arg-type, misc]


def test_today_begins_at_the_viewers_midnight() -> None:
    assert window_of("today", TODAY, KATHMANDU).since == utc(2025, 11, 21, 18, 15)


def test_seven_days_are_today_and_six_before_and_come_after_seven_others() -> None:
    assert window_of("7d", TODAY, "UTC") == Window(utc(2025, 11, 16), None, utc(2025, 11, 9))


def test_a_quarter_is_the_calendars_so_far() -> None:
    window = window_of("quarter", TODAY, "UTC")
    assert (window.since, window.before) == (utc(2025, 10, 1), utc(2025, 8, 9))


@pytest.mark.parametrize(("month", "begin"), [(1, 1), (3, 1), (4, 4), (12, 10)])
def test_each_month_belongs_to_its_quarter(month: int, begin: int) -> None:
    assert window_of("quarter", date(2025, month, 5), "UTC").since == utc(2025, begin, 1)


def test_all_time_has_no_limit_and_nothing_before_it() -> None:
    assert window_of("all", TODAY, "UTC") == Window(None, None, None)


def test_a_window_of_chosen_days_holds_its_last_day() -> None:
    window = window_of("custom", TODAY, "UTC", (date(2025, 11, 3), date(2025, 11, 4)))
    assert window == Window(utc(2025, 11, 3), utc(2025, 11, 5), utc(2025, 11, 1))


def test_a_window_of_chosen_days_up_to_today_is_open() -> None:
    assert window_of("custom", TODAY, "UTC", (date(2025, 11, 3), TODAY)).until is None


def test_the_days_of_a_window_follow_the_change_of_the_clocks() -> None:
    """Berlin went from UTC+2 to UTC+1 on 26 October 2025."""
    window = window_of("custom", TODAY, BERLIN, (date(2025, 10, 26), date(2025, 10, 26)))
    assert (window.since, window.until) == (utc(2025, 10, 25, 22), utc(2025, 10, 26, 23))


def test_the_last_of_eight_weeks_holds_today_as_its_seventh_day() -> None:
    begins = week_begins(TODAY, "UTC")
    assert (len(begins), begins[0], begins[-1]) == (8, utc(2025, 9, 28), utc(2025, 11, 16))


def test_every_zones_midnight_begins_a_quarter_hour() -> None:
    for zone in (BERLIN, KATHMANDU, "Pacific/Chatham", "Australia/Eucla", "America/St_Johns"):
        assert midnight(TODAY, zone).minute % 15 == 0
