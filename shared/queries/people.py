"""People: one row for each person, at however many vendors; and the filter that pages ask with."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Select,
    and_,
    case,
    false,
    func,
    or_,
    select,
    true,
)
from sqlalchemy.sql.functions import current_timestamp

from shared.bulk import table_of
from shared.models import Learner

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
    row: Any = _identities().cte("identities").c
    asked: Select[Any] = select(*row).where(*_asked(row, who))
    if not figures:
        return asked
    person = asked.cte("asked")
    summed = (
        select(learner.person, *figures)
        .select_from(accounts)
        .group_by(learner.person)
        .subquery("summed")
    )
    added = [column for column in summed.c if column.name != "person"]
    return select(person, *added).join(summed, summed.c.person == person.c.person)


def _identities() -> Select[Any]:
    """One row for each person there is."""
    account = _accounts().subquery("account").c

    def first(place: Any, value: Any) -> ColumnElement[Any]:
        return func.max(case((place == 1, value)))

    still_there = func.max(case((account.on_roster, case((account.there, 1), else_=0))))
    active = func.coalesce(still_there, 1) != 0
    return select(
        account.person,
        first(account.name_place, account.name).label("name"),
        first(account.email_place, account.email).label("email"),
        first(account.roster_place, account.team_id).label("team_id"),
        first(account.roster_place, account.role).label("role"),
        active.label("active"),
        case((~active, func.max(account.left_at))).label("left_at"),
        func.aggregate_strings(account.vendor, ",").label("vendors"),
        func.min(account.vendor + "/" + account.user_id).label("key"),
    ).group_by(account.person)


def _accounts() -> Select[Any]:
    """Each account with its places among those of the person: 1 is the one that counts."""
    told_at = func.coalesce(learner.provisioned_at, learner.identified_at)
    roster_order = (learner.provisioned_at.isnot(None).desc(), is_there().desc())
    return select(
        learner.person,
        learner.vendor,
        learner.user_id,
        learner.name,
        learner.email,
        learner.team_id,
        learner.role,
        or_(learner.provisioned_at.isnot(None), learner.deprovisioned_at.isnot(None)).label(
            "on_roster"
        ),
        is_there().label("there"),
        func.coalesce(learner.leaves_at, learner.deprovisioned_at).label("left_at"),
        _place(*roster_order, learner.provisioned_at.desc()).label("roster_place"),
        _place(learner.name.is_(None), told_at.desc()).label("name_place"),
        _place(
            learner.email.is_(None), func.coalesce(told_at, learner.deprovisioned_at).desc()
        ).label("email_place"),
    )


def _place(*order: ColumnElement[Any]) -> ColumnElement[int]:
    """The place of an account among those of the person; vendor and user id decide a tie."""
    return func.row_number().over(
        partition_by=learner.person, order_by=(*order, learner.vendor, learner.user_id)
    )


def is_there() -> ColumnElement[bool]:
    """Whether the last roster event of an account leaves it active by the store's clock: a
    departure that was announced for later begins then."""
    return or_(learner.active, func.coalesce(learner.leaves_at > current_timestamp(), false()))


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
