"""The standings of a learner by four weeks, made from `learner_standing` in its transaction.

A board compares four moments of each of thousands of learners, and eight weeks of them. Looked up
one by one these are tens of thousands of searches; here they are a few rows of each learner.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from itertools import groupby, pairwise
from typing import Any, NamedTuple

from sqlalchemy import Connection, Integer, Select, Update, cast, extract, func, select, update

from shared.bulk import Row, Upsert, encode, given, insert_rows, table_of, upsert
from shared.models import LearnerStanding, StandingBlock
from shared.queries.people import same_account
from shared.standing_blocks import (
    CHARS,
    LAST,
    SLOT_SEC,
    SLOTS,
    Standing,
    block_of,
    last_of,
    packed,
)

BATCH = 1_000
KEY = ("vendor", "user_id", "block")
COLUMNS = (*KEY, "until", "standings")

standing = table_of(LearnerStanding).c
block = table_of(StandingBlock).c


class Latest(NamedTuple):
    """A learner's latest block."""

    block: int
    standings: str

    @property
    def standing(self) -> Standing:
        """The latest one."""
        return last_of(self.standings)


def latest_of(connection: Connection, accounts: Iterable[Row]) -> Mapping[Row, Latest]:
    """The latest block of each account (vendor, user_id) that has one."""
    found = connection.execute(_latest(connection.dialect.name), {"rows": encode(accounts)})
    return {tuple(row[:2]): Latest(*row[2:]) for row in found}


@cache
def _latest(dialect: str) -> Select[Any]:
    new = given(dialect, [block.vendor, block.user_id]).subquery("given").c
    return (
        select(block.vendor, block.user_id, block.block, block.standings)
        .join_from(new.vendor.table, table_of(StandingBlock), same_account(block, new))
        .where(block.until == LAST)
    )


def after(account: Row, latest: Latest | None, standings: Sequence[Standing]) -> Iterator[Row]:
    """The rows of an account from its latest block on, with standings that follow in order. The
    first of them takes the place of the latest one if it is of the same quarter hour."""
    blocks: dict[int, str] = {}
    before = ""
    if latest is not None:
        before = latest.standings[-CHARS:]
        is_same = latest.standing.slot == standings[0].slot
        blocks[latest.block] = latest.standings[: -CHARS if is_same else None]
    for one in standings:
        number = block_of(one.slot)
        record = packed([one])
        blocks[number] = blocks.get(number, before) + record
        before = record
    for number, until in pairwise([*blocks, LAST]):
        yield (*account, number, until, blocks[number])


def follow(connection: Connection, moved: Iterable[Row]) -> None:
    """Bring the blocks up to date of learners whose standings have changed: (vendor, user_id,
    begin of the quarter hour) of each, which may have changed later ones too."""
    dialect = connection.dialect.name
    first: dict[Row, int] = {}
    for vendor, user_id, slot in moved:
        number = block_of(_number(slot))
        first[vendor, user_id] = min(number, first.get((vendor, user_id), number))
    since = [(*account, _begin(number)) for account, number in first.items()]
    found = connection.execute(_standings_since(dialect), {"rows": encode(since)})
    made = (row for row in _blocks(found) if row[2] >= first[row[0], row[1]])
    upsert(connection, _store(dialect), made, key_columns=3)
    ended = [(*account, number) for account, number in first.items()]
    connection.execute(_end_earlier(dialect), {"rows": encode(ended)})


def make_all(connection: Connection) -> None:
    """Make every block, where there is none."""
    everything = select(*_columns()).order_by(standing.vendor, standing.user_id, standing.slot)
    found = connection.execute(everything, execution_options={"yield_per": 10 * BATCH})
    rows: list[Row] = []
    for row in _blocks(found):
        rows.append(row)
        if len(rows) == BATCH:
            upsert(connection, _store(connection.dialect.name), rows, key_columns=3)
            rows = []
    upsert(connection, _store(connection.dialect.name), rows, key_columns=3)


def _number(slot: Any) -> int:
    """Of a quarter hour, by its begin."""
    return int(slot.timestamp()) // SLOT_SEC


def _begin(number: int) -> datetime:
    """Of a block."""
    return datetime.fromtimestamp(number * SLOTS * SLOT_SEC, UTC)


def _columns() -> list[Any]:
    number = cast(extract("epoch", standing.slot), Integer) // SLOT_SEC
    return [
        standing.vendor, standing.user_id, standing.points, standing.time_spent_sec,
        number.label("slot"), standing.modules, standing.completed,
    ]  # fmt: skip


@cache
def _standings_since(dialect: str) -> Select[Any]:
    """Of some learners the standings since a quarter hour, and the last one before it."""
    new = given(dialect, [standing.vendor, standing.user_id, standing.slot]).subquery("given").c
    earlier = table_of(LearnerStanding).alias().c
    last = (
        select(func.max(earlier.slot))
        .where(same_account(earlier, new), earlier.slot < new.slot)
        .scalar_subquery()
    )
    return (
        select(*_columns())
        .join(table_of(LearnerStanding), same_account(standing, new))
        .where(standing.slot >= func.coalesce(last, new.slot))
        .order_by(standing.vendor, standing.user_id, standing.slot)
    )


def _blocks(found: Iterable[Any]) -> Iterator[Row]:
    """Rows of `standing_block` from standings in order. Each begins with the standing before it, so
    that what a learner had at any moment of a block stands in its row."""
    for account, rows in groupby(found, key=lambda row: tuple(row[:2])):
        blocks: dict[int, list[Standing]] = {}
        before: list[Standing] = []
        for row in rows:
            one = Standing(*row[2:])
            blocks.setdefault(block_of(one.slot), before).append(one)
            before = [one]
        for number, until in pairwise([*blocks, LAST]):
            yield (*account, number, until, packed(blocks[number]))


@cache
def _store(dialect: str) -> Upsert:
    statement = insert_rows(dialect, StandingBlock, COLUMNS)
    return statement.on_conflict_do_update(
        index_elements=list(KEY),
        set_={name: statement.excluded[name] for name in COLUMNS[3:]},
    )


@cache
def _end_earlier(dialect: str) -> Update:
    """The block before a new one ends with it."""
    new = given(dialect, [block[name] for name in KEY]).subquery("given").c
    return (
        update(table_of(StandingBlock))
        .where(same_account(block, new), block.block < new.block, block.until > new.block)
        .values(until=new.block)
    )
