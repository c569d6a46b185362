"""Deliveries and their outcomes."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import (
    CTE,
    Boolean,
    ColumnElement,
    Connection,
    and_,
    case,
    func,
    literal,
    literal_column,
    or_,
    select,
    text,
    true,
    union_all,
)

from shared.bulk import table_of
from shared.evidence import Latest
from shared.models import (
    FAILED,
    OF_STRANGERS,
    OF_VENDOR,
    Delivery,
    DeliveryHourly,
    Event,
    Learner,
    Quarantine,
)
from shared.outcomes import HAS_EVENT, STRANGERS_LISTED, Outcome, Sender
from shared.queries import row_of, rows_of
from shared.queries.missing import identity

delivery = table_of(Delivery).c
hourly = table_of(DeliveryHourly).c
event = table_of(Event).c
learner = table_of(Learner).c
held = table_of(Quarantine).c


class HourCount(NamedTuple):
    """How many deliveries of one outcome arrived in an hour."""

    hour: datetime
    outcome: str
    deliveries: int


def by_hour(connection: Connection, since: datetime, vendor: str | None) -> Sequence[HourCount]:
    """Vendors' deliveries by hour and outcome since a full hour."""
    query = (
        select(hourly.hour, hourly.outcome, func.sum(hourly.deliveries).label("deliveries"))
        .where(hourly.hour >= since, _of(hourly.vendor, vendor))
        .where(hourly.sender == Sender.VENDOR)
        .group_by(hourly.hour, hourly.outcome)
        .order_by(hourly.hour, hourly.outcome)
    )
    return rows_of(HourCount, connection.execute(query))


class VendorHour(NamedTuple):
    """A vendor's deliveries in an hour, and how many of them were accepted, duplicates included."""

    vendor: str
    hour: datetime
    accepted: int
    deliveries: int


def hours_by_vendor(connection: Connection, since: datetime) -> Sequence[VendorHour]:
    """Each vendor's hours with a delivery since a full hour, the oldest first."""
    query = (
        select(
            hourly.vendor,
            hourly.hour,
            func.sum(_accepted()).label("accepted"),
            func.sum(hourly.deliveries).label("deliveries"),
        )
        .where(hourly.hour >= since, hourly.sender == Sender.VENDOR)
        .group_by(hourly.vendor, hourly.hour)
        .order_by(hourly.hour, hourly.vendor)
    )
    found = rows_of(VendorHour, connection.execute(query))
    return [
        row._replace(accepted=int(row.accepted), deliveries=int(row.deliveries)) for row in found
    ]


def _accepted() -> ColumnElement[int]:
    return case((hourly.outcome.in_(HAS_EVENT), hourly.deliveries), else_=0)


class Totals(NamedTuple):
    """All deliveries of a window, and those that were accepted, duplicates included."""

    all: int
    accepted: int


def totals(
    connection: Connection, since: datetime, vendor: str | None, until: datetime | None = None
) -> Totals:
    """Vendors' deliveries in hours that begin from `since` to before `until`."""
    query = select(
        func.coalesce(func.sum(hourly.deliveries), 0).label("all"),
        func.coalesce(func.sum(_accepted()), 0).label("accepted"),
    ).where(hourly.hour >= since, hourly.sender == Sender.VENDOR, _of(hourly.vendor, vendor))
    query = query.where(hourly.hour < until if until else true())
    found = connection.execute(query).one()
    return Totals(int(found.all), int(found.accepted))


class StrangerCount(NamedTuple):
    """Strangers' requests of one outcome; `unlisted` are only counted, as an hour had so many."""

    outcome: str
    requests: int
    unlisted: int


def strangers(
    connection: Connection, since: datetime, vendor: str | None
) -> Sequence[StrangerCount]:
    """Strangers' requests since a full hour, by outcome, the most frequent first."""
    # Part 0 has the listed ones.
    beyond = hourly.deliveries - case((hourly.part == 0, STRANGERS_LISTED), else_=0)
    requests = func.sum(hourly.deliveries)
    query = (
        select(
            hourly.outcome,
            requests.label("requests"),
            func.sum(case((beyond > 0, beyond), else_=0)).label("unlisted"),
        )
        .where(hourly.hour >= since, hourly.sender == Sender.STRANGER)
        .where(_of(hourly.vendor, vendor))
        .group_by(hourly.outcome)
        .order_by(requests.desc(), hourly.outcome)
    )
    found = rows_of(StrangerCount, connection.execute(query))
    return [row._replace(requests=int(row.requests), unlisted=int(row.unlisted)) for row in found]


def last(connection: Connection, vendor: str | None) -> datetime | None:
    """When a vendor's latest delivery arrived, of any outcome."""
    if vendor is None:
        query = select(delivery.received_at).where(text(OF_VENDOR))
        return connection.scalar(query.order_by(delivery.received_at.desc()).limit(1))
    found = latest(connection, vendor)
    return found.at if found else None


def latest(connection: Connection, vendor: str) -> Latest | None:
    """A vendor's latest delivery. A look-up for each outcome: there is no index of a vendor's
    deliveries by time alone."""
    of_outcomes = (
        select(
            func.max(delivery.received_at).label("at"), literal(outcome.value).label("outcome")
        ).where(text(OF_VENDOR), delivery.vendor == vendor, delivery.outcome == outcome)
        for outcome in Outcome
    )
    each = union_all(*of_outcomes).subquery().c
    query = select(each.at, each.outcome).where(each.at.isnot(None)).order_by(each.at.desc())
    found = row_of(Latest, connection.execute(query.limit(1)))
    return found._replace(outcome=Outcome(found.outcome)) if found else None


class Cause(NamedTuple):
    """Failed deliveries of a vendor with one outcome, and the commonest reason."""

    vendor: str
    outcome: str
    reason: str | None
    events: int
    attempts: int
    first: datetime
    last: datetime


def causes(connection: Connection, since: datetime, vendor: str | None) -> Sequence[Cause]:
    """Vendors' failed deliveries since a moment, by vendor and outcome, most events first. Of
    reasons that are equally common the latest is given."""
    failed = _failed(since, vendor).c
    often = func.count().desc(), func.max(failed.received_at).desc(), failed.reason
    place = func.row_number().over(partition_by=(failed.vendor, failed.outcome), order_by=often)
    reasons = (
        select(failed.vendor, failed.outcome, failed.reason, place.label("place"))
        .group_by(failed.vendor, failed.outcome, failed.reason)
        .subquery()
        .c
    )
    events = func.count(failed.identity.distinct())
    same = and_(reasons.vendor == failed.vendor, reasons.outcome == failed.outcome)
    query = (
        select(
            failed.vendor,
            failed.outcome,
            func.max(reasons.reason).label("reason"),
            events.label("events"),
            func.count().label("attempts"),
            func.min(failed.received_at).label("first"),
            func.max(failed.received_at).label("last"),
        )
        .join(reasons.vendor.table, and_(same, reasons.place == 1))
        .group_by(failed.vendor, failed.outcome)
        .order_by(events.desc(), failed.vendor, failed.outcome)
    )
    return rows_of(Cause, connection.execute(query))


def _failed(since: datetime, vendor: str | None) -> CTE:
    """Materialized, by the index of failed deliveries."""
    columns = (delivery.vendor, delivery.outcome, delivery.reason, delivery.received_at)
    query = select(*columns, identity().label("identity")).where(
        text(FAILED), delivery.received_at >= since, _of(delivery.vendor, vendor)
    )
    return query.cte("failed").prefix_with("MATERIALIZED")


_FAILED: ColumnElement[bool] = literal_column(FAILED, Boolean)
_SENT_BY: dict[Sender | None, ColumnElement[bool]] = {
    None: true(),
    Sender.VENDOR: literal_column(OF_VENDOR, Boolean),
    Sender.STRANGER: literal_column(OF_STRANGERS, Boolean),
}


class Search(NamedTuple):
    """The limits of a list of deliveries. None means any."""

    since: datetime
    until: datetime | None = None
    vendor: str | None = None
    outcome: str | None = None
    failed: bool = True
    """Only deliveries of vendors that were refused or not understood."""
    words: str | None = None
    """A sender's address, a type, or words of a reason; with `by_learner` also an event ID, or a
    learner's ID or e-mail address."""
    sender: Sender | None = None
    by_learner: bool = True


class Listed(NamedTuple):
    """A delivery in a list; `recovered` if its event is stored, from this delivery or another."""

    id: int
    received_at: datetime
    vendor: str
    outcome: str
    reason: str | None
    event_type: str | None
    event_key: str | None
    remote_ip: str | None
    status_code: int
    body_bytes: int
    replay_of: int | None
    recovered: bool


def search(
    connection: Connection, wanted: Search, limit: int | None = None, offset: int = 0
) -> Sequence[Listed]:
    """The deliveries within the limits, the latest first."""
    columns = (delivery[name] for name in Listed._fields if name != "recovered")
    query = (
        select(*columns, _has_event().label("recovered"))
        .where(*_within(wanted))
        .order_by(delivery.received_at.desc(), delivery.id.desc())
        .limit(limit)
        .offset(offset)
    )
    return rows_of(Listed, connection.execute(query))


def found(connection: Connection, wanted: Search) -> int:
    """How many deliveries `search` lists."""
    query = select(func.count()).select_from(table_of(Delivery)).where(*_within(wanted))
    return connection.scalar(query) or 0


def _within(wanted: Search) -> list[ColumnElement[bool]]:
    return [
        delivery.received_at >= wanted.since,
        _of(delivery.vendor, wanted.vendor),
        delivery.received_at < wanted.until if wanted.until else true(),
        _FAILED if wanted.failed else _SENT_BY[wanted.sender],
        _of(delivery.outcome, wanted.outcome),
        _says(wanted.words.strip(), wanted.by_learner) if wanted.words else true(),
    ]


def _has_event() -> ColumnElement[bool]:
    return (
        select(event.id)
        .where(event.vendor == delivery.vendor, event.event_key == delivery.event_key)
        .exists()
    )


def _says(words: str, by_learner: bool) -> ColumnElement[bool]:
    said = or_(
        delivery.remote_ip == words,
        delivery.event_type == words,
        delivery.reason.icontains(words, autoescape=True),
    )
    return or_(said, _is_of(words)) if by_learner else said


def _is_of(words: str) -> ColumnElement[bool]:
    """Whether a delivery claims this event ID, or is of a learner with this ID or address."""
    of_learner = (
        select(event.event_key)
        .join(
            table_of(Learner),
            and_(learner.vendor == event.vendor, learner.user_id == event.user_id),
            isouter=True,
        )
        .where(or_(event.user_id == words, func.lower(learner.email) == words.lower()))
    )
    return or_(delivery.event_key == words, delivery.event_key.in_(of_learner))


class Detail(NamedTuple):
    """One delivery with all that is stored of it.

    Headers, body and state are those in quarantine, of this delivery or of an earlier one with the
    same body. `payload` is that of the event which it brought or repeats, `brought_by` the delivery
    that brought that event, below zero if an import did, `occurred_at` the time of the event with
    the ID that it claims.
    """

    id: int
    vendor: str
    received_at: datetime
    event_key: str | None
    event_type: str | None
    outcome: str
    reason: str | None
    status_code: int
    duration_ms: float
    remote_ip: str | None
    body_bytes: int
    replay_of: int | None
    headers: str | None
    body: bytes | None
    state: str | None
    payload: str | None
    brought_by: int | None
    occurred_at: datetime | None


OF_OTHERS = ("headers", "body", "state", "payload", "brought_by", "occurred_at")


def detail(connection: Connection, delivery_id: int) -> Detail | None:
    """One delivery; None without one. A refused delivery may claim the ID of any event, so it shows
    nothing else of that event."""
    known = or_(event.delivery_id == delivery.id, delivery.outcome == Outcome.DUPLICATE)
    query = (
        select(
            *(delivery[name] for name in Detail._fields if name not in OF_OTHERS),
            held.headers,
            held.body,
            held.state,
            case((known, event.payload)).label("payload"),
            case((known, event.delivery_id)).label("brought_by"),
            event.occurred_at,
        )
        .join(
            table_of(Quarantine),
            held.delivery_id == func.coalesce(delivery.held_as, delivery.id),
            isouter=True,
        )
        .join(
            table_of(Event),
            and_(event.vendor == delivery.vendor, event.event_key == delivery.event_key),
            isouter=True,
        )
        .where(delivery.id == delivery_id)
    )
    return row_of(Detail, connection.execute(query))


def vendors(connection: Connection) -> Sequence[str]:
    """The vendors that have any request."""
    return connection.scalars(select(hourly.vendor).distinct().order_by(hourly.vendor)).all()


def _of(column: Any, wanted: str | None) -> ColumnElement[bool]:
    return true() if wanted is None else column == wanted
