"""What was sent, to which person and when: about learners, deliveries, and to other systems."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, func, select, tuple_

from shared.bulk import table_of
from shared.models import Channel, Forwarding, Learner, Notification
from shared.queries import rows_of
from shared.queries.quiz_standings import Taker

SHOWN = 100

sent = table_of(Notification).c
channel = table_of(Channel).c
forwarding = table_of(Forwarding).c
learner = table_of(Learner).c


class SentRow(NamedTuple):
    """A row of the outbox. `recipient` is a person and a channel, or a target of forwards."""

    id: int
    rule: str
    recipient: str
    channel: str
    state: str
    attempts: int
    caused_at: datetime
    sent_at: datetime | None
    error: str | None


class TargetRow(NamedTuple):
    """A target of forwards: its types, since when it gets the first of them, how many forwards
    wait, and why nothing is sent to it."""

    name: str
    types: Sequence[str]
    since: datetime
    waiting: int
    problem: str | None


class _Forwarding(NamedTuple):
    target: str
    type: str
    since: datetime


ROW = [sent[name] for name in SentRow._fields]


def about(connection: Connection, person: str, limit: int = SHOWN) -> Sequence[SentRow]:
    """Messages and forwards about a person, the latest first."""
    own = select(learner.vendor, learner.user_id).where(learner.person == person)
    query = select(*ROW).where(tuple_(sent.vendor, sent.user_id).in_(own))
    return rows_of(SentRow, connection.execute(query.order_by(sent.id.desc()).limit(limit)))


def at_quiz(connection: Connection, taker: Taker, limit: int = SHOWN) -> Sequence[SentRow]:
    """Messages that were sent about the low scores of a learner at a quiz, the latest first."""
    query = select(*ROW).where(
        sent.vendor == taker.vendor,
        sent.user_id == taker.user_id,
        sent.rule == "low-quiz",
        sent.subject == "/".join(taker),
        sent.state == "sent",
    )
    return rows_of(SentRow, connection.execute(query.order_by(sent.id.desc()).limit(limit)))


def alerts(connection: Connection, since: datetime, limit: int = SHOWN) -> Sequence[SentRow]:
    """Messages about deliveries since then, the latest first."""
    query = select(*ROW).where(sent.rule == "deliveries", sent.caused_at >= since)
    return rows_of(SentRow, connection.execute(query.order_by(sent.id.desc()).limit(limit)))


def forwards(connection: Connection, limit: int = SHOWN) -> Sequence[SentRow]:
    """Forwards, the latest first."""
    query = select(*ROW).where(sent.subscription_id == 0, sent.payload.is_not(None))
    return rows_of(SentRow, connection.execute(query.order_by(sent.id.desc()).limit(limit)))


def targets(connection: Connection) -> Sequence[TargetRow]:
    """The targets of forwards, by name."""
    query = select(forwarding.target, forwarding.type, forwarding.since)
    by_target: dict[str, list[_Forwarding]] = {}
    ordered = query.order_by(forwarding.target, forwarding.type)
    for row in rows_of(_Forwarding, connection.execute(ordered)):
        by_target.setdefault(row.target, []).append(row)
    return [
        TargetRow(
            name,
            [row.type for row in rows],
            min(row.since for row in rows),
            _waiting(connection, f"forward {name}"),
            connection.scalar(select(channel.problem).where(channel.name == f"forward {name}")),
        )
        for name, rows in by_target.items()
    ]


def _waiting(connection: Connection, channel_name: str) -> int:
    unsent = sent.channel == channel_name, sent.state.in_(("waiting", "sending", "held"))
    return connection.scalar(select(func.count()).where(*unsent)) or 0


class Count(NamedTuple):
    """Messages of a rule in a state."""

    rule: str
    state: str
    messages: int


def counts(connection: Connection, since: datetime) -> Sequence[Count]:
    """How many messages and forwards there are of what happened since then."""
    query = (
        select(sent.rule, sent.state, func.count().label("messages"))
        .where(sent.caused_at >= since)
        .group_by(sent.rule, sent.state)
    )
    return rows_of(Count, connection.execute(query))
