"""Reconciliations of vendors' exports, and what is needed to make them."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, case, func, select, text

from shared.bulk import table_of
from shared.imports import Counts, DayRow
from shared.models import (
    OF_VENDOR,
    Delivery,
    DeliveryHourly,
    Event,
    ImportDay,
    ImportFinding,
    ImportRun,
)
from shared.outages import Outage, outages
from shared.outcomes import HAS_EVENT
from shared.queries import row_of, rows_of
from shared.queries.failures import runs as runs_of_receivers

run = table_of(ImportRun).c
day = table_of(ImportDay).c
finding = table_of(ImportFinding).c
delivery = table_of(Delivery).c
event = table_of(Event).c
hourly = table_of(DeliveryHourly).c

RUNS = 50
EVER = datetime(1970, 1, 1, tzinfo=UTC)


class RunRow(NamedTuple):
    """A reconciliation, as `import_run` has it."""

    id: int
    vendor: str
    file_name: str
    applies: bool
    started_at: datetime
    finished_at: datetime | None
    imported_at: datetime | None
    arrived: int
    missing: int
    imported: int
    differing: int
    skipped: int

    @property
    def counts(self) -> Counts:
        return Counts._make(self[-len(Counts._fields) :])


RUN = [run[name] for name in RunRow._fields]


def runs(connection: Connection) -> Sequence[RunRow]:
    """The latest reconciliations, the latest first."""
    query = select(*RUN).order_by(run.started_at.desc(), run.id.desc()).limit(RUNS)
    return rows_of(RunRow, connection.execute(query))


def one(connection: Connection, number: int) -> RunRow | None:
    """The reconciliation with this ID; None without one."""
    return row_of(RunRow, connection.execute(select(*RUN).where(run.id == number)))


def days(connection: Connection, number: int) -> Sequence[DayRow]:
    """The events of a reconciliation by UTC day and cause."""
    query = select(day.day, day.cause, day.events).where(day.run_id == number)
    return rows_of(DayRow, connection.execute(query.order_by(day.day, day.cause)))


class FindingRow(NamedTuple):
    """A listed event of an export."""

    line: int
    occurred_at: datetime
    type: str
    user_id: str | None
    event_key: str
    cause: str | None
    detail: str | None


def listed(connection: Connection, number: int, kind: str) -> int:
    """How many events of a kind, `missing` or `differing`, are listed."""
    query = select(func.count()).where(finding.run_id == number, finding.kind == kind)
    return connection.scalar(query) or 0


def findings(
    connection: Connection, number: int, kind: str, limit: int | None = None, offset: int = 0
) -> Sequence[FindingRow]:
    """Listed events of a kind, in the order of the export."""
    query = (
        select(*(finding[name] for name in FindingRow._fields))
        .where(finding.run_id == number, finding.kind == kind)
        .order_by(finding.line)
        .limit(limit)
        .offset(offset)
    )
    return rows_of(FindingRow, connection.execute(query))


class Source(NamedTuple):
    """Of which file an imported event is, and when it was imported."""

    id: int
    file_name: str
    imported_at: datetime


def sources(connection: Connection) -> Sequence[Source]:
    """Every export of which events are stored."""
    query = select(run.id, run.file_name, run.imported_at).where(run.imported_at.isnot(None))
    return rows_of(Source, connection.execute(query))


def brought_by() -> ColumnElement[int | None]:
    """The delivery that brought an event, with `delivery` in an outer join: its ID, None once it
    was removed by age. Of an imported event it is minus the ID of the run, as in `sources`."""
    return case((event.delivery_id < 0, event.delivery_id), else_=delivery.id)


def refused(connection: Connection, vendor: str, keys: Sequence[str]) -> Sequence[str]:
    """The ones of these event keys that a refused delivery of the vendor claimed."""
    query = (
        select(delivery.event_key)
        .where(delivery.vendor == vendor, delivery.event_key.in_(keys))
        .where(delivery.outcome.not_in(HAS_EVENT))
        .distinct()
    )
    return [key for key in connection.scalars(query) if key is not None]


def known_of(
    connection: Connection, vendor: str, now: datetime
) -> tuple[Sequence[Outage], datetime | None]:
    """When no receiver was up, the oldest first, and the hour of the vendor's first delivery; None
    without one."""
    first = select(func.min(hourly.hour)).where(text(OF_VENDOR), hourly.vendor == vendor)
    hour: datetime | None = connection.scalar(first)
    return outages(runs_of_receivers(connection, EVER), now), hour
