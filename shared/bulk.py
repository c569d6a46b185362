"""Many rows in one statement: a batch is one JSON parameter.

A multi-row VALUES binds each value separately. A JSON array of arrays is bound once, and the store
unpacks it quickly.
"""

import json
from collections.abc import Hashable, Iterable, Iterator, Sequence
from datetime import UTC, date, datetime
from functools import cache, lru_cache
from typing import Any, NamedTuple, TypeAlias

from sqlalchemy import Column, Connection, Select, Table as SqlTable, bindparam, cast, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.base import ReadOnlyColumnCollection
from sqlmodel import SQLModel

Columns: TypeAlias = ReadOnlyColumnCollection[str, Column[Any]]
"""The columns of a table: `table_of(model).c`."""
Row = Sequence[Any]
Upsert = sqlite.Insert | postgresql.Insert


def table_of(model: type[SQLModel]) -> SqlTable:
    """The Core table behind a model."""
    return model.__table__  # type: ignore[attr-defined, no-any-return]


def encode(rows: Iterable[Row]) -> str:
    """Rows as JSON. Times and dates have the form that the stores use, in UTC."""
    return json.dumps(list(rows), default=_plain, ensure_ascii=False)


def spelled(at: datetime) -> str:
    """A time in the form that the stores use."""
    return at.astimezone(UTC).replace(tzinfo=None).isoformat(" ", "microseconds")


@lru_cache(maxsize=4096)  # several rows of an event have the same times
def _plain(value: object) -> str:
    if isinstance(value, datetime):
        return spelled(value)
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} cannot be stored")


MOST_AT_ONCE = 128
"""Rows of one statement of `append`."""


class Appended(NamedTuple):
    """What `append` did: the ID of the first row, and how many of the rows are stored."""

    first_id: int
    stored: int


def append(
    connection: Connection, model: type[SQLModel], columns: Sequence[str], rows: Sequence[Row]
) -> Appended:
    """Insert rows into SQLite and give them the IDs that follow the largest one, as SQLite would.
    A row that a unique index refuses is left out, and its ID stays unused. Values are those that
    the driver knows: text, numbers, bytes, None.

    The transaction must have the write lock. Rows are bound and not sent as JSON, and no row is
    returned: a step of a statement lets the other threads have the interpreter, and waits for it.
    """
    table = table_of(model)
    first_id: int = connection.execute(_largest_id(model)).scalar_one() + 1
    stored = begin = 0
    while begin < len(rows):
        # The largest power of two that fits: few statements, which the driver keeps prepared.
        size = min(MOST_AT_ONCE, 1 << ((len(rows) - begin).bit_length() - 1))
        numbered = enumerate(rows[begin : begin + size], first_id + begin)
        values = tuple(value for id_, row in numbered for value in (id_, *row))
        statement = _append(table.name, tuple(columns), size)
        stored += connection.exec_driver_sql(statement, values).rowcount
        begin += size
    return Appended(first_id, stored)


@cache
def _largest_id(model: type[SQLModel]) -> Select[Any]:
    return select(func.coalesce(func.max(table_of(model).c.id), 0))


@cache
def _append(table: str, columns: tuple[str, ...], size: int) -> str:
    row = f"(?{', ?' * len(columns)})"
    head = f"INSERT INTO {table} (id, {', '.join(columns)}) VALUES "  # noqa: S608
    return f"{head}{', '.join([row] * size)} ON CONFLICT DO NOTHING"


def insert_rows(dialect: str, model: type[SQLModel], columns: Sequence[str]) -> Upsert:
    """`INSERT INTO model (columns) SELECT … FROM :rows`. Add `on_conflict_…` if needed.

    Building a statement takes longer than running it on a small batch: cache it by `dialect`.
    """
    table = table_of(model)
    chosen = [table.c[name] for name in columns]
    return insert_into(dialect, model).from_select(columns, given(dialect, chosen))


def insert_into(dialect: str, model: type[SQLModel]) -> Upsert:
    """`INSERT INTO model`. Add `from_select` and `on_conflict_…`."""
    make = sqlite.insert if dialect == "sqlite" else postgresql.insert
    return make(table_of(model))


def given(dialect: str, columns: Sequence[Column[Any]]) -> Select[Any]:
    """`SELECT … FROM :rows` with these columns, for statements that calculate from rows."""
    return (_from_sqlite if dialect == "sqlite" else _from_postgres)(columns)


def _from_sqlite(columns: Sequence[Column[Any]]) -> Select[Any]:
    each = func.json_each(bindparam("rows")).table_valued("key", "value")
    values = [
        func.json_extract(each.c.value, f"$[{index}]").label(column.name)
        for index, column in enumerate(columns)
    ]
    # Rows keep their order. SQLite also needs a clause here to tell "ON CONFLICT" from a join.
    return select(*values).order_by(each.c.key)


def _from_postgres(columns: Sequence[Column[Any]]) -> Select[Any]:
    # JSONB is parsed once. With JSON each `->>` would parse the whole row again.
    each = func.jsonb_array_elements(cast(bindparam("rows"), postgresql.JSONB)).table_valued(
        "value", with_ordinality="ordinality"
    )
    values = [
        cast(each.c.value.op("->>")(index), column.type).label(column.name)
        for index, column in enumerate(columns)
    ]
    return select(*values).order_by(each.c.ordinality)


def layers(rows: Iterable[Row], key_columns: int) -> Iterator[list[Row]]:
    """Split rows so that no list has a key (the first `key_columns` values) twice.

    Postgres refuses to update a row twice in one `ON CONFLICT DO UPDATE`. Each list is sorted by
    key, so that all receivers lock rows in the same order and cannot deadlock.
    """
    waiting: dict[Hashable, list[Row]] = {}
    for row in rows:
        waiting.setdefault(tuple(row[:key_columns]), []).append(row)
    keys = sorted(waiting)  # type: ignore[type-var]
    depth = 0
    while keys:
        yield [waiting[key][depth] for key in keys]
        depth += 1
        keys = [key for key in keys if len(waiting[key]) > depth]


class Ready(NamedTuple):
    """Rows of a table that are ready to be stored, each in place of the one with its key."""

    statement: str | Upsert
    rows: Sequence[Row] | str

    def store(self, connection: Connection) -> None:
        """Store them. Little is left to do, as the transaction may keep others waiting."""
        if isinstance(self.statement, str):
            connection.exec_driver_sql(self.statement, [tuple(row) for row in self.rows])
        else:
            connection.execute(self.statement, {"rows": self.rows})


def ready(
    dialect: str,
    model: type[SQLModel],
    columns: tuple[str, ...],
    key_columns: int,
    rows: Sequence[Row],
) -> Sequence[Ready]:
    """Rows with different keys, to be stored later: nothing without rows. Values are those that the
    driver knows. On SQLite rows are bound, which takes half as long as to unpack them from JSON."""
    if not rows:
        return ()
    if dialect == "sqlite":
        return (Ready(_replace_bound(table_of(model).name, columns, key_columns), rows),)
    return (Ready(_replace(dialect, model, columns, key_columns), encode(rows)),)


@cache
def _replace_bound(table: str, columns: tuple[str, ...], key_columns: int) -> str:
    keys, others = columns[:key_columns], columns[key_columns:]
    new = ", ".join(f"{name} = excluded.{name}" for name in others)
    head = f"INSERT INTO {table} ({', '.join(columns)}) VALUES (?{', ?' * (len(columns) - 1)})"  # noqa: S608
    return f"{head} ON CONFLICT ({', '.join(keys)}) DO UPDATE SET {new}"


@cache
def _replace(
    dialect: str, model: type[SQLModel], columns: tuple[str, ...], key_columns: int
) -> Upsert:
    statement = insert_rows(dialect, model, columns)
    return statement.on_conflict_do_update(
        index_elements=list(columns[:key_columns]),
        set_={name: statement.excluded[name] for name in columns[key_columns:]},
    )


def upsert(
    connection: Connection, statement: Upsert, rows: Iterable[Row], key_columns: int
) -> None:
    """Run an upsert over rows in any order. Keys may repeat."""
    for layer in layers(rows, key_columns):
        connection.execute(statement, {"rows": encode(layer)})
