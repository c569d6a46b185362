"""What a reconciliation of a vendor's export says. Pure functions."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import NamedTuple

from shared.vendors import ProgressFields
from shared.wording import number_of

LISTED = 50_000
"""Of the missing events of an export, and of the differing ones, so many are listed. All count."""


class Cause(StrEnum):
    """What Repboard knows of an event of an export."""

    ARRIVED = "arrived"
    REFUSED = "refused"
    DOWN = "down"
    BEFORE = "before"
    UNKNOWN = "unknown"


IN_WORDS = {
    Cause.REFUSED: "its delivery was refused",
    Cause.DOWN: "no receiver was up",
    Cause.BEFORE: "before the first delivery",
    Cause.UNKNOWN: "nothing known of that time",
}
"""Why an event is missing."""


class Counts(NamedTuple):
    """Events of an export: the fields of `import_run` with these names."""

    arrived: int
    missing: int
    imported: int
    differing: int
    skipped: int


def statement(counts: Counts) -> str:
    """`Of 12,480 events in the export 12,431 arrived, 49 did not.`"""
    events = number_of(counts.arrived + counts.missing, "event")
    return f"Of {events} in the export {counts.arrived:,} arrived, {counts.missing:,} did not."


def rest(counts: Counts) -> str:
    """What became of the missing events, which differ, and which rows count as no event."""
    parts = []
    if counts.imported:
        are = "is" if counts.imported == 1 else "are"
        parts.append(f"{counts.imported:,} of the missing ones {are} imported.")
    if counts.differing:
        parts.append(f"{number_of(counts.differing, 'event')} have other values here.")
    if counts.skipped:
        rows = number_of(counts.skipped, "row")
        parts.append(f"{rows} repeat an event or have a type that the mapping does not have.")
    return " ".join(parts)


class DayRow(NamedTuple):
    """A row of `import_day`."""

    day: date
    cause: str
    events: int


def by_cause(days: Sequence[DayRow]) -> dict[Cause, int]:
    """How many events are missing by each cause, without causes of which none is."""
    totals = {one: sum(row.events for row in days if row.cause == one) for one in IN_WORDS}
    return {cause: total for cause, total in totals.items() if total}


IMPORTED_PROGRESS = ProgressFields(
    "", "progressed.module_id", "progressed.module_name", "progressed.progress_pct"
)
"""Where the payload of an imported event has the progress in a module."""


def source(file_name: str, at: datetime) -> str:
    """`imported from export.csv on 26 Nov 2026`: in place of a delivery. The day is in UTC."""
    return f"imported from {file_name} on {at.astimezone(UTC):%-d %b %Y}"
