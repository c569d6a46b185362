"""The store: engines for SQLite and Postgres, and the upgrade to the newest schema."""

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Set
from contextlib import contextmanager
from datetime import UTC, datetime
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
INTAKE_TIMEOUT_SEC = 9
"""How long receivers and followers wait for SQLite's lock. A delivery is answered within 10 s, and
`erase` has the lock while it rewrites the file."""
COMMAND_TIMEOUT_SEC = 3
"""How long a command waits for SQLite's lock: a person waits for the command."""
TRY_SEC = 0.001
"""How often a process that waits for SQLite's write lock tries to take it. SQLite itself would
sleep longer after each try, up to 0.1 s: what has waited longest would try least often."""
GRACE_SEC = 2
WAKE_SEC = 0.1
RECYCLE_SEC = 3600
ANALYZE_SQLITE = ("PRAGMA analysis_limit=1000", "ANALYZE")
MIGRATION_LOCK = 7_411_052_001
WRITE_LOCK = 7_411_052_002
APPLIED = "SELECT version_num FROM alembic_version"
QUERIES = (
    "timezone=UTC",
    # A page's query takes milliseconds, and compiling it takes longer. The default cost of a
    # look-up, four times a sequential read, was true for rotating disks.
    "jit=off",
    "random_page_cost=1.1",
)
"""Settings of every Postgres session."""
KEEPALIVE: dict[str, Any] = {
    "connect_timeout": BUSY_TIMEOUT_SEC,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,  # ms until sent data must be acknowledged
}
"""For every connection: a machine that disappears is detected within half a minute."""
INTAKE = (
    f"lock_timeout={BUSY_TIMEOUT_SEC}s",
    # And the reverse: a receiver whose machine disappears must not keep its locks.
    "idle_in_transaction_session_timeout=15s",
    "tcp_keepalives_idle=10",
    "tcp_keepalives_interval=5",
    "tcp_keepalives_count=3",
    # Intake looks rows up by key. A plan from when tables were small would read them whole until
    # the next ANALYZE: on an empty store that doubles the cost of a batch.
    "enable_seqscan=off",
    "enable_hashjoin=off",
    "enable_mergejoin=off",
)
"""Additional settings of sessions that write deliveries."""


def open_engine(
    url: str,
    *,
    intake: bool = False,
    answer_sec: int | None = None,
    durable: bool = True,
    schema: str | None = None,
) -> Engine:
    """An engine for `url`, in the form of `Settings.database_url`. It does not connect yet and
    never creates a file: only `migrate` does. A connection is dropped after any error that a new
    connection might not have.

    With `intake` it is tuned for many small writes by key. It waits for a lock up to
    BUSY_TIMEOUT_SEC on Postgres and INTAKE_TIMEOUT_SEC on SQLite, as a vendor waits for the
    response. The writer usually gets the same connection again, whose cache has its rows. On SQLite
    it opens only a store with the newest schema.

    `answer_sec` limits how long one statement waits for a busy or silent Postgres.

    Without `durable` a power cut may undo the last transactions, each as a whole: for what is
    derived from events, together with how far it is. The disk is waited for less often.

    `schema` is where a Postgres looks for tables, instead of the user's own.
    """
    is_sqlite = url.startswith("sqlite")
    if is_sqlite:
        engine = _sqlite(url, intake, durable)
    else:
        engine = _postgres(url, intake, answer_sec, durable, schema)
    event.listen(engine, "handle_error", drop_connection)
    return engine


def _sqlite(url: str, intake: bool, durable: bool) -> Engine:
    def prepare(connection: sqlite3.Connection) -> None:
        _prepare_sqlite(connection, only_current=intake)
        if intake:
            _tune_sqlite(connection)
        if not durable:
            connection.execute("PRAGMA synchronous=NORMAL")

    # SQLite's planner reads its statistics once for each connection: only new connections use the
    # result of a later `analyze`.
    wait_sec = INTAKE_TIMEOUT_SEC if intake else COMMAND_TIMEOUT_SEC
    engine = create_engine(
        url,
        hide_parameters=True,
        pool_recycle=RECYCLE_SEC,
        pool_use_lifo=intake,
        connect_args={"timeout": wait_sec},
    )
    SqliteFile(engine.url, prepare).watch(engine)

    def begin(connection: Connection) -> None:
        if connection.get_execution_options().get("immediate"):
            _begin_immediate(connection, wait_sec)
        else:
            connection.exec_driver_sql("BEGIN")

    event.listen(engine, "begin", begin)
    return engine


def _prepare_sqlite(connection: sqlite3.Connection, *, only_current: bool) -> None:
    connection.isolation_level = None  # the driver must not start transactions by itself
    wrong = schema_problem(_applied(connection))
    if wrong and only_current:
        raise StoreError(wrong)
    if not wrong:  # a file that is not ours is not changed
        _use_wal(connection)
        _applied(connection)  # starts to use the log
    connection.execute("PRAGMA synchronous=FULL")  # a committed delivery survives a power cut
    connection.execute("PRAGMA foreign_keys=ON")


def _applied(connection: sqlite3.Connection) -> set[str]:
    """The schema revisions of a file. None if it has no such table."""
    try:
        return {revision for (revision,) in connection.execute(APPLIED)}
    except sqlite3.OperationalError as error:
        if error.sqlite_errorname != "SQLITE_ERROR":
            raise
        return set()


def _tune_sqlite(connection: sqlite3.Connection) -> None:
    """Keep statement journals and pages in memory, and write the log back less often. Together this
    saves a fifth of the cost of a delivery."""
    connection.execute("PRAGMA temp_store=MEMORY")
    connection.execute("PRAGMA cache_size=-16000")  # KiB
    connection.execute("PRAGMA wal_autocheckpoint=4000")  # pages of 4 KiB


def _use_wal(connection: sqlite3.Connection) -> None:
    """SQLite does not wait for this one lock, so two first starts at once would collide."""
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
    """A connection with a limit on waiting. Keepalives detect a peer that is gone. Only this limit
    detects a silent one, such as a proxy whose server is gone."""

    answer_sec: int | None = None

    def wait(self, gen: Any, interval: float = WAKE_SEC, timeout: float | None = None) -> Any:
        return super().wait(gen, interval, timeout or self.answer_sec)


def _postgres(
    url: str, intake: bool, answer_sec: int | None, durable: bool, schema: str | None
) -> Engine:
    limits = [f"statement_timeout={answer_sec}s"] if answer_sec else []
    if schema:
        limits.append(f"search_path={schema}")
    if not durable:
        limits.append("synchronous_commit=off")
    engine = create_engine(
        url,
        hide_parameters=True,
        pool_pre_ping=True,
        pool_recycle=RECYCLE_SEC,
        pool_use_lifo=intake,
        connect_args=KEEPALIVE
        | {"options": " ".join(f"-c {one}" for one in (*QUERIES, *(INTAKE * intake), *limits))},
    )

    def connect(_dialect: Any, _record: Any, names: Any, options: Any) -> _Bounded:
        connection = _Bounded.connect(*names, **options)
        # The server's own limit comes first: its error leaves the connection usable.
        connection.answer_sec = answer_sec and answer_sec + GRACE_SEC
        return connection

    event.listen(engine, "do_connect", connect)
    return engine


@contextmanager
def write_transaction(engine: Engine) -> Iterator[Connection]:
    """A transaction that writes: committed at the end, rolled back after an error. On SQLite it
    takes the write lock at its start: one that reads first and locks later can fail halfway."""
    with engine.connect().execution_options(immediate=True) as connection, connection.begin():
        yield connection


def _begin_immediate(connection: Connection, wait_sec: int) -> None:
    """Start a transaction with SQLite's write lock. Raises OperationalError if another connection
    has it for `wait_sec`."""
    driver: sqlite3.Connection = connection.connection.driver_connection  # type: ignore[assignment]
    until = monotonic() + wait_sec
    driver.execute("PRAGMA busy_timeout=0")
    try:
        while _is_locked(driver) and monotonic() < until:
            sleep(TRY_SEC)
        if not driver.in_transaction:  # for an error of SQLAlchemy
            connection.exec_driver_sql("BEGIN IMMEDIATE")
    finally:
        driver.execute(f"PRAGMA busy_timeout={wait_sec * 1000}")


def _is_locked(driver: sqlite3.Connection) -> bool:
    """Try to start a transaction with the write lock. Whether another connection has it."""
    try:
        driver.execute("BEGIN IMMEDIATE")
    except sqlite3.Error as error:
        return (getattr(error, "sqlite_errorname", None) or "").startswith("SQLITE_BUSY")
    return False


def hold_write_lock(connection: Connection) -> None:
    """Let one transaction at a time change read models, erase a person or open a coaching case.
    SQLite does this by itself. Receivers append without it.

    Raises OperationalError if an engine for intake waits too long.
    """
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({WRITE_LOCK})")


def store_time(connection: Connection) -> datetime:
    """The time by the clock that all processes of a store share: the server's, or this machine's
    for a SQLite file."""
    if connection.dialect.name == "postgresql":
        at: datetime = connection.exec_driver_sql("SELECT clock_timestamp()").scalar_one()
        return at.astimezone(UTC)
    return datetime.now(UTC)


def overwrite_deleted(engine: Engine, tables: Iterable[Table]) -> bool:
    """Have the store overwrite deleted and changed rows: a whole SQLite file and its log, or on
    Postgres the dead rows and planner statistics of these tables.

    False if another process used a SQLite file for so long that its log may contain old bytes.
    """
    if engine.dialect.name == "sqlite":
        return _rewrite_file(engine)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        names = ", ".join(f'"{table.name}"' for table in tables)
        connection.exec_driver_sql(f"VACUUM (ANALYZE) {names}")
    return True


def _rewrite_file(engine: Engine) -> bool:
    # Some builds of SQLite store sample values for the planner; `ANALYZE` replaces them.
    return _outside_of_transactions(
        engine, *ANALYZE_SQLITE, "VACUUM", "PRAGMA wal_checkpoint(TRUNCATE)"
    )


def analyze(engine: Engine) -> bool:
    """Update the planner's statistics of tables and indexes from a sample. Without them SQLite
    guesses: with a million events `leaderboard.close_calls` takes 12.7 s instead of 0.1 s.

    False if another process has locked a SQLite file. Postgres skips locked tables.
    """
    if engine.dialect.name == "sqlite":
        return _outside_of_transactions(engine, *ANALYZE_SQLITE)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        # A table analysed while empty is planned as empty, and intake takes six times as long until
        # the next autovacuum. A table that was never analysed is planned with ten pages.
        filled = "SELECT relid::regclass FROM pg_stat_user_tables WHERE pg_relation_size(relid) > 0"
        names = ", ".join(connection.exec_driver_sql(filled).scalars())
        connection.exec_driver_sql(f"ANALYZE (SKIP_LOCKED) {names}")
    return True


def _outside_of_transactions(engine: Engine, *statements: str) -> bool:
    """Run statements. False if SQLite was busy: it raises an error, and a checkpoint returns a row
    whose first value is 1."""
    connection = engine.raw_connection()
    cursor = connection.cursor()
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
    """Upgrade the schema to `revision`, and create a missing SQLite file. Several processes may run
    this at once. Raises StoreError for a store of a newer version."""
    if engine.dialect.name == "sqlite":
        create_file(engine.url)
    with write_transaction(engine) as connection:
        if engine.dialect.name == "postgresql":
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({MIGRATION_LOCK})")
        if unknown := _unknown(_heads(connection)):
            raise StoreError(unknown)
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
    engine.dispose()  # a connection checks the schema when it opens a file
    require_writable(engine)
    analyze(engine)


def is_current(engine: Engine) -> bool:
    """Whether the store has the newest schema and matching read models."""
    with engine.connect() as connection:
        return _problem(connection) is None


def require_current(engine: Engine) -> None:
    """Raises StoreError, with the command to run, unless the store has the newest schema and
    matching read models."""
    _require(engine, _problem)


def require_schema(engine: Engine) -> None:
    """Raises StoreError unless the store has the newest schema. A rebuild may be due."""
    _require(engine, lambda connection: schema_problem(_heads(connection)))


def require_writable(engine: Engine) -> None:
    """Raises SQLAlchemyError if a SQLite file is not writable or another process has locked it."""
    if engine.dialect.name == "sqlite":
        with write_transaction(engine) as connection:
            # SQLite starts a write transaction on a read-only file, and fails at the first write.
            connection.exec_driver_sql("DELETE FROM alembic_version WHERE 1 = 0")


def _require(engine: Engine, find: Callable[[Connection], str | None]) -> None:
    with engine.connect() as connection:
        if problem := find(connection):
            raise StoreError(problem)


def _problem(connection: Connection) -> str | None:
    if problem := schema_problem(_heads(connection)):
        return problem
    if rebuild_is_due(connection):
        return "the read models do not match the schema yet. Run `repboard migrate`."
    return None


def schema_problem(applied: Set[str]) -> str | None:
    """Why a store with these revisions cannot be used, and what to do. None if it can."""
    if applied == set(_script().get_heads()):
        return None
    return _unknown(applied) or "the store has no current schema. Run `repboard migrate`."


def _unknown(applied: Set[str]) -> str | None:
    unknown = applied - {one.revision for one in _script().walk_revisions()}
    if not unknown:
        return None
    names = ", ".join(sorted(unknown))
    return (
        f"the store has schema {names} of a newer version. Install that version, "
        "or restore a backup from before the upgrade."
    )


def _heads(connection: Connection) -> set[str]:
    return set(MigrationContext.configure(connection).get_current_heads())


def schema_version(connection: Connection) -> str:
    """The revision of a store's schema."""
    return " ".join(sorted(_heads(connection)))


def rebuild_is_due(connection: Connection) -> bool:
    """Whether a migration has changed read models since the last rebuild."""
    due = table_of(RebuildDue).c.revision
    return connection.scalar(select(due).limit(1)) is not None


@cache
def _script() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config())


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    return config
