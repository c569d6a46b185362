"""The store: engine for SQLite or Postgres, and the upgrade to the newest schema."""

from collections.abc import Iterable
from pathlib import Path
from sqlite3 import OperationalError
from time import monotonic, sleep
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, Table, event, select
from sqlmodel import create_engine

from shared.bulk import table_of
from shared.models import RebuildDue

MIGRATIONS = Path(__file__).parent / "migrations"
BUSY_TIMEOUT_SEC = 5
RECYCLE_SEC = 3600
ANALYZE_SQLITE = ("PRAGMA analysis_limit=1000", "ANALYZE")
MIGRATION_LOCK = 7_411_052_001
WRITE_LOCK = 7_411_052_002
QUERIES = (
    "timezone=UTC",
    # What a page asks is worked out by look-ups in milliseconds: to compile it first takes longer,
    # and that a look-up costs four times a page read in order was true of turning disks.
    "jit=off",
    "random_page_cost=1.1",
)
"""Settings of every Postgres session."""
INTAKE = (
    f"lock_timeout={BUSY_TIMEOUT_SEC}s",
    # It looks rows up by key. A plan made while tables were small must not read them whole, again
    # and again, until somebody analyses them: on an empty store that doubles the cost of a batch.
    "enable_seqscan=off",
    "enable_hashjoin=off",
    "enable_mergejoin=off",
)
"""More settings of one that takes deliveries in."""


def open_engine(url: str, *, intake: bool = False) -> Engine:
    """An engine for `url`, as `Settings.database_url` gives it. Nothing is connected yet.

    One for `intake` is tuned for many small writes by key, and gives up on a lock after
    BUSY_TIMEOUT_SEC on Postgres too, as SQLite always does: a vendor waits for its answer. Its
    writer mostly gets the connection that it had, as others' caches do not know what it wrote.

    A connection with the execution option `immediate=True` takes SQLite's write lock when
    it begins: a transaction that reads first and locks later can fail in the middle.
    """
    if url.startswith("sqlite"):
        # SQLite's planner reads its statistics once a connection: what `analyze` has found since
        # then is only for new ones.
        engine = create_engine(
            url,
            pool_recycle=RECYCLE_SEC,
            pool_use_lifo=intake,
            connect_args={"timeout": BUSY_TIMEOUT_SEC},
        )
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        if intake:
            event.listen(engine, "connect", _tune_sqlite)
        return engine
    return create_engine(
        url,
        pool_pre_ping=True,
        pool_use_lifo=intake,
        connect_args={
            "options": " ".join(f"-c {one}" for one in (*QUERIES, *(INTAKE * intake))),
            "connect_timeout": BUSY_TIMEOUT_SEC,
        },
    )


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # the driver must not begin transactions on its own
    _use_wal(connection)
    connection.execute("PRAGMA synchronous=FULL")  # a committed delivery survives a power cut
    connection.execute("PRAGMA foreign_keys=ON")


def _tune_sqlite(connection: Any, _record: Any) -> None:
    """The journal of a statement of many rows needs no file, pages are found in memory, and the
    log is written back when much has gathered: together a fifth of what a delivery costs here."""
    connection.execute("PRAGMA temp_store=MEMORY")
    connection.execute("PRAGMA cache_size=-16000")  # KiB
    connection.execute("PRAGMA wal_autocheckpoint=4000")  # pages of 4 KiB


def _use_wal(connection: Any) -> None:
    """For this one lock SQLite does not wait by itself: two first starts at once would collide."""
    deadline = monotonic() + BUSY_TIMEOUT_SEC
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except OperationalError as error:
            if not error.sqlite_errorname.startswith("SQLITE_BUSY") or monotonic() > deadline:
                raise
            sleep(0.05)
        else:
            return


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
    except OperationalError as error:
        if not error.sqlite_errorname.startswith("SQLITE_BUSY"):
            raise
        return False
    finally:
        connection.close()


def migrate(engine: Engine, revision: str = "head") -> None:
    """Bring the schema to `revision`. Safe to run from several processes at once."""
    with engine.connect().execution_options(immediate=True) as connection, connection.begin():
        if engine.dialect.name == "postgresql":
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({MIGRATION_LOCK})")
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
    analyze(engine)


def is_current(engine: Engine) -> bool:
    """Whether the store has the newest schema, and read models that fit it."""
    with engine.connect() as connection:
        applied = MigrationContext.configure(connection).get_current_heads()
        newest = ScriptDirectory.from_config(_config()).get_heads()
        return set(applied) == set(newest) and not rebuild_is_due(connection)


def rebuild_is_due(connection: Connection) -> bool:
    """Whether a migration changed what read models hold since they were last made."""
    due = table_of(RebuildDue).c.revision
    return connection.scalar(select(due).limit(1)) is not None


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    return config
