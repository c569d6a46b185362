"""The store: engine for SQLite or Postgres, and the upgrade to the newest schema."""

import sqlite3
from collections.abc import Callable, Iterable, Set
from functools import cache
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import psycopg
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, Table, event, select
from sqlmodel import create_engine

from shared.bulk import table_of
from shared.models import RebuildDue
from shared.sqlite_file import SqliteFile, create_file
from shared.store_errors import StoreError, drop_connection

MIGRATIONS = Path(__file__).parent / "migrations"
BUSY_TIMEOUT_SEC = 5
COMMAND_TIMEOUT_SEC = 3
"""How long a command waits for SQLite's lock, as a person waits for it."""
GRACE_SEC = 2
WAKE_SEC = 0.1
RECYCLE_SEC = 3600
ANALYZE_SQLITE = ("PRAGMA analysis_limit=1000", "ANALYZE")
MIGRATION_LOCK = 7_411_052_001
WRITE_LOCK = 7_411_052_002
APPLIED = "SELECT version_num FROM alembic_version"
QUERIES = (
    "timezone=UTC",
    # What a page asks is worked out by look-ups in milliseconds: to compile it first takes longer,
    # and that a look-up costs four times a page read in order was true of turning disks.
    "jit=off",
    "random_page_cost=1.1",
)
"""Settings of every Postgres session."""
PEER_IS_THERE: dict[str, Any] = {
    "connect_timeout": BUSY_TIMEOUT_SEC,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,  # ms until what was sent must have been received
}
"""Of every connection: a machine that is gone without a word is noticed within half a minute."""
INTAKE = (
    f"lock_timeout={BUSY_TIMEOUT_SEC}s",
    # The other way round: a receiver whose machine is gone must not keep the write lock.
    "idle_in_transaction_session_timeout=15s",
    "tcp_keepalives_idle=10",
    "tcp_keepalives_interval=5",
    "tcp_keepalives_count=3",
    # It looks rows up by key. A plan made while tables were small must not read them whole, again
    # and again, until somebody analyses them: on an empty store that doubles the cost of a batch.
    "enable_seqscan=off",
    "enable_hashjoin=off",
    "enable_mergejoin=off",
)
"""More settings of one that takes deliveries in."""


def open_engine(url: str, *, intake: bool = False, answer_sec: int | None = None) -> Engine:
    """An engine for `url`, as `Settings.database_url` gives it. Nothing is connected yet, and no
    file is created: only `migrate` does that. A connection whose error a new one might not have is
    dropped.

    One for `intake` is tuned for many small writes by key, and gives up on a lock after
    BUSY_TIMEOUT_SEC on Postgres too, as SQLite always does: a vendor waits for its answer. Its
    writer mostly gets the connection that it had, as others' caches do not know what it wrote.
    On SQLite it opens only a store that has the newest schema.

    `answer_sec` bounds how long one statement waits for Postgres, be it busy or silent.

    A connection with the execution option `immediate=True` takes SQLite's write lock when
    it begins: a transaction that reads first and locks later can fail in the middle.
    """
    is_sqlite = url.startswith("sqlite")
    engine = _sqlite(url, intake) if is_sqlite else _postgres(url, intake, answer_sec)
    event.listen(engine, "handle_error", drop_connection)
    return engine


def _sqlite(url: str, intake: bool) -> Engine:
    def prepare(connection: sqlite3.Connection) -> None:
        _prepare_sqlite(connection, only_current=intake)
        if intake:
            _tune_sqlite(connection)

    # SQLite's planner reads its statistics once a connection: what `analyze` has found since
    # then is only for new ones.
    engine = create_engine(
        url,
        hide_parameters=True,
        pool_recycle=RECYCLE_SEC,
        pool_use_lifo=intake,
        connect_args={"timeout": BUSY_TIMEOUT_SEC if intake else COMMAND_TIMEOUT_SEC},
    )
    SqliteFile(engine.url, prepare).watch(engine)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: sqlite3.Connection, *, only_current: bool) -> None:
    connection.isolation_level = None  # the driver must not begin transactions on its own
    wrong = schema_problem(_applied(connection))
    if wrong and only_current:
        raise StoreError(wrong)
    if not wrong:  # nothing else is written to a file that is none of ours
        _use_wal(connection)
        _applied(connection)  # begins to use the log
    connection.execute("PRAGMA synchronous=FULL")  # a committed delivery survives a power cut
    connection.execute("PRAGMA foreign_keys=ON")


def _applied(connection: sqlite3.Connection) -> set[str]:
    """The revisions that a file says it has; none if it has no such table."""
    try:
        return {revision for (revision,) in connection.execute(APPLIED)}
    except sqlite3.OperationalError as error:
        if error.sqlite_errorname != "SQLITE_ERROR":
            raise
        return set()


def _tune_sqlite(connection: sqlite3.Connection) -> None:
    """The journal of a statement of many rows needs no file, pages are found in memory, and the
    log is written back when much has gathered: together a fifth of what a delivery costs here."""
    connection.execute("PRAGMA temp_store=MEMORY")
    connection.execute("PRAGMA cache_size=-16000")  # KiB
    connection.execute("PRAGMA wal_autocheckpoint=4000")  # pages of 4 KiB


def _use_wal(connection: sqlite3.Connection) -> None:
    """For this one lock SQLite does not wait by itself: two first starts at once would collide."""
    deadline = monotonic() + COMMAND_TIMEOUT_SEC
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if not error.sqlite_errorname.startswith("SQLITE_BUSY") or monotonic() > deadline:
                raise
            sleep(0.05)
        else:
            return


class _Bounded(psycopg.Connection[Any]):
    """A connection that does not wait for ever. Keepalives find a peer that is gone; one that is
    there and silent, as a proxy whose server is gone, only this does."""

    answer_sec: int | None = None

    def wait(self, gen: Any, interval: float = WAKE_SEC, timeout: float | None = None) -> Any:
        return super().wait(gen, interval, timeout or self.answer_sec)


def _postgres(url: str, intake: bool, answer_sec: int | None) -> Engine:
    limits = (f"statement_timeout={answer_sec}s",) if answer_sec else ()
    engine = create_engine(
        url,
        hide_parameters=True,
        pool_pre_ping=True,
        pool_recycle=RECYCLE_SEC,
        pool_use_lifo=intake,
        connect_args=PEER_IS_THERE
        | {"options": " ".join(f"-c {one}" for one in (*QUERIES, *(INTAKE * intake), *limits))},
    )

    def connect(_dialect: Any, _record: Any, names: Any, options: Any) -> _Bounded:
        connection = _Bounded.connect(*names, **options)
        # The server's own limit comes first: then it says so, and goes on to the next statement.
        connection.answer_sec = answer_sec and answer_sec + GRACE_SEC
        return connection

    event.listen(engine, "do_connect", connect)
    return engine


def _begin_sqlite(connection: Connection) -> None:
    immediate = connection.get_execution_options().get("immediate")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")


def hold_write_lock(connection: Connection) -> None:
    """One transaction at a time writes events and read models, whatever the number of receivers:
    SQLite works so by itself, Postgres by this. Read models then see all that came before, ids
    are committed in their order, and no two writers can deadlock.

    Raises OperationalError if an engine for intake has waited too long.
    """
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({WRITE_LOCK})")


def overwrite_deleted(engine: Engine, tables: Iterable[Table]) -> bool:
    """Have the store write over what deleted and changed rows leave behind: all of a SQLite file
    and its log, the dead rows of these tables and what the planner noted of them on Postgres.

    False if others had a SQLite file in use for so long that its log may still hold old bytes.
    """
    if engine.dialect.name == "sqlite":
        return _rewrite_file(engine)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        names = ", ".join(f'"{table.name}"' for table in tables)
        connection.exec_driver_sql(f"VACUUM (ANALYZE) {names}")
    return True


def _rewrite_file(engine: Engine) -> bool:
    # Some builds of SQLite note values for the planner, which `ANALYZE` writes anew.
    return _outside_of_transactions(
        engine, *ANALYZE_SQLITE, "VACUUM", "PRAGMA wal_checkpoint(TRUNCATE)"
    )


def analyze(engine: Engine) -> bool:
    """Have the store count what its tables and indexes hold, from a sample: without it SQLite's
    planner guesses, and at a million events `leaderboard.close_calls` takes 12.7 s in place of 0.1.

    False if others had a SQLite file locked; Postgres leaves out tables that others have.
    """
    if engine.dialect.name == "sqlite":
        return _outside_of_transactions(engine, *ANALYZE_SQLITE)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        # One that was counted while empty would be planned as empty: the intake then took six times
        # as long, until autovacuum came by. One that was never counted is taken for ten pages.
        filled = "SELECT relid::regclass FROM pg_stat_user_tables WHERE pg_relation_size(relid) > 0"
        names = ", ".join(connection.exec_driver_sql(filled).scalars())
        connection.exec_driver_sql(f"ANALYZE (SKIP_LOCKED) {names}")
    return True


def _outside_of_transactions(engine: Engine, *statements: str) -> bool:
    """Whether SQLite could do this, or was busy: it says so by an error, or a checkpoint by the
    first value of its row."""
    connection = engine.raw_connection()
    cursor: Any = connection.cursor()
    try:
        for statement in statements:
            found = cursor.execute(statement).fetchone()
        busy, *_ = found or (False,)
        return not busy
    except sqlite3.OperationalError as error:
        if not error.sqlite_errorname.startswith("SQLITE_BUSY"):
            raise
        return False
    finally:
        connection.close()


def migrate(engine: Engine, revision: str = "head") -> None:
    """Bring the schema to `revision`; a SQLite file is created if there is none. Safe to run from
    several processes at once. Raises StoreError for a store of a newer version."""
    if engine.dialect.name == "sqlite":
        create_file(engine.url)
    with engine.connect().execution_options(immediate=True) as connection, connection.begin():
        if engine.dialect.name == "postgresql":
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({MIGRATION_LOCK})")
        if unknown := _unknown(_heads(connection)):
            raise StoreError(unknown)
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
    engine.dispose()  # a connection finds out how to go about a file when it opens it
    require_writable(engine)
    analyze(engine)


def is_current(engine: Engine) -> bool:
    """Whether the store has the newest schema, and read models that fit it."""
    with engine.connect() as connection:
        return _problem(connection) is None


def require_current(engine: Engine) -> None:
    """Raises StoreError, with what to do, unless the store has the newest schema and read models
    that fit it."""
    _require(engine, _problem)


def require_schema(engine: Engine) -> None:
    """Raises StoreError unless the store has the newest schema; read models may be due."""
    _require(engine, lambda connection: schema_problem(_heads(connection)))


def require_writable(engine: Engine) -> None:
    """Raises SQLAlchemyError if a SQLite file cannot be written, or another process is at it."""
    if engine.dialect.name == "sqlite":
        with engine.connect().execution_options(immediate=True) as connection, connection.begin():
            # SQLite begins to write to a file that can only be read, and says so at a write.
            connection.exec_driver_sql("DELETE FROM alembic_version WHERE 1 = 0")


def _require(engine: Engine, find: Callable[[Connection], str | None]) -> None:
    with engine.connect() as connection:
        if problem := find(connection):
            raise StoreError(problem)


def _problem(connection: Connection) -> str | None:
    if problem := schema_problem(_heads(connection)):
        return problem
    if rebuild_is_due(connection):
        return "the read models do not fit the schema yet: run `repboard migrate`."
    return None


def schema_problem(applied: Set[str]) -> str | None:
    """Why a store with these revisions cannot be used, and what to do; None if it can."""
    if applied == set(_script().get_heads()):
        return None
    return _unknown(applied) or "the store has no current schema: run `repboard migrate`."


def _unknown(applied: Set[str]) -> str | None:
    unknown = applied - {one.revision for one in _script().walk_revisions()}
    if not unknown:
        return None
    names = ", ".join(sorted(unknown))
    return (
        f"the store has schema {names} of a newer version: install that version, "
        "or restore the backup from before it."
    )


def _heads(connection: Connection) -> set[str]:
    return set(MigrationContext.configure(connection).get_current_heads())


def rebuild_is_due(connection: Connection) -> bool:
    """Whether a migration changed what read models hold since they were last made."""
    due = table_of(RebuildDue).c.revision
    return connection.scalar(select(due).limit(1)) is not None


@cache
def _script() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config())


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    return config
