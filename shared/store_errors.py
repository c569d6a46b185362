"""Errors of a store: which connections to drop, and one line for a person."""

import sqlite3

import psycopg
from sqlalchemy import URL
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

ROW_STATES = ("22", "23")
"""SQLSTATE classes of Postgres for data errors: a value, or a constraint."""
ROW_NAMES = ("SQLITE_CONSTRAINT", "SQLITE_TOOBIG", "SQLITE_MISMATCH", "SQLITE_RANGE")


class StoreError(SQLAlchemyError):
    """The store cannot be used. The message is one line that says what to do."""

    def __init__(self, line: str) -> None:
        super().__init__(f"DATABASE_URL: {line}")


def drop_connection(context: ExceptionContext) -> None:
    """Have SQLAlchemy close a connection after any error that a new one might not have.

    Such errors can outlive their cause: a server that was read-only at the time of the connection,
    an outdated plan, a changed role or search path. The lists name the errors that do *not* drop a
    connection, so an unforeseen error never persists.
    """
    if not _is_of_a_row(context.original_exception):
        context.is_disconnect = True


def _is_of_a_row(error: BaseException) -> bool:
    if isinstance(error, psycopg.Error):
        return (error.sqlstate or "").startswith(ROW_STATES)
    if isinstance(error, sqlite3.Error):
        # A new connection would wait for the same lock of another process.
        name = getattr(error, "sqlite_errorname", None) or ""
        is_unbindable = str(error).startswith("Error binding parameter")
        return is_unbindable or name.startswith((*ROW_NAMES, "SQLITE_BUSY"))
    return isinstance(error, (TypeError, ValueError))  # a value that SQL cannot represent


def in_words(error: SQLAlchemyError | sqlite3.Error, url: URL) -> str:
    """One line without a password: what is wrong with the store, and what to do."""
    if isinstance(error, StoreError):
        return str(error)
    original = error.orig if isinstance(error, DBAPIError) else error
    message = (str(original).splitlines() or [type(original).__name__])[0]
    if isinstance(original, sqlite3.Error):
        return f"DATABASE_URL: {_of_sqlite(original, message, url)}"
    return f"DATABASE_URL: {_of_postgres(original, message, url)}"


def _of_sqlite(error: sqlite3.Error, message: str, url: URL) -> str:
    path = url.database
    name = getattr(error, "sqlite_errorname", None) or ""
    for start, line in (
        ("SQLITE_BUSY", f"another process holds {path}. Stop it, or wait until it is done."),
        ("SQLITE_NOTADB", f"{path} is not a SQLite database. Check the path."),
        ("SQLITE_READONLY", f"{path} is not writable. Check the owner of the file and its folder."),
        (
            "SQLITE_CANTOPEN",
            f"{path} cannot be opened for writing. Check the owner of the file and its folder.",
        ),
        ("SQLITE_FULL", f"the disk of {path} is full. Free some space."),
        ("SQLITE_CORRUPT", f"{path} is damaged. Restore a backup (docs/operations.md)."),
    ):
        if name.startswith(start):
            return line
    return f"{path} cannot be used: {message}"


def _of_postgres(error: BaseException | None, message: str, url: URL) -> str:
    server = f"Postgres at {url.host or 'the local socket'}:{url.port or 5432}"
    state = getattr(error, "sqlstate", None) or ""
    is_unknown = "does not exist" in message
    for found, line in (
        ("password" in message, f"{server} refuses the password of {url.username}. Check both."),
        (
            is_unknown and "database" in message,
            f"{server} has no database {url.database}. Create it, or check the name.",
        ),
        (
            is_unknown and "role" in message,
            f"{server} has no role {url.username}. Create it, or check the name.",
        ),
        (
            state.startswith(("55P03", "57014")),
            f"another process holds the tables. Stop it, or wait until it is done ({message}).",
        ),
        (state == "25006", f"{server} is read-only. Use the address of the primary."),
        (bool(state), f"the store cannot be used: {message}"),
    ):
        if found:
            return line
    return f"{server} cannot be reached. Start it, or check host and port ({message})."
