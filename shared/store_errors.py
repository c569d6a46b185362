"""What goes wrong with a store: which connection may still be used, and one line for a person."""

import sqlite3

import psycopg
from sqlalchemy import URL
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

ROW_STATES = ("22", "23")
"""SQLSTATE classes of Postgres that are about data: a value, or a constraint."""
ROW_NAMES = ("SQLITE_CONSTRAINT", "SQLITE_TOOBIG", "SQLITE_MISMATCH", "SQLITE_RANGE")


class StoreError(SQLAlchemyError):
    """The store is not usable as it is. The message is one line that says what to do."""

    def __init__(self, line: str) -> None:
        super().__init__(f"DATABASE_URL: {line}")


def drop_connection(context: ExceptionContext) -> None:
    """Have SQLAlchemy close a connection after any error that a new one might not have.

    Such errors can outlive their cause: a server that was read-only when it was connected to, a
    plan that no longer fits, a role or search path that was changed. The list is of what is *not*
    dropped, so that an error that nobody thought of never stays.
    """
    if not _is_of_a_row(context.original_exception):
        context.is_disconnect = True


def _is_of_a_row(error: BaseException) -> bool:
    if isinstance(error, psycopg.Error):
        return (error.sqlstate or "").startswith(ROW_STATES)
    if isinstance(error, sqlite3.Error):
        # A lock of another process says nothing of this connection, and opening waits for it too.
        name = getattr(error, "sqlite_errorname", None) or ""
        return name.startswith((*ROW_NAMES, "SQLITE_BUSY"))
    return isinstance(error, (TypeError, ValueError))  # a value that has no form in SQL


def in_words(error: SQLAlchemyError | sqlite3.Error, url: URL) -> str:
    """One line for what the store said, without any password: what is wrong, and what to do."""
    if isinstance(error, StoreError):
        return str(error)
    original = error.orig if isinstance(error, DBAPIError) else error
    said = (str(original).splitlines() or [type(original).__name__])[0]
    if isinstance(original, sqlite3.Error):
        return f"DATABASE_URL: {_of_sqlite(original, said, url)}"
    return f"DATABASE_URL: {_of_postgres(original, said, url)}"


def _of_sqlite(error: sqlite3.Error, said: str, url: URL) -> str:
    path = url.database
    name = getattr(error, "sqlite_errorname", None) or ""
    for start, line in (
        ("SQLITE_BUSY", f"another process holds {path}: stop it, or wait until it is done."),
        ("SQLITE_NOTADB", f"{path} is no SQLite database: check the path."),
        ("SQLITE_READONLY", f"{path} cannot be written: check who owns it and its folder."),
        (
            "SQLITE_CANTOPEN",
            f"{path} cannot be opened for writing: check who owns it and its folder.",
        ),
        ("SQLITE_FULL", f"the disk of {path} is full: make room."),
        ("SQLITE_CORRUPT", f"{path} is damaged: restore a backup (docs/operations.md)."),
    ):
        if name.startswith(start):
            return line
    return f"{path} cannot be used: {said}"


def _of_postgres(error: BaseException | None, said: str, url: URL) -> str:
    server = f"Postgres at {url.host or 'the local socket'}:{url.port or 5432}"
    state = getattr(error, "sqlstate", None) or ""
    is_unknown = "does not exist" in said
    for found, line in (
        ("password" in said, f"{server} refuses the password of {url.username}: check both."),
        (
            is_unknown and "database" in said,
            f"{server} has no database {url.database}: create it, or check the name.",
        ),
        (
            is_unknown and "role" in said,
            f"{server} has no role {url.username}: create it, or check the name.",
        ),
        (
            state.startswith(("55P03", "57014")),
            f"another process holds the tables: stop it, or wait until it is done ({said}).",
        ),
        (state == "25006", f"{server} is read-only: use the address of the primary."),
        (bool(state), f"the store cannot be used: {said}"),
    ):
        if found:
            return line
    return f"{server} cannot be reached: start it, or check host and port ({said})."
