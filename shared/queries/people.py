"""People: one row for everybody, at however many vendors; and who is asked about."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, FromClause, Select, and_, case, false, func, or_, select, true
from sqlalchemy.sql.functions import current_timestamp

from shared.bulk import table_of
from shared.models import Learner

learner = table_of(Learner).c


class Who(NamedTuple):
    """Whom a page is asked about. `teams` None is everybody, also those of no team."""

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
    vendors: str
    key: str


def people(
    who: Who,
    figures: Sequence[ColumnElement[Any]] = (),
    accounts: FromClause = table_of(Learner),  # noqa: B008
) -> Select[Any]:
    """person, name, email, team_id, role, active, vendors (by comma, in no order, repeated) and
    `key`, the vendor and user id of one of their accounts, which names them in an address.

    Somebody has left who is let go by every roster that knows them. `figures` are sums over
    somebody's `accounts`, which has a row of each learner, with what was joined to it.
    """
    on_roster = or_(learner.provisioned_at.isnot(None), learner.deprovisioned_at.isnot(None))
    still_there = func.max(case((on_roster, case((is_there(), 1), else_=0))))
    everybody = (
        select(
            learner.person,
            func.max(learner.name).label("name"),
            func.max(learner.email).label("email"),
            func.max(learner.team_id).label("team_id"),
            func.max(learner.role).label("role"),
            (func.coalesce(still_there, 1) != 0).label("active"),
            func.aggregate_strings(learner.vendor, ",").label("vendors"),
            func.min(learner.vendor + "/" + learner.user_id).label("key"),
            *figures,
        )
        .select_from(accounts)
        .group_by(learner.person)
        .subquery()
    )
    return select(everybody).where(*_asked(everybody.c, who))


def is_there() -> ColumnElement[bool]:
    """Whether an account's last roster event lets it be there by the store's clock: a departure
    that was announced for later begins then."""
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
