"""A field that goes missing or changes its shape is found, and what always varied is not."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from shared.diagnosis import Severity, diagnose
from shared.drift import Drift, FieldCount, drifts
from tests.shared.test_diagnosis import HEALTHY

NOW = datetime(2026, 3, 10, 18, tzinfo=UTC)
CHANGED = NOW - timedelta(hours=4)
TYPE = "module.progress"


def hours(
    since: datetime, until: datetime, field: str, shape: str, events: int
) -> list[FieldCount]:
    count = int((until - since) / timedelta(hours=1))
    each = (since + timedelta(hours=number) for number in range(count))
    return [FieldCount(TYPE, hour, field, shape, events) for hour in each if events]


def counts(
    before: int, after: int, of: int = 10, shape: str = "text", days: int = 10
) -> Iterator[FieldCount]:
    """A field in so many of the events of each hour, before CHANGED and after."""
    begin = NOW - timedelta(days=days)
    yield from hours(begin, NOW, "", "", of)
    yield from hours(begin, CHANGED, "data.name", "text", before)
    yield from hours(CHANGED, NOW, "data.name", shape, after)


def found(*rows: FieldCount, read: str = "data.name") -> list[Drift]:
    return drifts(rows, {TYPE: [read]}, NOW)


def test_a_field_that_goes_missing_is_found_with_the_hour_since_when() -> None:
    assert found(*counts(10, 7)) == [
        Drift(TYPE, "data.name", "text", None, 12, 40, CHANGED, is_read=True)
    ]


def test_a_field_that_goes_missing_in_three_percent_is_found() -> None:
    (one,) = found(*counts(100, 97, of=100))
    assert (one.differ, one.events, one.since) == (12, 400, CHANGED)


def test_a_field_that_is_null_is_absent() -> None:
    (one,) = found(*counts(10, 10, shape="null"))
    assert (one.now, one.differ, one.events) == (None, 40, 40)


def test_a_field_with_another_shape_is_found() -> None:
    (one,) = found(*counts(10, 10, shape="number"))
    assert (one.was, one.now, one.differ, one.events) == ("text", "number", 40, 40)


@pytest.mark.parametrize("after", [5, 0, 10, 3])
def test_a_field_that_was_always_in_half_of_the_events_is_no_finding(after: int) -> None:
    assert found(*counts(5, after)) == []


def test_a_field_that_was_seldom_absent_is_optional_and_no_finding() -> None:
    assert found(*counts(9, 1)) == []


def test_a_field_that_always_had_two_shapes_is_no_finding() -> None:
    begin = NOW - timedelta(days=10)
    mixed = [
        *hours(begin, NOW, "data.name", "text", 6),
        *hours(begin, NOW, "data.name", "number", 4),
    ]
    assert found(*hours(begin, NOW, "", "", 10), *mixed) == []


@pytest.mark.parametrize("days", [1, 10])
def test_a_small_sample_is_no_finding(days: int) -> None:
    begin = NOW - timedelta(days=days)
    few = [*hours(begin, NOW, "", "", 1), *hours(begin, CHANGED, "data.name", "text", 1)]
    assert found(*few) == []


def test_two_events_without_a_field_are_no_finding() -> None:
    rows = list(counts(100, 100, of=100))
    rows[-1] = rows[-1]._replace(events=98)
    assert found(*rows) == []


def test_a_field_that_is_back_is_no_finding() -> None:
    glitch = NOW - timedelta(hours=20)
    rows = [
        one._replace(events=4) if one.field and one.hour == glitch else one
        for one in counts(10, 10)
    ]
    assert found(*rows) == []
    again = [one._replace(events=4) if one.field and one.hour >= glitch else one for one in rows]
    assert found(*again) != []


def test_a_new_field_is_no_finding() -> None:
    assert found(*counts(0, 10)) == []


def test_what_is_read_is_a_warning_and_any_other_a_note() -> None:
    for read, kind, severity in (
        ("data.name", "fields-changed", Severity.WARNING),
        ("data.id", "other-fields-changed", Severity.NOTE),
    ):
        (finding,) = diagnose(HEALTHY._replace(drifts=found(*counts(100, 97, of=100), read=read)))
        assert (finding.kind, finding.severity) == (kind, severity)
        assert finding.evidence == (
            "data.name absent in 3.0 % of module.progress since 10 Mar, 14:00 UTC."
        )


def test_a_finding_names_five_fields() -> None:
    (one,) = found(*counts(10, 7))
    (finding,) = diagnose(HEALTHY._replace(drifts=[one] * 7))
    assert finding.evidence.endswith("; 2 more fields.")
