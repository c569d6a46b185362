"""Subscriptions: which messages a person gets, where and when. Each change is in the audit log."""

import json
import secrets
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple
from uuid import uuid4
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, delete, insert, update

from shared.audit import note
from shared.bulk import insert_into, table_of
from shared.clock import now
from shared.models import Notification, Subscription
from shared.queries import row_of
from shared.queries.people import Who
from shared.queries.preferences import SubscriptionRow, by_token
from shared.rules import RULES, TEST, Rule
from shared.settings import SignIn, spelt
from shared.wording import NUMBERS

LOCAL = "dashboard"
"""Every person at this machine, while no login is configured."""
HOURS = range(24)
BY_LINK = ", by the link of a message"
"""Who reads a channel can follow its links: the log says that the person need not have."""

subscription = table_of(Subscription)


class Impossible(Exception):
    """A subscription that makes no sense; the message says what to do."""


class Wanted(NamedTuple):
    """What a person chooses. Hours are on the clock of `zone`, `numbers` is one of `NUMBERS`."""

    rule: str
    channel: str
    zone: str
    hour: int = 9
    quiet_from: int | None = None
    quiet_until: int | None = None
    numbers: str = "comma"


# Changes


def save(
    connection: Connection,
    person: str,
    role: str,
    teams: tuple[str, ...] | None,
    wanted: Wanted,
) -> None:
    """Add a subscription, or change the one of this rule and channel. Raises Impossible."""
    rule = RULES.get(wanted.rule)
    if rule is None or role not in rule.roles:
        raise Impossible("Your role cannot get these messages.")
    if (wanted.quiet_from is None) != (wanted.quiet_until is None):
        raise Impossible("Quiet hours need a begin and an end.")
    given = (wanted.hour, wanted.quiet_from, wanted.quiet_until)
    if any(hour is not None and hour not in HOURS for hour in given):
        raise Impossible("An hour is between 0 and 23.")
    if wanted.numbers not in NUMBERS:
        raise Impossible("Numbers cannot be written in this way.")
    values = wanted._asdict() | {
        "person": person,
        "role": role,
        "teams": None if teams is None else json.dumps(teams),
    }
    made = {"token": secrets.token_urlsafe(24), "created_at": now(connection)}
    statement = insert_into(connection.dialect.name, Subscription).values(values | made)
    key = ("person", "rule", "channel")
    changed = {name: value for name, value in values.items() if name not in key}
    statement = statement.on_conflict_do_update(index_elements=key, set_=changed)
    connection.execute(statement)
    quiet = "" if wanted.quiet_from is None else f", quiet {wanted.quiet_from}–{wanted.quiet_until}"
    detail = f"{wanted.channel}, {wanted.hour}:00 {wanted.zone}{quiet}"
    note(connection, person, "subscribe", rule.title, detail)


def remove(connection: Connection, person: str, number: int, how: str = "") -> bool:
    """End a subscription of this person. False if it is not there. `how` is for the audit log."""
    mine = delete(subscription).where(subscription.c.id == number, subscription.c.person == person)
    gone = connection.execute(mine.returning(subscription.c.rule, subscription.c.channel)).first()
    if gone is not None:
        note(connection, person, "unsubscribe", RULES[gone.rule].title, f"{gone.channel}{how}")
    return gone is not None


def stop(connection: Connection, token: str) -> bool:
    """End the subscription of a link in a message. False if it has ended."""
    found = by_token(connection, token)
    return found is not None and remove(connection, found.person, found.id, BY_LINK)


def snooze(connection: Connection, token: str, until: datetime) -> bool:
    """Pause the subscription of a link in a message. False if it has ended."""
    found = by_token(connection, token)
    if found is None:
        return False
    mine = update(subscription).where(subscription.c.id == found.id)
    connection.execute(mine.values(snoozed_until=until))
    title = RULES[found.rule].title
    note(connection, found.person, "snooze", title, f"until {until:%-d %b %Y %H:%M} UTC{BY_LINK}")
    return True


def send_test(connection: Connection, person: str, number: int) -> bool:
    """Write a test message for a subscription of this person. False if it is not there."""
    found = row_of(
        SubscriptionRow,
        connection.execute(
            subscription.select().where(
                subscription.c.id == number, subscription.c.person == person
            )
        ),
    )
    if found is None:
        return False
    at = now(connection)
    row = to_tell(found, TEST, str(found.id), str(uuid4()), at)
    connection.execute(insert(table_of(Notification)), [row])
    note(connection, person, "test message", RULES[found.rule].title, found.channel)
    return True


def to_tell(
    to: SubscriptionRow, rule: str, subject: str, round_: str, at: datetime, **more: Any
) -> Mapping[str, Any]:
    """A row of the outbox, for what happened at `at`."""
    return {
        "rule": rule,
        "subject": subject,
        "round": round_,
        "recipient": f"{to.person} via {to.channel}",
        "subscription_id": to.id,
        "channel": to.channel,
        "vendor": None,
        "user_id": None,
        "urgent": False,
        "state": "waiting",
        "attempts": 0,
        "caused_at": at,
        "next_try_at": at,
    } | more


# What holds now


def scope(of: SubscriptionRow, settings: SignIn) -> Who | None:
    """The people that messages of a subscription may be about, by the settings of now; None if its
    person lost the role.

    A role or teams in a claim are known at a sign-in only: the saved ones count.
    """
    if not settings.has_login:
        return Who() if of.person == LOCAL else None
    listed = {
        "manager": settings.dashboard_managers,
        "lead": settings.dashboard_leads,
        "admin": settings.dashboard_admins,
    }
    if settings.oidc_role_claim is None and spelt(of.person) not in listed[of.role]:
        return None
    teams = of.shown_teams
    if of.role == "manager" and settings.manager_teams and settings.oidc_teams_claim is None:
        own = settings.manager_teams.get(spelt(of.person), ())
        teams = own if teams is None else tuple(team for team in teams if team in own)
    return Who(teams)


def held_until(of: SubscriptionRow, rule: Rule, at: datetime) -> datetime | None:
    """Until when a message of this subscription waits, in a pause or in quiet hours; None if it
    need not. A digest has an hour of its own, and no quiet ones."""
    if of.snoozed_until is not None and of.snoozed_until > at:
        return of.snoozed_until
    if rule.period is not None or of.quiet_from is None or of.quiet_until is None:
        return None
    there = at.astimezone(ZoneInfo(of.zone))
    begin, end = of.quiet_from, of.quiet_until
    over_midnight = begin > end
    quiet = there.hour >= begin or there.hour < end if over_midnight else begin <= there.hour < end
    if not quiet:
        return None
    day = there.date() + timedelta(days=over_midnight and there.hour >= begin)
    return _at(day, end, of.zone)


def last_digest(of: SubscriptionRow, rule: Rule, at: datetime, week_begins: int) -> date:
    """The day of the latest digest that is due by `at`: the first of a week or month on the clock
    of the subscription."""
    there = at.astimezone(ZoneInfo(of.zone)).date()
    first = _first(rule, there, week_begins)
    if _at(first, of.hour, of.zone) > at:
        first = _first(rule, first - timedelta(days=1), week_begins)
    return first


def next_digest(of: SubscriptionRow, rule: Rule, at: datetime, week_begins: int) -> datetime:
    """When the next digest is due."""
    days = 7 if rule.period == "week" else 31
    latest = last_digest(of, rule, at, week_begins)
    return _at(_first(rule, latest + timedelta(days=days), week_begins), of.hour, of.zone)


def digest_at(of: SubscriptionRow, day: date) -> datetime:
    """The moment of the digest of a day."""
    return _at(day, of.hour, of.zone)


def _first(rule: Rule, day: date, week_begins: int) -> date:
    if rule.period == "month":
        return day.replace(day=1)
    return day - timedelta(days=(day.weekday() - week_begins) % 7)


def _at(day: date, hour: int, zone: str) -> datetime:
    """An hour on the clock of a zone, in UTC. One that a clock change skips is the one after it."""
    local = datetime(day.year, day.month, day.day, hour, tzinfo=ZoneInfo(zone))
    return local.astimezone(ZoneInfo("UTC"))
