"""The viewer's subscriptions, the channels there are, and what was sent to them."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pandas as pd
from sqlalchemy import Connection

from dashboard import access
from dashboard.base.filters import calendar
from dashboard.base.store import (
    actor,
    ask_by_token,
    framed,
    local,
    query_fresh,
    query_now,
    query_seldom,
    settings,
    write,
    write_by_token,
)
from dashboard.base.windows import viewer_zone
from shared import subscriptions
from shared.naming import Naming
from shared.queries import preferences as read
from shared.queries.causes import Asked, causes
from shared.queries.people import Who
from shared.queries.preferences import ChannelRow, SubscriptionRow
from shared.rules import RULES, Rule
from shared.subscriptions import Impossible, Wanted

__all__ = ["ChannelRow", "Impossible", "SubscriptionRow", "Wanted"]

LINK = "subscription"
"""The key of the address in a message's foot."""
WEEK = timedelta(days=7)


def rules() -> Mapping[str, Rule]:
    """The rules that the viewer may subscribe to, by key."""
    return {key: rule for key, rule in RULES.items() if access.role() in rule.roles}


def channels() -> Sequence[ChannelRow]:
    return query_fresh(read.channels)


def is_notified() -> bool:
    """Whether a notifier works."""
    return query_now(read.is_notified)


def subscribed() -> Sequence[SubscriptionRow]:
    """The viewer's subscriptions."""
    return query_fresh(read.of_person, actor())


def sent() -> pd.DataFrame:
    """What was to be sent to the viewer: the fields of `SentRow`, with titles of rules."""
    rows = query_fresh(read.sent_to, actor())
    return framed(
        [row._replace(rule=RULES[row.rule].title if row.rule in RULES else "Test") for row in rows],
        lambda frame: local(frame, viewer_zone(), "caused_at"),
    )


def in_last_week(rule: Rule) -> int:
    """How many messages the viewer would have got in the last seven days, by what the store says
    now."""
    if rule.period is not None:
        return 1 if rule.period == "week" else 0
    owner = actor() if rule.key == "overdue" else None
    return query_seldom(_in_last_week, rule.key, access.who(Who()), owner)


def _in_last_week(connection: Connection, rule: str, who: Who, owner: str | None) -> int:
    now = datetime.now(UTC)
    asked = Asked(who, now - WEEK, now, settings(), Naming("full", None))
    found = causes(connection, rule, asked)
    return len({(one.subject, one.round) for one in found if owner in (None, one.owner)})


def save(wanted: Wanted) -> None:
    """Subscribe the viewer, or change that subscription. Raises Impossible."""
    with write("subscribe") as connection:
        subscriptions.save(connection, actor(), access.role(), access.present().teams, wanted)


def remove(number: int) -> None:
    with write("subscribe") as connection:
        subscriptions.remove(connection, actor(), number)


def send_test(number: int) -> None:
    with write("subscribe") as connection:
        subscriptions.send_test(connection, actor(), number)


def next_run(row: SubscriptionRow) -> str:
    """`Mon 24 Nov, 09:00 Europe/Berlin`; of a rule without a time `as it happens`."""
    rule = RULES[row.rule]
    now = datetime.now(UTC)
    if row.snoozed_until is not None and row.snoozed_until > now:
        return f"paused until {_on_clock(row.snoozed_until, row.zone)}"
    if rule.period is not None:
        begins = calendar().week_begins
        return _on_clock(subscriptions.next_digest(row, rule, now, begins), row.zone)
    if row.quiet_from is None:
        return "as it happens"
    return f"as it happens, but not from {row.quiet_from}:00 to {row.quiet_until}:00 {row.zone}"


def _on_clock(at: datetime, zone: str) -> str:
    there = at.astimezone(ZoneInfo(zone))
    return f"{there:%a} {there.day} {there:%b, %H:%M} {zone}"


# By the link of a message, without a sign-in


def of_link(token: str) -> SubscriptionRow | None:
    """The subscription of a link; None once it has ended."""
    return ask_by_token(read.by_token, token)


def stop(token: str) -> None:
    write_by_token(subscriptions.stop, token)


def snooze(token: str, days: int) -> None:
    write_by_token(subscriptions.snooze, token, datetime.now(UTC) + timedelta(days=days))
