"""What came in, and what became of it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import (
    Boolean,
    ColumnElement,
    Connection,
    and_,
    case,
    func,
    literal_column,
    or_,
    select,
    text,
    true,
    union_all,
)

from shared.bulk import table_of
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
from shared.outcomes import STRANGERS_LISTED, TAKEN, Outcome, Sender
from shared.queries import AnyRow

delivery = table_of(Delivery).c
hourly = table_of(DeliveryHourly).c
event = table_of(Event).c
learner = table_of(Learner).c
held = table_of(Quarantine).c


def by_hour(connection: Connection, since: datetime, vendor: str | None) -> Sequence[AnyRow]:
    """Vendors' deliveries by hour and outcome since a full hour: hour, outcome, deliveries."""
    query = (
        select(hourly.hour, hourly.outcome, func.sum(hourly.deliveries).label("deliveries"))
        .where(hourly.hour >= since, _of(hourly.vendor, vendor))
        .where(hourly.sender == Sender.VENDOR)
        .group_by(hourly.hour, hourly.outcome)
        .order_by(hourly.hour, hourly.outcome)
    )
    return connection.execute(query).all()


def totals(connection: Connection, since: datetime, vendor: str | None) -> AnyRow:
    """How many deliveries of vendors since a full hour, and how many of them were accepted or
    repeated: all, taken."""
    taken = case((hourly.outcome.in_(TAKEN), hourly.deliveries), else_=0)
    query = select(
        func.coalesce(func.sum(hourly.deliveries), 0).label("all"),
        func.coalesce(func.sum(taken), 0).label("taken"),
    ).where(hourly.hour >= since, hourly.sender == Sender.VENDOR, _of(hourly.vendor, vendor))
    return connection.execute(query).one()


def strangers(connection: Connection, since: datetime, vendor: str | None) -> Sequence[AnyRow]:
    """What strangers sent since a full hour, by outcome: outcome, requests, unlisted (those that
    were only counted, as so many came within an hour); the most frequent first."""
    beyond = hourly.deliveries - STRANGERS_LISTED
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
    return connection.execute(query).all()


def last(connection: Connection, vendor: str | None) -> datetime | None:
    """When a vendor's latest delivery came, of whatever outcome."""
    if vendor is None:
        query = select(delivery.received_at).where(text(OF_VENDOR))
        return connection.scalar(query.order_by(delivery.received_at.desc()).limit(1))
    # A look-up for each outcome: there is no index of a vendor's deliveries by time alone.
    of_outcomes = (
        select(func.max(delivery.received_at).label("at"))
        .where(text(OF_VENDOR), delivery.vendor == vendor, delivery.outcome == outcome)
        for outcome in Outcome
    )  # fmt: skip
    at: ColumnElement[datetime] = union_all(*of_outcomes).subquery().c.at
    return connection.scalar(select(func.max(at)))


def causes(connection: Connection, since: datetime, vendor: str | None) -> Sequence[AnyRow]:
    """Vendors' failed deliveries since a full hour, by outcome: outcome, reason (the latest),
    deliveries, first, last; the most frequent first. Counts come from the roll-up, the rest by
    index."""
    deliveries = func.sum(hourly.deliveries)
    query = (
        select(
            hourly.outcome,
            _edge(delivery.reason, since, vendor, newest=True).label("reason"),
            deliveries.label("deliveries"),
            _edge(delivery.received_at, since, vendor, newest=False).label("first"),
            _edge(delivery.received_at, since, vendor, newest=True).label("last"),
        )
        .where(hourly.hour >= since, hourly.outcome.not_in(TAKEN), _of(hourly.vendor, vendor))
        .where(hourly.sender == Sender.VENDOR)
        .group_by(hourly.outcome)
        .order_by(deliveries.desc(), hourly.outcome)
    )
    return connection.execute(query).all()


def _edge(column: Any, since: datetime, vendor: str | None, *, newest: bool) -> Any:
    """A column of the newest or oldest delivery of an outcome."""
    order = delivery.received_at.desc() if newest else delivery.received_at
    return (
        select(column)
        .where(text(FAILED), delivery.outcome == hourly.outcome, delivery.received_at >= since)
        .where(_of(delivery.vendor, vendor))
        .order_by(order)
        .limit(1)
        .scalar_subquery()
    )


_FAILED: ColumnElement[bool] = literal_column(FAILED, Boolean)
_SENT_BY: dict[Sender | None, ColumnElement[bool]] = {
    None: true(),
    Sender.VENDOR: literal_column(OF_VENDOR, Boolean),
    Sender.STRANGER: literal_column(OF_STRANGERS, Boolean),
}


class Search(NamedTuple):
    """What a list of deliveries is limited to; times are moments, None means any."""

    since: datetime
    until: datetime | None = None
    vendor: str | None = None
    outcome: str | None = None
    failed: bool = True
    """Only what a vendor sent and was refused or not understood."""
    words: str | None = None
    """A sender's address, a type, or words of a reason; with `by_learner` also an event id, or a
    learner's id or e-mail address."""
    sender: Sender | None = None
    by_learner: bool = True


def search(connection: Connection, wanted: Search, limit: int = 200) -> Sequence[AnyRow]:
    """The latest deliveries: id, received_at, vendor, outcome, reason, event_type, event_key,
    remote_ip, status_code, body_bytes, replay_of, and whether the event got in at all."""
    columns = ("id", "received_at", "vendor", "outcome", "reason", "event_type", "event_key",
               "remote_ip", "status_code", "body_bytes", "replay_of")  # fmt: skip
    query = (
        select(*(delivery[name] for name in columns), _got_in().label("recovered"))
        .where(delivery.received_at >= wanted.since, _of(delivery.vendor, wanted.vendor))
        .where(delivery.received_at < wanted.until if wanted.until else true())
        .where(_FAILED if wanted.failed else _SENT_BY[wanted.sender])
        .where(_of(delivery.outcome, wanted.outcome))
        .where(_says(wanted.words.strip(), wanted.by_learner) if wanted.words else true())
        .order_by(delivery.received_at.desc(), delivery.id.desc())
        .limit(limit)
    )
    return connection.execute(query).all()


def _got_in() -> ColumnElement[bool]:
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
    """Whether a delivery is of an event by its id, or of a learner by id or address."""
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


def detail(connection: Connection, delivery_id: int) -> AnyRow | None:
    """One delivery with what is kept of it: all its columns; headers, body, state and kind, if it
    is in quarantine, or the same was before it; `payload` of the event that it brought, or of which
    it is a duplicate, and
    `brought_by`, the delivery that brought that event; occurred_at of the event with the id that it
    claims. A refused delivery may claim the id of any event, so it shows nothing of that one."""
    known = or_(event.delivery_id == delivery.id, delivery.outcome == Outcome.DUPLICATE)
    query = (
        select(
            *delivery,
            held.headers,
            held.body,
            held.state,
            held.kind,
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
    return connection.execute(query).one_or_none()


def vendors(connection: Connection) -> Sequence[str]:
    """The vendors that anything ever came for."""
    return connection.scalars(select(hourly.vendor).distinct().order_by(hourly.vendor)).all()


def _of(column: Any, wanted: str | None) -> ColumnElement[bool]:
    return true() if wanted is None else column == wanted
