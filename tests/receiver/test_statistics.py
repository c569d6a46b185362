"""The planner's statistics. SQLite has none until `ANALYZE` runs."""

import sqlite3
from pathlib import Path

from sqlalchemy import Engine, make_url

from receiver.readmodels.rebuild import rebuild
from shared.database import analyze, migrate, open_engine
from tests.conftest import FreshStore
from tests.holding import incoming, take, vendor
from tests.running import Receiver, until
from tests.stores import planned_for

SECRET = "secret-one"


def fill(engine: Engine) -> None:
    take(engine, [incoming(f"e-{n}", SECRET) for n in range(20)], vendor(SECRET))


def test_a_migration_counts(empty_store_url: str) -> None:
    engine = open_engine(empty_store_url)
    migrate(engine)
    assert planned_for(engine)["alembic_version"] == 1
    engine.dispose()


def test_a_rebuild_counts(store: Engine) -> None:
    fill(store)
    assert planned_for(store).get("event") != 20
    rebuild(store)
    assert planned_for(store)["event"] == 20


def test_a_running_receiver_counts_by_itself(store: Engine, store_url: str, tmp_path: Path) -> None:
    fill(store)
    with Receiver(store_url, tmp_path, RETENTION_DAYS="0"):
        until(lambda: planned_for(store).get("event") == 20)


def test_a_locked_sqlite_is_left_for_another_time(sqlite_url: str) -> None:
    engine = open_engine(sqlite_url)
    analyze(engine)
    fill(engine)
    other = sqlite3.connect(make_url(sqlite_url).database or "", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert not analyze(engine)
    assert "event" not in planned_for(engine)
    other.close()
    assert analyze(engine)
    assert planned_for(engine)["event"] == 20
    engine.dispose()


def test_postgres_counts_no_empty_table(fresh_store: FreshStore) -> None:
    with fresh_store("postgres") as url:
        engine = open_engine(url)
        fill(engine)
        analyze(engine)
        counted = planned_for(engine)
        assert counted["event"] == 20
        assert "coaching_case" not in counted
        engine.dispose()
