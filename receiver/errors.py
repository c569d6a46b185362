"""Errors of the receiver.

ReceiverError
├── StoreUnavailable    the store is not writable: 503, the vendor retries
├── StartError          the receiver cannot start: one line, exit 1
├── ReplayError         a replay is not possible: one line, exit 1, or `problem` of the request
├── ImportingError      an export or its mapping cannot be read: one line, exit 1
├── EraseError          a person cannot be erased: one line, exit 1, nothing is changed
├── Stopping            the receiver stops, and a long task stops between two transactions
├── WebhooksError       a call of MindTickle's API failed: one line, exit 1
└── SimulatorError      a simulation cannot start: one line, exit 1
"""

from sqlalchemy.exc import DBAPIError, InterfaceError, InternalError, OperationalError

from shared.store_errors import StoreError


class ReceiverError(Exception):
    """The base of all errors of the receiver."""


class StoreUnavailable(ReceiverError):
    """The store is not writable."""


class StartError(ReceiverError):
    """The receiver cannot start. The message says what to do."""


class ReplayError(ReceiverError):
    """A replay is not possible. The message says what to change."""


class EraseError(ReceiverError):
    """No person is erased. The message says why, and what to do."""


class ImportingError(ReceiverError):
    """An export or its mapping cannot be read. The message says where, and what to change."""


class Stopping(ReceiverError):
    """The receiver stops, and a long task with it. Committed work stays."""


class WebhooksError(ReceiverError):
    """A call of MindTickle's API failed. The message says what to do."""


class SimulatorError(ReceiverError):
    """A simulation cannot start. The message says what to do."""


_SQLITE = ("SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_FULL", "SQLITE_IOERR", "SQLITE_READONLY",
           "SQLITE_CANTOPEN", "SQLITE_CORRUPT", "SQLITE_NOTADB")  # fmt: skip
_POSTGRES = ("08", "25", "28", "3D", "3F", "42", "53", "55P03", "57", "58")
"""SQLSTATE classes: connection, read-only, login, database, schema, tables and rights, resources,
lock, operator, system. Any row would fail."""


def is_of_the_store(error: Exception) -> bool:
    """Whether the store itself failed, so that no delivery of the batch can be written.

    Any other error comes from one row, and the rest of the batch can be written.
    """
    if isinstance(error, StoreError):
        return True
    if not isinstance(error, DBAPIError):
        return False
    original = error.orig
    if name := getattr(original, "sqlite_errorname", None):
        return str(name).startswith(_SQLITE)
    if state := getattr(original, "sqlstate", None):
        return str(state).startswith(_POSTGRES)
    # No state: the server did not answer, or the driver could not convert a value to SQL.
    return isinstance(error, (OperationalError, InterfaceError, InternalError))


def is_passing(error: Exception) -> bool:
    """Whether the same transaction may succeed if it is tried again: a deadlock or a conflict with
    another transaction."""
    state = getattr(getattr(error, "orig", None), "sqlstate", None) or ""
    return str(state).startswith("40")


def first_line(error: Exception) -> str:
    """The driver's message, without statement and parameters, which contain payload."""
    original = getattr(error, "orig", None) or error
    return f"{type(original).__name__}: {str(original).splitlines()[0] if str(original) else ''}"
