"""What learners had at any moment: their standings over some time, in memory as columns.

A board looks up several moments of thousands of accounts. That takes a store a search for each, and
a few milliseconds here. This file and `board_figures` are imported only once a board is asked for:
most processes never are, and numpy would cost each of them 12 MB.
"""

from base64 import b64decode
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import (
    ColumnElement,
    Connection,
    Integer,
    Select,
    and_,
    case,
    cast,
    extract,
    false,
    func,
    or_,
    select,
)

from shared.bulk import table_of
from shared.figures import COMPLETE_PCT
from shared.models import Learner, ModuleStanding, StandingBlock, TeamSpell
from shared.queries.people import PersonRow, Who, people, same_account
from shared.queries.spells import BEFORE_ALL, FOREVER, moment
from shared.standing_blocks import LAST, RECORD, SLOT_SEC, Standing, block_of, packed

Numbers: TypeAlias = NDArray[np.int64]
Figures: TypeAlias = NDArray[np.float64]
Flags: TypeAlias = NDArray[np.bool_]

NEVER = -(2**31)
"""Before the first quarter hour that there is."""
NOW = 2**31 - 1
"""After the last one."""
STANDING = np.dtype(
    {
        "names": list(Standing._fields),
        "formats": ["<f8", "<i8", "<i4", "<i4", "<i4"],
        "offsets": [0, 8, 16, 20, 24],
        "itemsize": RECORD.size,
    }
)

learner = table_of(Learner).c
block = table_of(StandingBlock).c
module = table_of(ModuleStanding).c
spell = table_of(TeamSpell).c


def slot_at(at: datetime) -> int:
    """The first quarter hour that does not begin before a moment: standings of earlier ones count
    as of then."""
    return -(-int(at.timestamp() * 1_000_000) // (SLOT_SEC * 1_000_000))


class Had(NamedTuple):
    """What each of some accounts had by a moment: the quarter hour of its latest standing
    (`NEVER` without one) and the totals of it."""

    slot: Numbers
    points: Figures
    modules: Numbers
    completed: Numbers
    time: Numbers


class Asked(NamedTuple):
    """Some people and their accounts, each as a place in `Histories`. The accounts of the `n`th
    person begin at `starts[n]`."""

    persons: Numbers
    accounts: Numbers
    starts: Numbers


class Histories:
    """The people there are, those who left too, and the standings of their accounts since some
    moment. Nothing of it changes, so boards of all viewers can share it.

    Accounts stand in the order of their persons: those of person `n` begin at `starts[n]`.
    """

    def __init__(self, persons: Sequence[Any], accounts: Sequence[Any]) -> None:
        """`persons` as `people` gives them, by person; person, vendor and packed standings (in no
        order, None without one) of each account, by person."""
        names = PersonRow.__dataclass_fields__
        columns = zip(*persons, strict=True) if persons else ((),) * len(names)
        self.people: Mapping[str, Sequence[Any]] = dict(zip(names, columns, strict=True))
        self.at_person = {person: at for at, person in enumerate(self.people["person"])}
        known = [row for row in accounts if row[0] in self.at_person]
        self.owners: Numbers = np.array([self.at_person[row[0]] for row in known], np.int64)
        self.starts: Numbers = np.searchsorted(self.owners, np.arange(len(persons)))
        self.vendors = np.array([row[1] for row in known], object)
        texts = [row[2] or "" for row in known]
        lengths = np.array([len(text) for text in texts], np.int64) * 3 // 4 // RECORD.size
        standings = np.frombuffer(b64decode("".join(texts)), STANDING)
        of_account: Numbers = np.repeat(np.arange(len(known)), lengths)
        keys: Numbers = (of_account << 32) + standings["slot"]
        order = np.argsort(keys, kind="stable")
        self._keys, self._account = keys[order], of_account
        self._standings = standings[order]

    def asked(self, who: Who) -> "Asked":
        """The people of a board."""
        people = self.people
        flags = np.ones(len(self.starts), bool)
        if not who.leavers:
            flags &= np.array(people["active"], bool)
        if who.teams is not None:
            flags &= np.array([team in who.teams for team in people["team_id"]], bool)
        accounts = flags[self.owners] if len(flags) else np.zeros(0, bool)
        if who.vendor is not None:
            accounts &= self.vendors == who.vendor
        return self.of_accounts(np.flatnonzero(accounts))

    def of_accounts(self, accounts: Numbers) -> "Asked":
        owners = self.owners[accounts]
        persons = np.unique(owners)
        return Asked(persons, accounts, np.searchsorted(owners, persons))

    def had(self, slots: Numbers | int, accounts: Numbers | None = None) -> Had:
        """By a quarter hour, or by one for each of the accounts; all accounts by default."""
        if accounts is None:
            accounts = np.arange(len(self.owners))
        place = np.searchsorted(self._keys, (accounts << 32) + slots) - 1
        found = place >= 0
        if len(self._account):
            found &= self._account[place] == accounts
        place = place[found]

        def column(name: str, missing: int, kind: Any) -> Any:
            values = np.full(len(accounts), missing, kind)
            values[found] = self._standings[name][place]
            return values

        return Had(
            column("slot", NEVER, np.int64),
            column("points", 0, np.float64),
            column("modules", 0, np.int64),
            column("completed", 0, np.int64),
            column("time_spent_sec", 0, np.int64),
        )


def histories(
    connection: Connection,
    since: datetime | None = None,
    of_module: tuple[str, str] | None = None,
    *,
    with_teams: bool = False,
) -> Histories:
    """Of everyone, from `since` on (None: only what they have now), in all modules or in one.
    `with_teams` has everything of people who have changed or left a team."""
    persons = connection.execute(people(Who(leavers=True)).order_by("person")).all()
    if of_module is None:
        return Histories(persons, connection.execute(_accounts(since, with_teams)).all())
    of_accounts = _of_module(connection, since, of_module, with_teams)
    accounts = connection.execute(_every_account(learner.user_id)).all()
    with_standings = [(*row[:2], of_accounts.get(tuple(row[1:]))) for row in accounts]
    return Histories(persons, with_standings)


def _every_account(column: Any) -> Select[Any]:
    order = (learner.person, learner.vendor, learner.user_id)
    return select(learner.person, learner.vendor, column).order_by(*order)


def _accounts(since: datetime | None, with_teams: bool) -> Select[Any]:
    first = LAST - 1 if since is None else block_of(slot_at(since) - 1)
    wanted = or_(block.until > first, _has_changed() if with_teams else false())
    own = and_(same_account(block, learner), wanted)
    return (
        _every_account(func.aggregate_strings(block.standings, ""))
        .outerjoin_from(table_of(Learner), table_of(StandingBlock), own)
        .group_by(learner.person, learner.vendor, learner.user_id)
    )


def _has_changed() -> ColumnElement[bool]:
    """Whether the person of an account was in a team in which they are not now."""
    return learner.person.in_(select(spell.person).where(spell.ended_at < moment(FOREVER)))


def _of_module(
    connection: Connection, since: datetime | None, of_module: tuple[str, str], with_teams: bool
) -> Mapping[tuple[str, str], str]:
    """The standings in one module by vendor and user id, packed as blocks are."""
    earlier = table_of(ModuleStanding).alias().c
    own = and_(
        earlier.vendor == of_module[0],
        earlier.user_id == learner.user_id,
        earlier.module_id == of_module[1],
    )
    before = select(func.max(earlier.slot)).where(own, earlier.slot < since if since else own)
    # As one bound, which the store works out once for each account.
    first: ColumnElement[datetime]
    first = func.coalesce(before.scalar_subquery(), moment(since or BEFORE_ALL))
    if with_teams:
        first = case((_has_changed(), moment(BEFORE_ALL)), else_=first)
    complete = case((module.progress_pct >= COMPLETE_PCT, 1), else_=0)
    # An outer join, as SQLite would else begin with every standing there is.
    own_rows = and_(
        same_account(module, learner), module.module_id == of_module[1], module.slot >= first
    )
    query = (
        select(
            learner.vendor, learner.user_id, module.progress_pct, module.time_spent_sec,
            cast(extract("epoch", module.slot), Integer) // SLOT_SEC, complete,
        )
        .outerjoin_from(table_of(Learner), table_of(ModuleStanding), own_rows)
        .where(learner.vendor == of_module[0])
    )  # fmt: skip
    by_account: defaultdict[tuple[str, str], list[Standing]] = defaultdict(list)
    for vendor, user_id, pct, seconds, slot, done in connection.execute(query):
        if slot is not None:
            by_account[vendor, user_id].append(Standing(pct, seconds, slot, 1, done))
    return {account: packed(standings) for account, standings in by_account.items()}
