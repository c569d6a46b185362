"""Who was in which team, and when: the spells that a roster's history makes, with the history.

A spell is a function of `roster_change` and of the accounts of a person, so after any order of
events it is the same.
"""

from collections.abc import Iterable
from functools import cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Delete,
    Select,
    and_,
    case,
    delete,
    func,
    or_,
    select,
    true,
)

from shared.bulk import Upsert, encode, given, insert_into, table_of
from shared.models import Learner, RosterChange, TeamSpell
from shared.queries.people import same_account
from shared.queries.spells import BEFORE_ALL, FOREVER, moment

Account = tuple[str, str]

learner = table_of(Learner).c
spell = table_of(TeamSpell).c


def persons_of(connection: Connection, accounts: Iterable[Account]) -> set[str]:
    """The persons that accounts (vendor, user_id) belong to, of those that are known."""
    rows = {"rows": encode(sorted(accounts))}
    return set(connection.scalars(_persons(connection.dialect.name), rows))


def follow(connection: Connection, persons: Iterable[str]) -> None:
    """Bring up to date the spells of people whose history or accounts have changed."""
    dialect = connection.dialect.name
    rows = {"rows": encode([(person,) for person in sorted(persons)])}
    connection.execute(_forget(dialect), rows)
    connection.execute(_make(dialect), rows)


def make_all(connection: Connection) -> None:
    """Make every spell, where there is none."""
    connection.execute(_into(connection.dialect.name, _spells(true())))


@cache
def _persons(dialect: str) -> Select[Any]:
    of = given(dialect, [learner.vendor, learner.user_id]).subquery("given").c
    return select(learner.person).join_from(
        of.vendor.table, table_of(Learner), same_account(learner, of)
    )


@cache
def _forget(dialect: str) -> Delete:
    return delete(table_of(TeamSpell)).where(spell.person.in_(_given(dialect)))


@cache
def _make(dialect: str) -> Upsert:
    return _into(dialect, _spells(learner.person.in_(_given(dialect))))


def _given(dialect: str) -> Select[Any]:
    return select(given(dialect, [learner.person]).subquery("given").c.person)


def _into(dialect: str, rows: Select[Any]) -> Upsert:
    return insert_into(dialect, TeamSpell).from_select([one.name for one in spell], rows)


def _spells(which: ColumnElement[bool]) -> Select[Any]:
    """Of which accounts. At any moment the team is that of the latest roster entry among the
    accounts that are active then, as in `people`."""
    entry = _entries(which).cte("roster_entry")
    # One way of ordering: each more is a sort.
    in_order: Any = {
        "partition_by": entry.c.person,
        "order_by": (
            entry.c.changed_at,
            entry.c.kind,
            entry.c.vendor.desc(),
            entry.c.user_id.desc(),
        ),
    }
    later = func.lead(entry.c.changed_at).over(**in_order)
    first = func.first_value(entry.c.changed_at).over(**in_order)
    found = select(
        entry.c.person,
        case(
            (entry.c.kind == "joined", entry.c.team_id),
            (_has_other_account(entry), _other_team(entry)),
        ).label("team_id"),
        entry.c.changed_at.label("began_at"),
        func.coalesce(later, moment(FOREVER)).label("ended_at"),
        case((entry.c.changed_at == first, moment(BEFORE_ALL)), else_=entry.c.changed_at).label(
            "credited_from"
        ),
    ).subquery("spell")
    lasts = found.c.ended_at > found.c.began_at
    columns = (found.c[column.name] for column in spell)
    return select(*columns).where(lasts, found.c.team_id.isnot(None))


def _entries(which: ColumnElement[bool]) -> Select[Any]:
    """The roster's history by person, without departures that were taken back before they came."""
    change, word = table_of(RosterChange).c, table_of(RosterChange).alias().c
    taken_back = (
        select(word.vendor)
        .where(word.vendor == change.vendor, word.user_id == change.user_id)
        .where(word.said_at > change.said_at, word.said_at <= change.changed_at)
        .exists()
    )
    announced = and_(change.kind == "left", change.said_at < change.changed_at)
    return (
        select(
            learner.person,
            change.vendor,
            change.user_id,
            change.changed_at,
            change.kind,
            change.team_id,
        )
        .join(
            table_of(Learner),
            same_account(learner, change),
        )
        .where(which, or_(~announced, ~taken_back))
    )


def _has_other_account(entry: Any) -> ColumnElement[bool]:
    """Looked up first, as the team of one is a search through all entries."""
    account = table_of(Learner).alias().c
    is_other = or_(account.vendor != entry.c.vendor, account.user_id != entry.c.user_id)
    return (
        select(account.person)
        .where(account.person == entry.c.person, is_other)
        .correlate(entry)
        .exists()
    )


def _other_team(entry: Any) -> ColumnElement[Any]:
    """The team that a departure leaves a person in: of the latest entry of another account."""
    one, left = entry.alias(), entry.alias()
    same = and_(left.c.vendor == one.c.vendor, left.c.user_id == one.c.user_id)
    has_left = (
        select(left.c.person)
        .where(same, left.c.kind == "left")
        .where(left.c.changed_at.between(one.c.changed_at, entry.c.changed_at))
        .correlate(one, entry)
        .exists()
    )
    return (
        select(one.c.team_id)
        .where(one.c.person == entry.c.person, one.c.kind == "joined")
        .where(one.c.changed_at <= entry.c.changed_at, ~has_left)
        .where(or_(one.c.vendor != entry.c.vendor, one.c.user_id != entry.c.user_id))
        .order_by(one.c.changed_at.desc(), one.c.vendor, one.c.user_id)
        .limit(1)
        .correlate(entry)
        .scalar_subquery()
    )
