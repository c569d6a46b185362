"""Whether a vendor changed what it sends: a field that is missing or has another shape. Pure."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from shared.wording import number_of, share

LOOK_BACK = timedelta(days=14)
RECENT = timedelta(days=3)
"""A change is looked for in this time; what is usual is what was before it."""
STEADY = 0.99
"""The share of events that have a field which a vendor always sends."""
ENOUGH_BEFORE, ENOUGH_SINCE, FEW = 50, 20, 3
"""With fewer events, or fewer that differ, nothing is found."""
LEAST = 0.01
UNUSUAL = 5
"""How many times as often as before."""
NOTHING = "null"
MOST_NAMED = 5
"""Fields that a finding names."""


class FieldCount(NamedTuple):
    """Events of a type that arrived in an hour and have a field with a shape. The row without a
    field and shape has all events."""

    event_type: str
    hour: datetime
    field: str
    shape: str
    events: int


class Drift(NamedTuple):
    """A field that differs in some events since an hour."""

    event_type: str
    field: str
    was: str
    """Its usual shape."""
    now: str | None
    """Its other shape; None if it is absent."""
    differ: int
    events: int
    """Since then."""
    since: datetime
    is_read: bool
    """Whether the mapping reads it."""


Hours = Mapping[datetime, int]


def drifts(
    counts: Sequence[FieldCount], read: Mapping[str, Sequence[str]], now: datetime
) -> list[Drift]:
    """The fields of a vendor that differ, the ones that are read first. `counts` are of LOOK_BACK,
    `read` the fields that the mapping reads, by event type."""
    by_type: dict[str, dict[str, dict[str, dict[datetime, int]]]] = defaultdict(
        lambda: defaultdict(lambda: defaultdict(lambda: defaultdict(int)))
    )
    for one in counts:
        by_type[one.event_type][one.field][one.shape][one.hour] += one.events
    found = []
    for event_type, fields in by_type.items():
        total = fields.pop("", {}).get("", {})
        for field, shapes in fields.items():
            is_read = field in read.get(event_type, ())
            for made in _of_field(total, shapes, now - RECENT):
                found.append(Drift(event_type, field, *made, is_read=is_read))
    return sorted(found, key=lambda one: (not one.is_read, one.event_type, one.field))


_Made = tuple[str, str | None, int, int, datetime]


def _of_field(total: Hours, shapes: Mapping[str, Hours], begin: datetime) -> list[_Made]:
    """`was`, `now`, `differ`, `events` and `since` of a field that differs."""
    present = {shape: hours for shape, hours in shapes.items() if shape != NOTHING}
    if not present:
        return []
    usual = max(present, key=lambda shape: sum(n for at, n in present[shape].items() if at < begin))
    there: dict[datetime, int] = defaultdict(int)
    for hours in present.values():
        for hour, events in hours.items():
            there[hour] += events
    absent = {hour: events - there.get(hour, 0) for hour, events in total.items()}
    other = {hour: events - present[usual].get(hour, 0) for hour, events in there.items()}
    made: list[_Made] = []
    if gone := _since(total, absent, begin):
        made.append((usual, None, *gone))
    if changed := _since(there, other, begin):
        often: Callable[[str], int] = lambda shape: sum(present[shape].values())  # noqa: E731
        made.append((usual, max((one for one in present if one != usual), key=often), *changed))
    return made


def _since(total: Hours, differ: Hours, begin: datetime) -> tuple[int, int, datetime] | None:
    """How many events differ, of how many, since the first hour from which on they do; None if
    they always did, or too few do, or the latest do not."""
    events, odd = sum(total.values()), sum(differ.get(hour, 0) for hour in total)
    before = usual = 0
    for hour in sorted(total):
        is_usual = before >= ENOUGH_BEFORE and usual <= (1 - STEADY) * before
        if hour >= begin and differ.get(hour, 0) > 0 and is_usual:
            often = max(LEAST, UNUSUAL * usual / before)
            later, differ_later = events - before, odd - usual
            if later >= ENOUGH_SINCE and differ_later >= max(FEW, often * later):
                goes_on = _goes_on(total, differ, differ_later / later)
                return (differ_later, later, hour) if goes_on else None
        before += total[hour]
        usual += differ.get(hour, 0)
    return None


def _goes_on(total: Hours, differ: Hours, rate: float) -> bool:
    """Whether some of the latest events differ, of as many as should have three."""
    events = 0
    for hour in sorted(total, reverse=True):
        if differ.get(hour, 0):
            return True
        events += total[hour]
        if events * rate >= FEW:
            return False
    return False


def in_words(drifts: Sequence[Drift]) -> str:
    """`moduleName absent in 3 % of module.progress since 24 Nov, 14:00 UTC; …`."""
    lines = [
        f"{one.field} {f'{one.now} instead of {one.was}' if one.now else 'absent'} in "
        f"{share(one.differ, one.events)} of {one.event_type} since "
        f"{one.since.day} {one.since:%b, %H:%M} UTC"
        for one in drifts[:MOST_NAMED]
    ]
    if len(drifts) > MOST_NAMED:
        lines.append(number_of(len(drifts) - MOST_NAMED, "more field"))
    return f"{'; '.join(lines)}."
