"""Subscriptions, channels, and what was sent to a person."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, select

from shared.bulk import table_of
from shared.database import store_time
from shared.models import Channel, Notification, Notifier, Subscription
from shared.queries import row_of, rows_of

subscription = table_of(Subscription).c
channel = table_of(Channel).c
notification = table_of(Notification).c


class SubscriptionRow(NamedTuple):
    """A row of `subscription`."""

    id: int
    person: str
    rule: str
    channel: str
    role: str
    teams: str | None
    zone: str
    hour: int
    quiet_from: int | None
    quiet_until: int | None
    numbers: str
    snoozed_until: datetime | None
    token: str
    created_at: datetime

    @property
    def shown_teams(self) -> tuple[str, ...] | None:
        """The teams that messages may be about; None is all."""
        return None if self.teams is None else tuple(json.loads(self.teams))


class ChannelRow(NamedTuple):
    """A channel that messages can go to; `problem` says why nothing is sent there."""

    name: str
    kind: str
    problem: str | None
    problem_at: datetime | None


class SentRow(NamedTuple):
    """A row of the outbox, without what it is about."""

    rule: str
    channel: str
    state: str
    caused_at: datetime
    next_try_at: datetime
    sent_at: datetime | None
    error: str | None


ROW = [subscription[name] for name in SubscriptionRow._fields]


def every(connection: Connection) -> Sequence[SubscriptionRow]:
    """All subscriptions."""
    return rows_of(SubscriptionRow, connection.execute(select(*ROW).order_by(subscription.id)))


def of_person(connection: Connection, person: str) -> Sequence[SubscriptionRow]:
    """The subscriptions of one person, by rule."""
    query = select(*ROW).where(subscription.person == person)
    ordered = query.order_by(subscription.rule, subscription.channel)
    return rows_of(SubscriptionRow, connection.execute(ordered))


def by_id(connection: Connection, number: int) -> SubscriptionRow | None:
    return row_of(
        SubscriptionRow, connection.execute(select(*ROW).where(subscription.id == number))
    )


def by_token(connection: Connection, token: str) -> SubscriptionRow | None:
    """The subscription of a link in a message."""
    query = select(*ROW).where(subscription.token == token)
    return row_of(SubscriptionRow, connection.execute(query))


def channels(connection: Connection) -> Sequence[ChannelRow]:
    """The channels of the settings, as a notifier noted them at its start."""
    columns = [channel[name] for name in ChannelRow._fields]
    query = select(*columns).where(~channel.removed, channel.kind != "webhook")
    return rows_of(ChannelRow, connection.execute(query.order_by(channel.name)))


def sent_to(connection: Connection, person: str, limit: int = 20) -> Sequence[SentRow]:
    """What was to be sent to a person, the latest first."""
    mine = select(subscription.id).where(subscription.person == person)
    query = (
        select(*(notification[name] for name in SentRow._fields))
        .where(notification.subscription_id.in_(mine))
        .order_by(notification.id.desc())
        .limit(limit)
    )
    return rows_of(SentRow, connection.execute(query))


def is_notified(connection: Connection) -> bool:
    """Whether a notifier works."""
    until = connection.scalar(select(table_of(Notifier).c.lease_until))
    return until is not None and until > store_time(connection)
