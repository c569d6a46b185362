"""The schema, the way to it, and times through it."""

import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, delete, insert, inspect
from sqlalchemy.exc import IntegrityError

from shared.bulk import insert_rows, table_of, upsert
from shared.database import is_current, migrate, open_engine
from shared.models import AuditLog, Heartbeat, Quarantine, Table
from tests.running import command
from tests.stores import row


@pytest.fixture
def empty(empty_store_url: str) -> Iterator[Engine]:
    engine = open_engine(empty_store_url)
    yield engine
    engine.dispose()


def in_sql(column_type: Any, engine: Engine) -> str:
    """The type as this store calls it; of two names for one type the same."""
    name = str(column_type.compile(engine.dialect))
    return name.replace("VARCHAR", "TEXT").replace("FLOAT", "DOUBLE PRECISION")


def differences(engine: Engine) -> list[Any]:
    """What of the schema is not as the models say."""

    def other_type(
        _context: Any, _column: Any, _model_column: Any, found: Any, wanted: Any
    ) -> bool:
        found, wanted = (in_sql(one, engine) for one in (found, wanted))
        return bool(found != wanted)

    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": other_type})
        return list(compare_metadata(context, Table.metadata))


def test_an_empty_store_is_migrated_to_exactly_the_tables_of_the_models(store: Engine) -> None:
    assert differences(store) == []
    assert is_current(store)


def test_the_comparison_of_schemas_sees_a_changed_type(store: Engine) -> None:
    wanted = table_of(Quarantine).c.body.type
    try:
        table_of(Quarantine).c.body.type = table_of(Quarantine).c.state.type
        assert [change[0][0] for change in differences(store)] == ["modify_type"]
    finally:
        table_of(Quarantine).c.body.type = wanted


def test_the_indexes_of_failed_deliveries_hold_only_those(store: Engine) -> None:
    indexes = {one["name"]: one for one in inspect(store).get_indexes("delivery")}
    options = indexes["delivery_failed"]["dialect_options"]
    assert "outcome" in str(options[f"{store.dialect.name}_where"])


def test_a_store_without_tables_is_not_current(empty: Engine) -> None:
    assert not is_current(empty)


def test_migrating_again_keeps_everything(store: Engine) -> None:
    with store.begin() as connection:
        connection.execute(insert(table_of(AuditLog)).values(at=NOON, actor="a", action="b"))
    migrate(store)
    assert row(store, AuditLog).actor == "a"


def test_two_processes_may_migrate_one_store_at_once(empty_store_url: str, tmp_path: Path) -> None:
    def migrate_it() -> tuple[int, str]:
        ended = command("migrate", folder=tmp_path, DATABASE_URL=empty_store_url)
        return ended.returncode, ended.stderr

    with ThreadPoolExecutor() as pool:
        both = [pool.submit(migrate_it) for _ in range(2)]
    assert [one.result() for one in both] == [(0, "")] * 2
    engine = open_engine(empty_store_url)
    assert differences(engine) == []
    engine.dispose()


def test_opening_a_new_sqlite_store_waits_for_another_process_that_is_writing(
    tmp_path: Path,
) -> None:
    path = tmp_path / "new.db"
    engine = open_engine(f"sqlite:///{path}")
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with ThreadPoolExecutor(1) as pool:
        opened = pool.submit(engine.connect)
        wait([opened], timeout=0.3)
        other.close()
        opened.result().close()
    engine.dispose()


NOON = datetime(2025, 11, 22, 12, 0, 0, 123_456, tzinfo=UTC)
AMSTERDAM = timezone(timedelta(hours=1))


@pytest.mark.parametrize("at", [NOON, NOON.astimezone(AMSTERDAM)])
def test_a_time_comes_back_aware_and_in_utc(store: Engine, at: datetime) -> None:
    with store.begin() as connection:
        connection.execute(
            insert(table_of(Heartbeat)).values(receiver="one", started_at=at, seen_at=at)
        )
    seen_at = row(store, Heartbeat).seen_at
    assert seen_at == NOON
    assert seen_at.tzinfo is UTC


@pytest.mark.parametrize("at", [NOON, NOON.astimezone(AMSTERDAM), NOON.replace(microsecond=0)])
def test_a_time_written_in_bulk_is_the_same_as_one_written_alone(
    store: Engine, at: datetime
) -> None:
    with store.begin() as connection:
        table = table_of(Heartbeat)
        statement = insert_rows(store.dialect.name, Heartbeat, table.columns.keys())
        upsert(connection, statement, [("bulk", at, at)], key_columns=1)
        connection.execute(insert(table).values(receiver="alone", started_at=at, seen_at=at))
        assert connection.execute(
            delete(table).where(table.c.seen_at == at).returning(table.c.receiver)
        ).scalars().all() in (["bulk", "alone"], ["alone", "bulk"])


def test_rows_written_in_bulk_keep_their_order(store: Engine) -> None:
    table = table_of(AuditLog)
    columns = ("at", "actor", "action")
    statement = insert_rows(store.dialect.name, AuditLog, columns)
    with store.begin() as connection:
        upsert(connection, statement, [(NOON, "x", str(n)) for n in range(1)], key_columns=3)
        upsert(connection, statement, [(NOON, "x", f"{n:03}") for n in range(100)], key_columns=3)
        actions = connection.scalars(
            table.select().with_only_columns(table.c.action).order_by("id")
        )
        assert actions.all()[1:] == [f"{n:03}" for n in range(100)]


def test_a_quarantined_body_cannot_outlive_its_delivery_row(store: Engine) -> None:
    orphan = {"delivery_id": 1, "vendor": "x", "received_at": NOON, "state": "held"}
    with store.begin() as connection, pytest.raises(IntegrityError):
        connection.execute(insert(table_of(Quarantine)).values(**orphan, headers="{}", body=b""))
