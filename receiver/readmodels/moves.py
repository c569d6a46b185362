"""What progress changes in the read models, worked out from what they have.

Mostly a learner moves later than ever before. Then all new rows follow from few: the learner's
progress in the modules that moved, and the latest standing. Nothing is written here, so the
follower need not have the write lock.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache
from operator import itemgetter
from typing import Any, NamedTuple

from sqlalchemy import Connection, Select, and_, select

from receiver.readmodels import blocks
from receiver.readmodels.standings import LEARNER, MODULE
from shared.bulk import Ready, Row, encode, given, ready, spelled, table_of
from shared.facts import Progressed
from shared.figures import COMPLETE_PCT
from shared.models import LearnerStanding, ModuleProgress, ModuleStanding, StandingBlock
from shared.queries import rows_of
from shared.standing_blocks import SLOT_SEC, Standing

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SLOT = timedelta(seconds=SLOT_SEC)
DECIMALS = 6
"""As `shared.figures.exact`."""
KEY = ("vendor", "user_id", "module_id")
AT_FIRST = Standing(0.0, 0, -1, 0, 0)

progress = table_of(ModuleProgress).c


class Moves(NamedTuple):
    """What progress changes: rows that are ready, and the facts of learners who moved before their
    latest standing, for `receiver.readmodels.standings`."""

    ready: Sequence[Ready]
    late: Sequence[Progressed]


def totals(connection: Connection, facts: Iterable[Progressed]) -> Sequence[Ready]:
    """The rows of `module_progress` that these facts change."""
    facts = list(facts)
    return _totals(connection.dialect.name, _known(connection, facts), facts)


def prepare(connection: Connection, facts: Sequence[Progressed]) -> Moves:
    """What these facts change."""
    if not facts:
        return Moves((), ())
    dialect = connection.dialect.name
    known = _known(connection, facts)
    by_account: dict[Row, list[tuple[int, Progressed]]] = defaultdict(list)
    for fact in facts:
        by_account[fact[:2]].append(((fact.updated_at - EPOCH) // SLOT, fact))
    latest = blocks.latest_of(connection, by_account)
    made, late = _Rows([], [], []), []
    for account, moved in by_account.items():
        moved.sort(key=itemgetter(0))
        before = latest.get(account)
        if before is not None and moved[0][0] < before.standing.slot:
            late += [fact for _, fact in moved]
        else:
            _follow(made, account, moved, before, known)
    rows = [
        *_totals(dialect, known, facts),
        *ready(dialect, ModuleStanding, MODULE, 4, made.modules),
        *ready(dialect, LearnerStanding, LEARNER, 3, made.learners),
        *ready(dialect, StandingBlock, blocks.COLUMNS, 3, made.blocks),
    ]
    return Moves(rows, late)


class _Rows(NamedTuple):
    modules: list[Row]
    learners: list[Row]
    blocks: list[Row]


def _follow(
    made: _Rows,
    account: Row,
    moved: Sequence[tuple[int, Progressed]],
    before: blocks.Latest | None,
    known: Mapping[Row, Progressed],
) -> None:
    """Add the rows of a learner who moved in these quarter hours, none before the latest."""
    at = before.standing if before is not None else AT_FIRST
    reached = {
        fact.module_id: (old.progress_pct, old.time_spent_sec)
        for _, fact in moved
        if (old := known.get(fact[:3]))
    }
    modules: dict[tuple[str, int], tuple[float, int]] = {}
    learners: dict[int, Standing] = {}
    for slot, fact in moved:
        module = fact.module_id
        pct, seconds = reached.get(module, (0, 0))
        new = max(pct, fact.progress_pct), max(seconds, fact.time_spent_sec)
        at = Standing(
            points=round(at.points + new[0] - pct, DECIMALS),
            time_spent_sec=at.time_spent_sec + new[1] - seconds,
            slot=slot,
            modules=at.modules + (module not in reached),
            completed=at.completed + (new[0] >= COMPLETE_PCT) - (pct >= COMPLETE_PCT),
        )
        reached[module] = modules[module, slot] = new
        learners[slot] = at
    made.modules.extend(
        (*account, module, _begin(slot), *new) for (module, slot), new in modules.items()
    )
    made.learners.extend(
        (*account, _begin(one.slot), one.points, one.modules, one.completed, one.time_spent_sec)
        for one in learners.values()
    )
    made.blocks.extend(blocks.after(account, before, list(learners.values())))


@lru_cache(maxsize=4096)
def _begin(slot: int) -> str:
    """Of a quarter hour, as it is stored."""
    return spelled(EPOCH + slot * SLOT)


def _known(connection: Connection, facts: Iterable[Progressed]) -> Mapping[Row, Progressed]:
    """The progress that is stored of the same learners and modules, by its key."""
    keys = {fact[:3] for fact in facts}
    found = connection.execute(_stored(connection.dialect.name), {"rows": encode(keys)})
    return {one[:3]: one for one in rows_of(Progressed, found)}


@cache
def _stored(dialect: str) -> Select[Any]:
    new = given(dialect, [progress[name] for name in KEY]).subquery("given").c
    same = and_(*(progress[name] == new[name] for name in KEY))
    columns = (progress[name] for name in Progressed._fields)
    return select(*columns).join_from(new.vendor.table, table_of(ModuleProgress), same)


def _totals(
    dialect: str, known: Mapping[Row, Progressed], facts: Iterable[Progressed]
) -> Sequence[Ready]:
    found = dict(known)
    for fact in facts:
        key = fact[:3]
        one = found.get(key)
        found[key] = fact if one is None else _merged(one, fact)
    rows = [
        (*one[:-1], spelled(one.updated_at)) for key, one in found.items() if one != known.get(key)
    ]
    return ready(dialect, ModuleProgress, Progressed._fields, 3, rows)


def _merged(one: Progressed, other: Progressed) -> Progressed:
    """The larger totals, and the name that came last."""
    last = max(one, other, key=lambda fact: (fact.updated_at, fact.module_name or ""))
    return last._replace(
        progress_pct=max(one.progress_pct, other.progress_pct),
        time_spent_sec=max(one.time_spent_sec, other.time_spent_sec),
    )
