"""Who was in which team, and when: the spells that a roster's history makes."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Select,
    and_,
    case,
    func,
    literal,
    or_,
    select,
)

from shared.bulk import table_of
from shared.models import Learner, RosterChange, UtcDateTime

BEFORE_ALL = datetime(1970, 1, 1, tzinfo=UTC)
FOREVER = datetime(9999, 1, 1, tzinfo=UTC)

learner = table_of(Learner).c


def spells() -> Select[Any]:
    """A row for each time that a person was in a team: person, team_id, began_at, ended_at
    (`FOREVER` while it lasts) and credited_from, since when what they gain counts for the team.

    At any moment the team is that of the latest roster entry among the accounts that are active
    then, as in `people`. Before the first entry of a person its team counts: credited_from is
    `BEFORE_ALL`. After leaving there is no spell, and none for an entry without a team.
    """
    entry = _entries().cte("roster_entry")
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
    spell = select(
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
    lasts = spell.c.ended_at > spell.c.began_at
    return select(*spell.c).where(lasts, spell.c.team_id.isnot(None))


def moment(at: datetime) -> ColumnElement[datetime]:
    return literal(at, UtcDateTime())


def _entries() -> Select[Any]:
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
            and_(learner.vendor == change.vendor, learner.user_id == change.user_id),
        )
        .where(or_(~announced, ~taken_back))
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
