"""Which contests are valid, and where one stands when."""

from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple

import pytest

from shared.contests import GRACE, Draft, Status, problems, status, stored_from, window

TODAY = date(2025, 11, 10)
DAY = timedelta(days=1)
TEAMS = {"west", "east"}
VALID = Draft("Sprint", TODAY, TODAY + 6 * DAY, "Europe/Berlin")


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"last_day": TODAY},
        {"first_day": TODAY - 9 * DAY},
        {"teams": ("west",)},
        {"teams": ("west", "east"), "board": "teams"},
        {"board": "teams"},
        {"name": "x" * 80},
        {"last_day": TODAY + 365 * DAY},
    ],
)
def test_a_valid_contest_has_no_problem(changes: dict[str, Any]) -> None:
    assert problems(VALID._replace(**changes), TODAY, TEAMS) == {}


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"name": " \t"}, "name", "Enter a name."),
        ({"name": "\u200b"}, "name", "Enter a name."),
        ({"name": "x" * 81}, "name", "more than 80"),
        ({"last_day": TODAY - 3 * DAY, "first_day": TODAY}, "last_day", "before the start"),
        ({"first_day": TODAY - 9 * DAY, "last_day": TODAY - DAY}, "last_day", "in the past"),
        ({"last_day": TODAY + 366 * DAY}, "last_day", "longer than 366 days"),
        ({"last_day": date.max}, "last_day", "longer than 366 days"),
        ({"first_day": TODAY + 367 * DAY, "last_day": TODAY + 368 * DAY}, "first_day", "a year"),
        ({"zone": "Mars/Olympus"}, "zone", "Unknown time zone."),
        ({"metric": "charm"}, "metric", "Unknown metric."),
        ({"metric": "score"}, "metric", "Unknown metric."),  # its weights can change meanwhile
        ({"board": "pets"}, "board", "Unknown board."),
        ({"teams": ()}, "teams", "at least one team"),
        ({"teams": ("west", "north")}, "teams", "north"),
        ({"teams": ("west",), "board": "teams"}, "teams", "two or more"),
    ],
)
def test_what_is_wrong_is_named_beside_its_field(
    changes: dict[str, Any], field: str, words: str
) -> None:
    found = problems(VALID._replace(**changes), TODAY, TEAMS)
    assert words in found[field]
    assert set(found) == {field}


class Dates(NamedTuple):
    first_day: date
    last_day: date
    zone: str
    stored_at: datetime | None = None


@pytest.mark.parametrize(
    ("zone", "begin", "end"),
    [
        ("Europe/Berlin", "2025-10-25T22:00", "2025-10-26T23:00"),  # a day of 25 h
        ("America/New_York", "2025-10-26T04:00", "2025-10-27T04:00"),
        ("Asia/Kolkata", "2025-10-25T18:30", "2025-10-26T18:30"),
    ],
)
def test_a_contest_of_a_day_is_that_day_in_its_zone_and_final_after_the_grace(
    zone: str, begin: str, end: str
) -> None:
    dates = Dates(date(2025, 10, 26), date(2025, 10, 26), zone)
    since, until = (datetime.fromisoformat(one).replace(tzinfo=UTC) for one in (begin, end))
    assert window(dates)[:2] == (since, until)
    assert stored_from(dates) == until + GRACE
    moment = timedelta(seconds=1)
    assert status(dates, since - moment) is Status.COMING
    assert status(dates, since) is Status.RUNNING
    assert status(dates, until - moment) is Status.RUNNING
    assert status(dates, until) is Status.ENDED
    assert status(dates._replace(stored_at=until + GRACE), until + GRACE) is Status.FINAL
