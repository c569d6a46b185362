"""Errors of the receiver.

ReceiverError
├── StoreUnavailable    the store cannot be written now: answered 503, the vendor retries
├── StartError          the receiver cannot start: one line, exit 1
├── ReplayError         a replay cannot be done: one line, exit 1, or the request's `problem`
├── EraseError          a person cannot be erased: one line, exit 1, and nothing is changed
├── Stopping            a long task breaks off between two transactions, as the receiver stops
├── WebhooksError       MindTickle's API did not do what was asked: one line, exit 1
└── SimulatorError      a play cannot start: one line, exit 1
"""

from sqlalchemy.exc import DBAPIError, InterfaceError, InternalError, OperationalError

from shared.store_errors import StoreError


class ReceiverError(Exception):
    """Anything of the below."""


class StoreUnavailable(ReceiverError):
    """The store cannot be written now."""


class StartError(ReceiverError):
    """The receiver cannot start; the message says what to do."""


class ReplayError(ReceiverError):
    """A replay cannot be done as it was asked for; the message says what would do."""


class EraseError(ReceiverError):
    """Nobody is erased; the message says why, and what to do."""


class Stopping(ReceiverError):
    """The receiver stops, and a long task with it; what it has committed stays."""


class WebhooksError(ReceiverError):
    """MindTickle's API cannot be asked, or did not do it; the message says what to do."""


class SimulatorError(ReceiverError):
    """A play cannot start; the message says what to do."""


_SQLITE = ("SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_FULL", "SQLITE_IOERR", "SQLITE_READONLY",
           "SQLITE_CANTOPEN", "SQLITE_CORRUPT", "SQLITE_NOTADB")  # fmt: skip
_POSTGRES = ("08", "25", "28", "3D", "3F", "42", "53", "55P03", "57", "58")
"""Connection, read-only, login, database, schema, tables and rights, out of resources, locked,
operator, system: any row would fail."""


def is_of_the_store(error: Exception) -> bool:
    """Whether the store itself failed, so that no delivery of the batch can be written now.

    Anything else is the fault of some row, and the other rows of its batch can be saved.
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
    # Without a state the server never answered, or the driver could not put a value into SQL.
    return isinstance(error, (OperationalError, InterfaceError, InternalError))


def first_line(error: Exception) -> str:
    """What the driver says, without the statement and its parameters: those are payload."""
    original = getattr(error, "orig", None) or error
    return f"{type(original).__name__}: {str(original).splitlines()[0] if str(original) else ''}"
