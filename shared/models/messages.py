"""Messages to people and forwards to other systems."""

from datetime import datetime

from sqlalchemy import text
from sqlmodel import Field, Index

from shared.models.columns import RowId, Table, UtcDateTime, Words

UNSENT = "state IN ('waiting', 'sending', 'held')"


class Channel(Table, table=True):
    """A place where messages go, as a notifier noted it at its start; never its address.

    `kind` is `Slack`, `Teams`, `mail`, `JSON`, or `webhook` for a target of forwards. While
    `problem` says why its server refuses every message, nothing is sent there. `removed` if the
    settings no longer have it.
    """

    name: str = Field(primary_key=True, sa_type=Words)
    kind: str = Field(sa_type=Words)
    removed: bool
    problem: str | None = Field(default=None, sa_type=Words)
    problem_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class Subscription(Table, table=True):
    """Which messages a person wants, and where. `role` and `teams`, a JSON list or None for all,
    are those that the person had when they last saved it; messages are limited to them.

    `hour` is on the clock of `zone`, for digests. From `quiet_from` to before `quiet_until`, hours
    on that clock, messages wait. `numbers` is one of `wording.NUMBERS`. Who has `token` can end or
    pause the subscription.
    """

    __table_args__ = (
        Index("subscription_key", "person", "rule", "channel", unique=True),
        Index("subscription_token", "token", unique=True),
        Index("subscription_rule", "rule"),
    )

    id: int | None = Field(default=None, primary_key=True, sa_type=RowId)
    person: str = Field(sa_type=Words)
    rule: str = Field(sa_type=Words)
    channel: str = Field(sa_type=Words)
    role: str = Field(sa_type=Words)
    teams: str | None = Field(default=None, sa_type=Words)
    zone: str = Field(sa_type=Words)
    hour: int
    quiet_from: int | None = None
    quiet_until: int | None = None
    numbers: str = Field(
        default="comma", sa_type=Words, sa_column_kwargs={"server_default": "comma"}
    )
    snoozed_until: datetime | None = Field(default=None, sa_type=UtcDateTime)
    token: str = Field(sa_type=Words)
    created_at: datetime = Field(sa_type=UtcDateTime)


class Notification(Table, table=True):
    """A message to one recipient about one thing: `subject` is what, `round` which time. Has no
    text: a message is written when it is sent, from what the store says then.

    `state` is `waiting` (until `next_try_at`), `sending`, `sent`, `failed`, `held` (in quiet hours
    or a pause) or `superseded` (no longer true when it was to be sent). Rows of one `message_id`
    went out, or go, as one message. `vendor` and `user_id` are the learner that it is about.

    A forward has a `payload`, which each attempt repeats: its `rule` is the type, its `recipient`
    and `channel` are the target, and its `subscription_id` is 0.
    """

    __table_args__ = (
        Index("notification_key", "rule", "subject", "round", "recipient", unique=True),
        Index(
            "notification_open",
            "next_try_at",
            sqlite_where=text(UNSENT),
            postgresql_where=text(UNSENT),
        ),
        Index("notification_recipient", "recipient", "rule", "sent_at"),
        Index("notification_caused_at", "caused_at"),
        Index("notification_learner", "vendor", "user_id"),
    )

    id: int | None = Field(default=None, primary_key=True, sa_type=RowId)
    rule: str = Field(sa_type=Words)
    subject: str = Field(sa_type=Words)
    round: str = Field(sa_type=Words)
    recipient: str = Field(sa_type=Words)
    subscription_id: int = Field(sa_type=RowId)
    channel: str = Field(sa_type=Words)
    vendor: str | None = Field(default=None, sa_type=Words)
    user_id: str | None = Field(default=None, sa_type=Words)
    urgent: bool
    state: str = Field(sa_type=Words)
    message_id: str | None = Field(default=None, sa_type=Words)
    attempts: int
    caused_at: datetime = Field(sa_type=UtcDateTime)
    next_try_at: datetime = Field(sa_type=UtcDateTime)
    sent_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    error: str | None = Field(default=None, sa_type=Words)
    payload: str | None = Field(default=None, sa_type=Words)


class Forwarding(Table, table=True):
    """A type that is forwarded to a target, by the settings: what happened from `since` on."""

    target: str = Field(primary_key=True, sa_type=Words)
    type: str = Field(primary_key=True, sa_type=Words)
    since: datetime = Field(sa_type=UtcDateTime)


class Notifier(Table, table=True):
    """Which notifier works, and until when others stand by; one row. What events up to
    `forwarded_event_id` say is in the outbox, where it is to be forwarded."""

    id: int = Field(primary_key=True, sa_type=RowId, sa_column_kwargs={"autoincrement": False})
    holder: str | None = Field(default=None, sa_type=Words)
    lease_until: datetime | None = Field(default=None, sa_type=UtcDateTime)
    forwarded_event_id: int | None = Field(default=None, sa_type=RowId)
