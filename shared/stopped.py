"""Which event types a vendor no longer sends, while it sends others. Pure."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from statistics import median
from typing import NamedTuple

from shared.retries import UNUSUAL
from shared.wording import number_of

ENOUGH_DAYS = 5
"""Days with events before a type stopped: with fewer, nothing is usual."""


class TypeCount(NamedTuple):
    """Events of a type that arrived in an hour."""

    event_type: str
    hour: datetime
    events: int


class Stopped(NamedTuple):
    """An event type that no longer arrives."""

    event_type: str
    last: datetime
    """The hour of the last one."""
    expected: float
    """How many are usual since then."""


Hours = Mapping[datetime, int]


def stopped(counts: Sequence[TypeCount]) -> list[Stopped]:
    """The types that usually come on most days, and are absent from as many events since that it is
    no chance. `counts` are of two weeks. Those with the most missing events come first.

    A median day says what is usual, so a type that came in one large batch is not found, nor does
    a batch of another type since then make one."""
    hours: dict[str, dict[datetime, int]] = defaultdict(dict)
    for one in counts:
        hours[one.event_type][one.hour] = one.events
    found = [Stopped(name, max(of), _expected(of, hours)) for name, of in hours.items()]
    unusual = (one for one in found if one.expected >= UNUSUAL)
    return sorted(unusual, key=lambda one: (-one.expected, one.event_type))


def _expected(of: Hours, hours: Mapping[str, Hours]) -> float:
    """How many events of a type are usual since its last one: by days, and by what arrived of other
    types; the smaller number."""
    last = max(of)
    days = {hour.date() for one in hours.values() for hour in one}
    before = [day for day in days if day < last.date()]
    if len(before) < ENOUGH_DAYS:
        return 0
    daily = _median_day(of, before)
    others = [one for one in hours.values() if one is not of and _median_day(one, before)]
    usual = sum(_median_day(one, before) for one in others)
    if not usual:
        return 0
    since = {hour.date() for one in others for hour in one if hour.date() > last.date()}
    arrived = sum(events for one in others for hour, events in one.items() if hour > last)
    return daily * min(len(since), arrived / usual)


def _median_day(of: Hours, days: Sequence[date]) -> float:
    by_day: dict[date, int] = defaultdict(int)
    for hour, events in of.items():
        by_day[hour.date()] += events
    return median(by_day[day] for day in days)


def in_words(types: Sequence[Stopped]) -> str:
    """`The last quiz.submitted arrived on 24 Nov between 14:00 and 15:00 UTC; about 12 are usual
    since then.`"""
    return " ".join(
        f"The last {one.event_type} arrived on {one.last.day} {one.last:%b} between "
        f"{one.last:%H:%M} and {one.last + timedelta(hours=1):%H:%M} UTC; about "
        f"{one.expected:,.0f} are usual since then."
        for one in types
    )


def title(types: Sequence[Stopped]) -> str:
    """`quiz.submitted no longer arrives`."""
    if len(types) == 1:
        return f"{types[0].event_type} no longer arrives"
    return f"{number_of(len(types), 'event type')} no longer arrive"
