"""An unusable store ends every program with one line: what is wrong, and what to do."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import make_url

from shared.database import open_engine
from tests import running
from tests.conftest import FreshStore, Postgres
from tests.own_postgres import OwnPostgres, own_postgres
from tests.stores import write_locked

PASSWORD = "never-to-be-seen"
PROGRAMS = {
    "serve": ("receiver", "serve"),
    "migrate": ("receiver", "migrate"),
    "prune": ("receiver", "prune"),
    "dashboard": ("dashboard",),
}
OTHERS = {
    "rebuild": ("receiver", "rebuild"),
    "replay": ("receiver", "replay", "--vendor", "mindtickle"),
    "erase": ("receiver", "erase", "--email", "ann@example.com"),
}
AS_ANYBODY = () if os.geteuid() else ("setpriv", "--bounding-set=-dac_override")
"""Root may write to any file, unless it gives that up."""


def complaint(program: str, url: str, folder: Path) -> str:
    """The one line of a program that cannot use its store."""
    return the_line(
        running.program(*(PROGRAMS | OTHERS)[program], folder=folder, env=settings(url))
    )


def complaint_as_anybody(program: str, url: str, folder: Path) -> str:
    """The same of one that may not write to every file, even if root runs the tests."""
    return the_line(
        subprocess.run(
            [*AS_ANYBODY, sys.executable, "-m", *PROGRAMS[program]],
            env=settings(url),
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=running.START_SEC,
            check=False,
        )
    )


def settings(url: str) -> dict[str, str]:
    return running.environment(
        DATABASE_URL=url, MINDTICKLE_WEBHOOK_SECRET="a-secret-of-enough-length"
    )


def the_line(ended: subprocess.CompletedProcess[str]) -> str:
    assert ended.returncode != 0
    assert PASSWORD not in ended.stderr + ended.stdout
    (line,) = ended.stderr.splitlines()
    assert line.startswith("DATABASE_URL: ")
    return line


@pytest.fixture(params=PROGRAMS)
def program(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize(
    "url",
    ["sqlite://", "sqlite:///:memory:", "sqlite:///file::memory:?cache=shared&uri=true",
     "sqlite:///file:x?mode=memory&uri=true"],
)  # fmt: skip
def test_a_store_in_memory_is_refused(url: str, tmp_path: Path) -> None:
    assert "in memory" in complaint("migrate", url, tmp_path)
    assert "in memory" in complaint("dashboard", url, tmp_path)


@pytest.mark.parametrize("program", [*PROGRAMS, *OTHERS])
def test_a_mistyped_path_makes_no_file(program: str, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'typo.db'}"
    if program == "migrate":
        url = f"sqlite:///{tmp_path / 'no-folder' / 'typo.db'}"
    assert str(tmp_path) in complaint(program, url, tmp_path)
    assert list(tmp_path.iterdir()) == []


def migrated(template: Path, path: Path) -> None:
    path.write_bytes(template.read_bytes())


def no_database(_: Path, path: Path) -> None:
    path.write_text("Dear diary, " * 1000)


def folder(_: Path, path: Path) -> None:
    path.mkdir()


def newer(template: Path, path: Path) -> None:
    migrated(template, path)
    with closing(sqlite3.connect(path)) as store, store:
        store.execute("UPDATE alembic_version SET version_num = '9999'")


@pytest.mark.parametrize(
    ("make", "why"),
    [(no_database, "not a SQLite database"), (folder, "folder"), (newer, "newer version")],
)
def test_a_file_that_is_no_store_of_ours_is_said_to_be_that(
    program: str,
    make: Callable[[Path, Path], None],
    why: str,
    sqlite_template: Path,
    tmp_path: Path,
) -> None:
    make(sqlite_template, tmp_path / "x.db")
    assert why in complaint(program, f"sqlite:///{tmp_path / 'x.db'}", tmp_path)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """A connection that keeps others from reading too."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA journal_mode=DELETE")
        other.execute("BEGIN EXCLUSIVE")
        yield


def complaints(programs: Iterable[str], url: str, folder: Path) -> list[str]:
    """The same of several programs, which wait for the store at the same time."""
    with ThreadPoolExecutor() as pool:
        return list(pool.map(lambda one: complaint(one, url, folder), programs))


def test_a_file_that_another_process_has_locked_is_said_to_be_that(
    sqlite_template: Path, tmp_path: Path
) -> None:
    path = tmp_path / "x.db"
    migrated(sqlite_template, path)
    with locked(path):
        lines = complaints(PROGRAMS, f"sqlite:///{path}", tmp_path)
    assert ["another process holds" in line for line in lines] == [True] * len(PROGRAMS)


def test_a_file_to_which_another_process_writes_for_long_is_said_to_be_that(
    sqlite_url: str, tmp_path: Path
) -> None:
    engine = open_engine(sqlite_url)
    with write_locked(engine):
        lines = complaints(("serve", "migrate", "prune"), sqlite_url, tmp_path)
    assert ["another process holds" in line for line in lines] == [True] * 3
    engine.dispose()


@pytest.mark.parametrize("program", ["serve", "migrate", "prune"])
def test_a_file_that_cannot_be_written_is_said_to_be_that(
    program: str, sqlite_template: Path, tmp_path: Path
) -> None:
    path = tmp_path / "x.db"
    migrated(sqlite_template, path)
    path.chmod(0o444)
    said = complaint_as_anybody(program, f"sqlite:///{path}", tmp_path)
    assert f"{path} is not writable" in said


def hba_file(server: Postgres) -> Path:
    """The file in which a server configures authentication."""
    engine = open_engine(server.url("postgres"))
    with engine.connect() as connection:
        path = Path(connection.exec_driver_sql("SHOW hba_file").scalar_one())
    engine.dispose()
    return path


@pytest.fixture(scope="module")
def server(postgres_server: Postgres) -> Iterator[OwnPostgres]:
    """A server that requires a password of one user."""
    with own_postgres() as server:
        server.run(f"CREATE ROLE ann LOGIN PASSWORD '{PASSWORD}'")
        hba = hba_file(server)
        hba.write_text(f"local all ann scram-sha-256\n{hba.read_text()}")
        server.run("SELECT pg_reload_conf()")
        yield server


@pytest.mark.parametrize(
    ("user", "password", "database", "why"),
    [
        ("ann", f"x{PASSWORD}", "postgres", "refuses the password of ann"),
        ("ann", PASSWORD, "nowhere", "has no database nowhere"),
        ("bob", PASSWORD, "postgres", "has no role bob"),
    ],
)
def test_a_postgres_that_refuses_the_login_is_said_to(
    server: OwnPostgres, program: str, user: str, password: str, database: str, why: str,
    tmp_path: Path,
) -> None:  # fmt: skip
    url = make_url(server.url(database)).set(username=user, password=password)
    assert why in complaint(program, url.render_as_string(hide_password=False), tmp_path)


@pytest.mark.parametrize("program", [*PROGRAMS, *OTHERS])
def test_a_postgres_that_is_not_there_is_said_to_be_that(program: str, tmp_path: Path) -> None:
    url = f"postgresql://ann:{PASSWORD}@127.0.0.1:1/repboard"
    assert "127.0.0.1:1 cannot be reached" in complaint(program, url, tmp_path)


def test_a_postgres_of_a_newer_version_is_said_to_be_that(
    fresh_store: FreshStore, program: str, tmp_path: Path
) -> None:
    with fresh_store("postgres") as url:
        engine = open_engine(url)
        with engine.begin() as connection:
            connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
        engine.dispose()
        assert "newer version" in complaint(program, url, tmp_path)
