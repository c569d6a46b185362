"""An event type that no longer arrives is found, and one that seldom came or waits is not."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

import pytest

from shared.diagnosis import Severity, diagnose
from shared.retries import Silence
from shared.stopped import Stopped, TypeCount, stopped
from tests.shared.test_diagnosis import HEALTHY

MONDAY = datetime(2026, 3, 9, tzinfo=UTC)
PROGRESS, QUIZ, COURSE = "module.progress", "quiz.submitted", "course.completed"
OFFICE = range(8, 18)


def weekdays(
    event_type: str, begin: int, end: int, each_hour: int, hours: Sequence[int] = OFFICE
) -> Iterator[TypeCount]:
    """Events on weekdays from `begin` to `end`, days before Monday."""
    for day in range(begin, end, -1):
        at = MONDAY - timedelta(days=day)
        if at.weekday() < 5:
            yield from (TypeCount(event_type, at + timedelta(hours=n), each_hour) for n in hours)


def today(event_type: str, hours: Sequence[int], each_hour: int) -> Iterator[TypeCount]:
    return (TypeCount(event_type, MONDAY + timedelta(hours=n), each_hour) for n in hours)


BEFORE = [*weekdays(PROGRESS, 14, 0, 20), *weekdays(QUIZ, 14, 0, 2)]
FRIDAY = MONDAY - timedelta(days=3)


def test_a_type_that_stopped_on_friday_is_found_on_monday_with_its_last_hour() -> None:
    (found,) = stopped([*BEFORE, *today(PROGRESS, OFFICE, 20)])
    assert found == Stopped(QUIZ, FRIDAY + timedelta(hours=17), 20.0)


def test_on_monday_at_half_past_eight_too_little_has_arrived_to_say_so() -> None:
    assert stopped([*BEFORE, *today(PROGRESS, [8], 20)]) == []


def test_over_a_weekend_nothing_is_missing() -> None:
    assert stopped(BEFORE) == []


def test_a_type_that_arrives_again_is_no_finding() -> None:
    assert stopped([*BEFORE, *today(PROGRESS, OFFICE, 20), *today(QUIZ, [17], 1)]) == []


def test_a_type_that_came_in_one_batch_is_no_finding() -> None:
    batch = TypeCount(COURSE, MONDAY - timedelta(days=6), 5_000)
    assert stopped([*BEFORE, batch, *today(PROGRESS, OFFICE, 20), *today(QUIZ, OFFICE, 2)]) == []


def test_a_batch_of_another_type_does_not_make_a_type_late() -> None:
    batch = [*today(PROGRESS, [8], 20_000), *today(COURSE, [8], 20_000)]
    seldom = [*weekdays(PROGRESS, 14, 0, 20), *weekdays(QUIZ, 14, 0, 1, hours=[9, 15])]
    assert stopped([*seldom, *batch]) == []


def test_a_seldom_type_is_found_when_enough_are_missing() -> None:
    before = [*weekdays(PROGRESS, 14, 0, 20), *weekdays(QUIZ, 14, 5, 3, hours=[9])]
    (found,) = stopped([*before, *today(PROGRESS, OFFICE, 20)])
    assert (found.event_type, found.expected) == (QUIZ, 12.0)


@pytest.mark.parametrize("begin", [4, 3])
def test_with_few_days_before_nothing_is_usual(begin: int) -> None:
    before = [*weekdays(PROGRESS, begin, 0, 20), *weekdays(QUIZ, begin, 0, 20)]
    assert stopped([*before, *today(PROGRESS, OFFICE, 20)]) == []


TYPES = [Stopped(QUIZ, FRIDAY + timedelta(hours=17), 20.4)]


def test_the_finding_says_which_type_since_when_and_what_to_do() -> None:
    (finding,) = diagnose(HEALTHY._replace(stopped=TYPES))
    assert finding.severity is Severity.WARNING
    assert finding.title == "quiz.submitted no longer arrives"
    assert finding.evidence == (
        "The last quiz.submitted arrived on 6 Mar between 17:00 and 18:00 UTC; about 20 are usual "
        "since then. Other events of MindTickle arrive."
    )


def test_several_types_are_one_finding() -> None:
    (finding,) = diagnose(HEALTHY._replace(stopped=[*TYPES, TYPES[0]._replace(event_type=COURSE)]))
    assert finding.title == "2 event types no longer arrive"
    assert "The last course.completed arrived" in finding.evidence


def test_where_nothing_arrives_only_that_is_said() -> None:
    quiet = HEALTHY._replace(stopped=TYPES, silence=Silence(FRIDAY, 40))
    assert [one.kind for one in diagnose(quiet)] == ["silence"]
