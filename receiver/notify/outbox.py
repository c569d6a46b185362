"""The outbox: what waits to be sent, what becomes of it, and which notifier may send.

Each step is a transaction, so a notifier can end between any two of them. A row that is `sending`
and in no process of this notifier belongs to one that ended: it may have been sent, and is sent
again under the same message ID. A channel gets its next message once the result of the one before
is committed. So of each channel one message at most is repeated, and none is lost.
"""

import random
from collections.abc import Iterator, Mapping, Sequence, Set
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import uuid4

from sqlalchemy import (
    ColumnElement,
    Connection,
    and_,
    bindparam,
    case,
    func,
    or_,
    select,
    text,
    update,
)

from shared.bulk import insert_into, table_of
from shared.database import store_time
from shared.models import UNSENT, Channel, Notification, Notifier
from shared.queries import row_of, rows_of

LEASE = timedelta(seconds=20)
RENEW = timedelta(seconds=12)
"""A lease is extended when it has less than this left: in between, a step takes a few seconds."""
TOO_OLD = timedelta(hours=24)
"""What could not be sent for so long stands in the digest only."""
FIRST_WAIT, LONGEST_WAIT = timedelta(seconds=10), timedelta(hours=1)
JITTER = 0.2
BATCH = 500
"""Rows of one statement."""
AT_ONCE = 100
"""Messages that are claimed for a channel at once."""
LOOKED_AT = 500
"""Rows of a channel that are looked at for these. More rows of one message wait for the next."""
FORWARD_WAITS = tuple(
    timedelta(seconds=wait) for wait in (5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400)
)
"""After each failed attempt of a forward; after the last wait and its attempt it has failed."""
TO_SEND = ("waiting", "held")
SINGLE, PACE = 3, timedelta(hours=1)
"""After so many messages of a rule to a recipient within this time, the rest is one message."""

notification = table_of(Notification)
channel = table_of(Channel)
notifier = table_of(Notifier)
row = notification.c


class Cause(NamedTuple):
    """One thing to tell: a row of a message."""

    id: int
    subject: str
    round: str


class Letter(NamedTuple):
    """A message that this notifier is sending; `attempt` counts from 1."""

    message_id: str
    rule: str
    subscription_id: int
    channel: str
    attempt: int
    urgent: bool
    causes: Sequence[Cause]
    payload: str | None = None
    """Of a forward."""


class Sent(NamedTuple):
    """The message was accepted."""


class Superseded(NamedTuple):
    """There is nothing to say any more, and why."""

    reason: str


class Held(NamedTuple):
    """The recipient wants no messages until then."""

    until: datetime


class Failed(NamedTuple):
    """It was not accepted. `refused`: not this message, ever; `closed`: no message, until the
    settings of the channel change. Otherwise it is tried again, after `wait` if the server said."""

    error: str
    refused: bool = False
    closed: bool = False
    wait: timedelta | None = None


class Later(NamedTuple):
    """Not tried, for lack of time: its turn comes in the next step."""


Result = Sent | Superseded | Held | Failed | Later
Noted = tuple[Letter, Result]
"""A message, and what became of it."""


class _Lease(NamedTuple):
    holder: str | None
    lease_until: datetime | None


# Which notifier works


def works(connection: Connection, holder: str) -> bool | None:
    """Whether this notifier has the lease; None if it must take or extend it. Changes nothing."""
    query = select(notifier.c.holder, notifier.c.lease_until)
    lease, now = row_of(_Lease, connection.execute(query)), store_time(connection)
    if lease is None or lease.lease_until is None or lease.lease_until <= now:
        return None
    if lease.holder != holder:
        return False
    return True if lease.lease_until - now > RENEW else None


def take_lease(connection: Connection, holder: str) -> bool:
    """Take or extend the lease of the store. False while another notifier has it."""
    begin = insert_into(connection.dialect.name, Notifier).values(id=1)
    connection.execute(begin.on_conflict_do_nothing())
    now = store_time(connection)
    free = or_(
        notifier.c.holder == holder,
        notifier.c.lease_until.is_(None),
        notifier.c.lease_until <= now,
    )
    taken = update(notifier).where(free).values(holder=holder, lease_until=now + LEASE)
    return bool(connection.execute(taken).rowcount)


def holds(connection: Connection, holder: str) -> bool:
    """Whether this notifier still has the lease. No other takes it before this transaction ends."""
    query = select(notifier.c.holder).with_for_update()
    return bool(connection.scalar(query) == holder)


def release(connection: Connection, holder: str) -> None:
    """Let another notifier begin at once."""
    mine = update(notifier).where(notifier.c.holder == holder)
    connection.execute(mine.values(lease_until=store_time(connection)))


# What is due


Key = tuple[str, str, str, str]
Row = Mapping[str, Any]
"""A new row of the outbox, by column."""


def key_of(new: Row) -> Key:
    """What a row is about and for, which is unique."""
    return new["rule"], new["subject"], new["round"], new["recipient"]


def add(connection: Connection, rows: Sequence[Row]) -> None:
    """Write rows, each only once: another notifier may have written some."""
    for begin in range(0, len(rows), BATCH):
        insert = insert_into(connection.dialect.name, Notification)
        new = insert.values(rows[begin : begin + BATCH])
        connection.execute(new.on_conflict_do_nothing())


# What is sent


def is_due(connection: Connection, now: datetime, busy: Set[str] = frozenset()) -> bool:
    """Whether any message is to be sent, or was being sent when its notifier ended, other than by
    the channels that are `busy`."""
    due = or_(and_(*_to_channels(), row.next_try_at <= now), row.state == "sending")
    query = select(row.id).where(_unsent(), row.channel.not_in(busy), due)
    return connection.scalar(query.limit(1)) is not None


def claim(connection: Connection, now: datetime, busy: Set[str] = frozenset()) -> list[Letter]:
    """Messages to send now, in the transaction of the lease, to channels that are not `busy` with
    those of an earlier claim. Rows of one rule for one recipient are one message; it keeps its rows
    and its ID until it is sent."""
    mine = _unsent(), row.state == "sending", row.channel.not_in(busy)
    connection.execute(update(notification).where(*mine).values(state="waiting"))
    _give_up_old(connection, now)
    is_open = select(channel.c.name).where(_is_open(), channel.c.name.not_in(busy))
    groups = [
        rows
        for name in connection.scalars(is_open).all()
        for rows in _groups(connection, name, now)
    ]
    lately = _sent_lately(connection, [rows[0] for rows in groups], now)
    letters = []
    for rows in groups:
        letter = _letter(rows)
        paced = letter.attempt == 1 and letter.payload is None and not letter.urgent
        sent = lately.get((rows[0].recipient, letter.rule), ()) if paced else ()
        if len(sent) >= SINGLE:
            _change(connection, letter, next_try_at=min(sent) + PACE)
        else:
            letters.append(letter)
    _begin(connection, letters)
    return letters


def finish(connection: Connection, letter: Letter, result: Result, now: datetime) -> None:
    """Note what became of a message."""
    match result:
        case Sent():
            _change(connection, letter, state="sent", sent_at=now, error=None)
        case Superseded(reason):
            _change(connection, letter, state="superseded", error=reason)
        case Held(until):
            # It was no attempt, and more may come to it meanwhile.
            held = {"state": "held", "next_try_at": until, "attempts": letter.attempt - 1}
            _change(connection, letter, **held, message_id=None)
        case Later():
            _change(connection, letter, state="waiting", attempts=letter.attempt - 1)
        case Failed(error, refused=True):
            _change(connection, letter, state="failed", error=error)
        case Failed(error, closed=closed, wait=wait):
            if closed:
                _close(connection, letter.channel, error, now)
            pause = _pause(letter, wait)
            if pause is None:
                _change(connection, letter, state="failed", error=error)
            else:
                _change(connection, letter, state="waiting", next_try_at=now + pause, error=error)


def backoff(attempt: int) -> timedelta:
    """How long to wait after a failed attempt, from 1 on: doubled each time, up to an hour."""
    wait = min(LONGEST_WAIT, FIRST_WAIT * (1 << min(attempt - 1, 20)))
    return wait * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 (no secret)


def _pause(letter: Letter, wait: timedelta | None) -> timedelta | None:
    """Until the next attempt; None after the last one."""
    if letter.payload is None:
        return wait or backoff(letter.attempt)
    if letter.attempt > len(FORWARD_WAITS):
        return None
    return max(wait or timedelta(0), FORWARD_WAITS[letter.attempt - 1])


class _Row(NamedTuple):
    id: int
    rule: str
    subject: str
    round: str
    recipient: str
    subscription_id: int
    channel: str
    urgent: bool
    message_id: str | None
    attempts: int
    payload: str | None


def _groups(connection: Connection, name: str, now: datetime) -> Iterator[list[_Row]]:
    """The rows of each message to a channel that is due: urgent ones, then the longest due."""
    query = (
        select(*(row[name] for name in _Row._fields))
        .where(_unsent(), row.state.in_(TO_SEND), row.channel == name, row.next_try_at <= now)
        .order_by(row.next_try_at, row.id)
        .limit(LOOKED_AT)
    )
    groups: dict[object, list[_Row]] = {}
    for one in rows_of(_Row, connection.execute(query)):
        new = (one.rule, one.recipient, one.urgent)
        groups.setdefault(one.message_id or new, []).append(one)
    ordered = sorted(groups.values(), key=lambda rows: not rows[0].urgent)
    yield from ordered[:AT_ONCE]


def _letter(rows: Sequence[_Row]) -> Letter:
    first = rows[0]
    return Letter(
        message_id=first.message_id or str(uuid4()),
        rule=first.rule,
        subscription_id=first.subscription_id,
        channel=first.channel,
        attempt=first.attempts + 1,
        urgent=first.urgent,
        causes=[Cause(one.id, one.subject, one.round) for one in rows],
        payload=first.payload,
    )


def _begin(connection: Connection, letters: Sequence[Letter]) -> None:
    """Note which rows go out as which message."""
    begun = [
        {"row_id": cause.id, "message": letter.message_id, "attempt": letter.attempt}
        for letter in letters
        for cause in letter.causes
    ]
    if begun:
        one = update(notification).where(row.id == bindparam("row_id"))
        sending = one.values(
            state="sending", message_id=bindparam("message"), attempts=bindparam("attempt")
        )
        connection.execute(sending, begun)


def _unsent() -> ColumnElement[bool]:
    """In the words of the index, as SQLite uses it for these only."""
    return text(UNSENT)  # type: ignore[return-value]


def _is_open() -> ColumnElement[bool]:
    """Of a channel: whether it takes messages."""
    return and_(~channel.c.removed, channel.c.problem.is_(None))


def _to_channels() -> list[ColumnElement[bool]]:
    """Conditions of rows that wait for a channel that takes messages."""
    return [row.state.in_(TO_SEND), row.channel.in_(select(channel.c.name).where(_is_open()))]


def _give_up_old(connection: Connection, now: datetime) -> None:
    # Of a bare column SQLite would use the index, and read all that was sent before.
    caused_at = case((row.state.in_(TO_SEND), row.caused_at))
    old = _unsent(), caused_at < now - TOO_OLD, row.payload.is_(None)
    reason = func.coalesce(row.error, "not sent within 24 hours")
    connection.execute(update(notification).where(*old).values(state="failed", error=reason))


class _SentOne(NamedTuple):
    recipient: str
    rule: str
    at: datetime


def _sent_lately(
    connection: Connection, like: Sequence[_Row], now: datetime
) -> Mapping[tuple[str, str], Sequence[datetime]]:
    """When messages of their rules were sent to their recipients within `PACE`, by both."""
    of_them = (
        row.recipient.in_({one.recipient for one in like}),
        row.rule.in_({one.rule for one in like}),
    )
    query = (
        select(row.recipient, row.rule, func.max(row.sent_at).label("at"))
        .where(*of_them, row.sent_at > now - PACE)
        .group_by(row.recipient, row.rule, row.message_id)
    )
    found: dict[tuple[str, str], list[datetime]] = {}
    for one in rows_of(_SentOne, connection.execute(query)):
        found.setdefault((one.recipient, one.rule), []).append(one.at)
    return found


def _close(connection: Connection, name: str, problem: str, now: datetime) -> None:
    """Send nothing more to a channel, and keep why for the page."""
    mine = update(channel).where(channel.c.name == name)
    connection.execute(mine.values(problem=problem, problem_at=now))


def _change(connection: Connection, letter: Letter, **values: object) -> None:
    ids = [cause.id for cause in letter.causes]
    connection.execute(update(notification).where(row.id.in_(ids)).values(values))
