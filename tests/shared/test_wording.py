"""Numbers and durations in sentences."""

from datetime import timedelta

import pytest

from shared.wording import duration, number_of, remaining, rewritten, share


@pytest.mark.parametrize(
    ("count", "noun", "words"),
    [
        (0, "event", "0 events"),
        (1, "delivery", "1 delivery"),
        (2, "delivery", "2 deliveries"),
        (2, "day", "2 days"),
        (1_204, "attempt", "1,204 attempts"),
    ],
)
def test_a_number_has_its_noun_in_the_right_form(count: int, noun: str, words: str) -> None:
    assert number_of(count, noun) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "1 s"),
        (40, "40 s"),
        (60, "1 min"),
        (7_500, "2 h 5 min"),
        (28 * 3600, "28 h"),
        (76 * 3600, "3 days 4 h"),
    ],
)
def test_a_duration_is_never_0_min(seconds: float, words: str) -> None:
    assert duration(timedelta(seconds=seconds)) == words


def test_time_that_has_run_out_is_less_than_a_minute() -> None:
    assert remaining(timedelta(seconds=-5)) == "less than a minute"
    assert remaining(timedelta(minutes=112)) == "1 h 52 min"


@pytest.mark.parametrize(
    ("part", "whole", "words"),
    [
        (1, 1, "100 %"),
        (999, 1000, "99.9 %"),
        (9_999, 10_000, "99.9 %"),
        (1, 3, "33 %"),
        (1, 300, "0.3 %"),
        (1, 5_000, "0.1 %"),
        (0, 7, "0 %"),
    ],
)
def test_a_share_is_100_percent_only_of_all(part: int, whole: int, words: str) -> None:
    assert share(part, whole) == words


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        ("comma", "1,234,567 events, 0.4 % by 10.0.0.1, 1,234.5 %"),
        ("point", "1.234.567 events, 0,4 % by 10.0.0.1, 1.234,5 %"),
        ("space", "1\u202f234\u202f567 events, 0,4 % by 10.0.0.1, 1\u202f234,5 %"),
    ],
)
def test_numbers_are_written_as_a_person_chooses(numbers: str, expected: str) -> None:
    assert rewritten("1,234,567 events, 0.4 % by 10.0.0.1, 1,234.5 %", numbers) == expected
