"""All that a store says of its own schema, to compare two of them."""

import re
from typing import Any

from sqlalchemy import Connection, Engine

CASTS = re.compile(r"::(text|character varying)(\[\])?|[()]")
SQLITE = {
    "columns": """
        SELECT t.name, c.name, c.type, c."notnull", c.dflt_value, c.pk
        FROM sqlite_master t, pragma_table_info(t.name) c
        WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite_stat_'""",
    "foreign keys": """
        SELECT t.name, f."from", f."table", f."to", f.on_delete
        FROM sqlite_master t, pragma_foreign_key_list(t.name) f WHERE t.type = 'table'""",
    "indexes": """
        SELECT t.name, i.name, i."unique", i.origin, i.partial,
          (SELECT group_concat(name) FROM pragma_index_info(i.name)),
          (SELECT substr(sql, instr(sql, ' WHERE ')) FROM sqlite_master s
           WHERE s.name = i.name AND i.partial)
        FROM sqlite_master t, pragma_index_list(t.name) i WHERE t.type = 'table'""",
}
POSTGRES = {
    "columns": """
        SELECT a.attrelid::regclass::text, a.attname, format_type(a.atttypid, a.atttypmod),
          a.attnotnull, a.attidentity, a.attcollation::regcollation::text,
          pg_get_expr(d.adbin, d.adrelid)
        FROM pg_attribute a JOIN pg_class t ON t.oid = a.attrelid
        LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
        WHERE t.relkind = 'r' AND t.relnamespace = 'public'::regnamespace
          AND a.attnum > 0 AND NOT a.attisdropped""",
    "constraints": """
        SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint
        WHERE connamespace = 'public'::regnamespace""",
    "indexes": "SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'",
}


def schema_of(engine: Engine) -> dict[str, list[tuple[Any, ...]]]:
    """By kind: every column, key, constraint and index, whatever the order of the columns."""
    queries = SQLITE if engine.dialect.name == "sqlite" else POSTGRES
    with engine.connect() as connection:
        return {kind: _sorted(connection, query) for kind, query in queries.items()}


def _sorted(connection: Connection, query: str) -> list[tuple[Any, ...]]:
    found = (tuple(map(_plain, row)) for row in connection.exec_driver_sql(query))
    return sorted((row for row in found if row[0] != "alembic_version"), key=str)


def _plain(value: Any) -> Any:
    """Two names for the type of a text are one, and so are conditions with and without casts."""
    if not isinstance(value, str):
        return value
    return "text" if value in ("VARCHAR", "character varying") else CASTS.sub("", value)
