"""Make tables of the store equal to those of the same names in another schema, in little time.

Which rows differ is found before the store's write lock is taken, so a short transaction replaces
only these. The caller sees to it that the tables stay as they are in between.
"""

from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    FromClause,
    MetaData,
    Select,
    Table as SqlTable,
    and_,
    insert,
    or_,
    select,
    tuple_,
)


def find(connection: Connection, table: SqlTable, schema: str) -> None:
    """Note the keys of the rows of `table` that differ from those in `schema`, or are missing in
    one of both. They are kept in `schema`."""
    changed = _changed(table, schema)
    changed.drop(connection, checkfirst=True)
    changed.create(connection)
    made = _made(table, schema)
    others = [column.name for column in table.columns if not column.primary_key]
    differ = or_(*(table.c[name].is_distinct_from(made.c[name]) for name in others))
    _add(connection, changed, _keys(table, made, differ))
    _add(connection, changed, _keys(made, table))


def _keys(of: FromClause, other: FromClause, *differ: ColumnElement[bool]) -> Select[Any]:
    """Keys of the rows that `other` has not, or that differ there."""
    same = and_(*(column == other.c[column.name] for column in of.primary_key))
    absent = next(iter(other.primary_key)).is_(None)
    rows = of.outerjoin(other, same)
    return select(*of.primary_key).select_from(rows).where(or_(absent, *differ))


def _add(connection: Connection, changed: SqlTable, keys: Select[Any]) -> None:
    connection.execute(insert(changed).from_select(list(changed.columns.keys()), keys))


def take(connection: Connection, table: SqlTable, schema: str) -> None:
    """Replace the rows that `find` has noted by those in `schema`."""
    changed, made = _changed(table, schema), _made(table, schema)
    connection.execute(table.delete().where(_among(table, changed)))
    rows = select(made).where(_among(made, changed))
    connection.execute(insert(table).from_select(list(table.columns.keys()), rows))


def _among(table: FromClause, changed: SqlTable) -> ColumnElement[bool]:
    return tuple_(*table.primary_key).in_(select(*changed.columns))


def _made(table: SqlTable, schema: str) -> FromClause:
    # SQLite takes a column of `schema.table` for one of `table`, so it needs a name of its own.
    return table.to_metadata(MetaData(), schema=schema).alias("made")


def _changed(table: SqlTable, schema: str) -> SqlTable:
    keys = (Column(one.name, one.type, primary_key=True) for one in table.primary_key)
    return SqlTable(f"{table.name}_changed", MetaData(), *keys, schema=schema)
