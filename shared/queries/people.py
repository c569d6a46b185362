"""People: one row for each person, at however many vendors; and the filter that pages ask with."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import (
    CTE,
    ColumnElement,
    Connection,
    FromClause,
    Select,
    and_,
    case,
    false,
    func,
    not_,
    or_,
    select,
    true,
)
from sqlalchemy.sql.functions import current_timestamp

from shared.bulk import encode, given, table_of
from shared.models import Learner
from shared.queries import rows_of

learner = table_of(Learner).c


class Who(NamedTuple):
    """The people a page is about. `teams` None is everyone, also people without a team."""

    teams: tuple[str, ...] | None = None
    vendor: str | None = None
    leavers: bool = False


EVERYBODY = Who()


@dataclass(frozen=True)
class PersonRow:
    """A person, as `people` gives them."""

    person: str
    name: str | None
    email: str | None
    team_id: str | None
    role: str | None
    active: bool
    left_at: datetime | None
    vendors: str
    key: str


def people(
    who: Who,
    figures: Sequence[ColumnElement[Any]] = (),
    accounts: FromClause = table_of(Learner),  # noqa: B008
) -> Select[Any]:
    """person, name, email, team_id, role, active, left_at (when a person who is not active left the
    last roster), vendors (by comma, in no order, repeated) and `key`, the vendor and user id of one
    of the accounts, which names the person in an address.

    Of several accounts of one person the latest roster entry gives team and role: an account that
    is there before one that has left, then the later `provisioned_at`. Name and e-mail are each the
    latest of any account. A person has left when every roster that lists them says so.

    `figures` are sums over a person's `accounts`, which has a row of each learner, with what was
    joined to it.
    """
    row: Any = _identities().c
    asked: Select[Any] = select(*row).where(*_asked(row, who))
    if not figures:
        return asked
    person = asked.cte("asked")
    few = learner.person.in_(select(person.c.person)) if who.teams is not None else true()
    summed = (
        select(learner.person, *figures)
        .select_from(accounts)
        .where(few)
        .group_by(learner.person)
        .subquery("summed")
    )
    added = [column for column in summed.c if column.name != "person"]
    return select(person, *added).join(summed, summed.c.person == person.c.person)


def persons(who: Who) -> Select[Any]:
    """Only `person` of the same people."""
    if who.teams is not None or who.vendor is not None:
        return select(people(who).subquery().c.person)
    # Who they are does not matter here, which takes two thirds of the time.
    everyone = select(learner.person).group_by(learner.person)
    return everyone if who.leavers else everyone.having(_active())


def with_several_accounts() -> Select[Any]:
    """`person` of those who have more than one account."""
    return select(learner.person).group_by(learner.person).having(func.count() > 1)


def _active() -> ColumnElement[bool]:
    """Whether a person, by all their accounts, is on a roster or on none."""
    still_there = func.max(case((_on_roster(learner), case((is_there(), 1), else_=0))))
    return func.coalesce(still_there, 1) != 0


@cache
def _identities() -> CTE:
    """One row for each person there is. One object, as a statement may ask about people twice."""
    return _identified().cte("identities")


def _identified() -> Select[Any]:
    one = table_of(Learner).alias().c
    told_at = func.coalesce(one.provisioned_at, one.identified_at)
    by_roster = (
        one.provisioned_at.isnot(None).desc(),
        is_there(one).desc(),
        one.provisioned_at.desc(),
    )
    by_name = (one.name.is_(None), told_at.desc())
    by_email = (one.email.is_(None), func.coalesce(told_at, one.deprovisioned_at).desc())
    active = _active()
    left_at = func.max(func.coalesce(learner.leaves_at, learner.deprovisioned_at))
    return select(
        learner.person,
        _first(one, "name", by_name).label("name"),
        _first(one, "email", by_email).label("email"),
        _first(one, "team_id", by_roster).label("team_id"),
        _first(one, "role", by_roster).label("role"),
        active.label("active"),
        case((~active, left_at)).label("left_at"),
        func.aggregate_strings(learner.vendor, ",").label("vendors"),
        func.min(learner.vendor + "/" + learner.user_id).label("key"),
    ).group_by(learner.person)


def _first(one: Any, name: str, order: Sequence[ColumnElement[Any]]) -> ColumnElement[Any]:
    """A column of the person's first account in an order; vendor and user id decide a tie. Looked
    up only for a person with several accounts, as most have one."""
    of_first = (
        select(one[name])
        .where(one.person == learner.person)
        .order_by(*order, one.vendor, one.user_id)
        .limit(1)
        .scalar_subquery()
    )
    return case((func.count() == 1, func.max(learner[name])), else_=of_first)


def leavers() -> Select[tuple[str]]:
    """The persons who have left. They are few, so those who are there are told apart from them
    quicker than from `people`, which puts all accounts together."""
    other = table_of(Learner).alias().c
    stays = select(other.person).where(
        other.person == learner.person, _on_roster(other), is_there(other)
    )
    left = and_(_on_roster(learner), not_(is_there()), not_(stays.exists()))
    return select(learner.person).where(left)


def is_of(account: Any, who: Who) -> ColumnElement[bool]:
    """Whether an account is one of a person of `who`."""
    if who.teams is None and who.vendor is None:
        return true() if who.leavers else account.person.not_in(leavers())
    found: ColumnElement[bool] = account.person.in_(persons(who))
    return found


class Known(NamedTuple):
    """What names a person: the columns of `people`."""

    person: str
    name: str | None
    email: str | None
    team_id: str | None
    key: str

    def names(self) -> dict[str, Any]:
        """All but `person`, by column."""
        return {name: getattr(self, name) for name in self._fields if name != "person"}


def known(connection: Connection, asked: Iterable[str]) -> Mapping[str, Known]:
    """The people of these `person`, leavers too."""
    if not (rows := [[person] for person in set(asked)]):
        return {}
    found = connection.execute(_known(connection.dialect.name), {"rows": encode(rows)})
    return {one.person: one for one in rows_of(Known, found)}


@cache
def _known(dialect: str) -> Select[Any]:
    asked = given(dialect, [learner.person]).subquery("given").c
    row = _identified().where(learner.person.in_(select(asked.person))).subquery().c
    return select(*(row[name] for name in Known._fields))


def _on_roster(account: Any) -> ColumnElement[bool]:
    return or_(account.provisioned_at.isnot(None), account.deprovisioned_at.isnot(None))


def is_there(account: Any = learner) -> ColumnElement[bool]:
    """Whether the last roster event of an account leaves it active by the store's clock: a
    departure that was announced for later begins then."""
    later = func.coalesce(account.leaves_at > current_timestamp(), false())
    return or_(account.active, later)


def _asked(person: Any, who: Who) -> tuple[ColumnElement[bool], ...]:
    return (
        true() if who.leavers else person.active,
        true() if who.teams is None else person.team_id.in_(who.teams),
        true() if who.vendor is None else _at(person, who.vendor),
    )


def _at(person: Any, vendor: str) -> ColumnElement[bool]:
    account = table_of(Learner).alias()
    found = select(account.c.user_id).where(
        account.c.person == person.person, account.c.vendor == vendor
    )
    return found.exists()


def same_account(one: Any, other: Any) -> ColumnElement[bool]:
    """Whether two rows are of one user of one vendor."""
    return and_(one.vendor == other.vendor, one.user_id == other.user_id)


def spellings(words: str) -> set[str]:
    """The spellings in which words are looked for: both stores fold the case of ASCII letters
    only."""
    return {words, words.lower(), words.upper(), words.title()}
