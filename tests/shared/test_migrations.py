"""From every earlier revision, with data in it, to the newest schema."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import Column, Connection, Engine, MetaData, Table, insert, select

from shared import models
from shared.database import MIGRATIONS, is_current, migrate, open_engine, rebuild_is_due
from shared.models import (
    CoachingCase,
    CourseCompletion,
    Delivery,
    DeliveryHourly,
    Event,
    Learner,
    LearnerStanding,
    Module,
    QuarantineTotal,
    QuizThreshold,
)
from shared.sqlite_file import create_file
from tests import playing
from tests.conftest import Postgres
from tests.running import command
from tests.shared.schema import schema_of
from tests.stores import row, rows

V = "mindtickle"
AT = datetime(2025, 11, 3, 9, 20, tzinfo=UTC)
EARLIER = sorted(
    one.revision for one in ScriptDirectory(str(MIGRATIONS)).walk_revisions() if not one.is_head
)
BEFORE_STANDINGS = ("0001", "0002")
REMOVED = {
    "module_progress_daily": None,
    "quiz_standing": {"first_pct", "previous_pct"},
}
"""What a later revision drops: of a table these columns, or all of it."""


@pytest.fixture
def empty(empty_store_url: str) -> Iterator[Engine]:
    engine = open_engine(empty_store_url)
    yield engine
    engine.dispose()


def put(engine: Engine, table: str, **values: Any) -> None:
    """A row into a table as it is at the revision that the store has."""
    found = MetaData()
    found.reflect(engine, only=[table])
    known = found.tables[table].c
    with engine.begin() as connection:
        connection.execute(
            insert(found.tables[table]).values(
                {name: value for name, value in values.items() if name in known}
            )
        )


def a_delivery(engine: Engine, number: int, outcome: str) -> None:
    put(
        engine, "delivery", id=number, vendor=V, received_at=AT, event_key=f"e-{number}",
        event_type="module.progress", outcome=outcome, status_code=200, duration_ms=1.0,
        body_bytes=2,
    )  # fmt: skip


def fill(engine: Engine, number: int = 0) -> None:
    """An event with what it made of the tables then, a held delivery, a case of coaching."""
    accepted, held, user = 2 * number + 1, 2 * number + 2, f"u-{number}"
    a_delivery(engine, accepted, "accepted")
    body = {"event": "module.progress", "companyId": "acme", "data": playing.progress(user)}
    put(
        engine, "event", id=accepted, vendor=V, event_key=f"e-{accepted}", digest=f"d-{accepted}",
        type="module.progress", company_id="acme", user_id=user, occurred_at=AT, received_at=AT,
        payload=json.dumps(body), delivery_id=accepted,
    )  # fmt: skip
    gone = f"gone-{number}@x.com"
    put(engine, "learner", vendor=V, user_id=gone, email=gone, active=False, person=gone)
    a_delivery(engine, held, "bad_signature")
    put(
        engine, "quarantine", delivery_id=held, vendor=V, received_at=AT, state="held",
        headers="{}", body=b"{}", kind="well_formed",
    )  # fmt: skip
    put(
        engine, "coaching_case", id=accepted, vendor=V, user_id=user, quiz_id="q-1", status="open",
        owner="lead@x.com", opened_at=AT, opened_by="unknown", updated_at=AT, updated_by="unknown",
        version=1,
    )  # fmt: skip


@pytest.fixture
def of_models(empty: Engine, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """A store of the same kind with the tables as the models say, made without any migration."""
    with ExitStack() as opened:
        url = f"sqlite:///{tmp_path / 'models.db'}"
        if empty.dialect.name == "postgresql":
            server: Postgres = request.getfixturevalue("postgres_server")
            url = opened.enter_context(server.database())
        engine = open_engine(url)
        opened.callback(engine.dispose)
        if engine.dialect.name == "sqlite":
            create_file(engine.url)
        models.Table.metadata.create_all(engine)
        yield engine


def tables(engine: Engine) -> list[Table]:
    """As they are at the revision that the store has, parents before children."""
    found = MetaData()
    found.reflect(engine)
    return [table for table in found.sorted_tables if table.name != "alembic_version"]


def something(column: Column[Any], number: int) -> Any:
    """A value that the column can have, and that the row of another number has not."""
    at = AT + timedelta(days=number)
    by_type = {int: number, float: 1.5, bool: True, bytes: b"x", datetime: at, date: at.date()}
    return by_type.get(column.type.python_type, f"some {column.name} {number}")


def put_something(engine: Engine, number: int) -> dict[str, dict[str, Any]]:
    """A row into every table. By table, what of it later revisions keep."""
    put_in: dict[str, dict[str, Any]] = {}
    with engine.begin() as connection:
        for table in tables(engine):
            row = {column.name: something(column, number) for column in table.c}
            connection.execute(insert(table).values(row))
            if (gone := REMOVED.get(table.name, set())) is not None:
                put_in[table.name] = {name: row[name] for name in row.keys() - gone}
    return put_in


def has(connection: Connection, table: Table, row: dict[str, Any]) -> bool:
    return bool(connection.execute(select(table).filter_by(**row)).all())


def test_rows_of_every_table_of_every_earlier_store_come_to_the_schema_of_the_models(
    empty: Engine, of_models: Engine
) -> None:
    put_in = {}
    for number, revision in enumerate(EARLIER):
        migrate(empty, revision)
        fill(empty, number)
        put_in[revision] = put_something(empty, 1000 + number)
    migrate(empty)
    assert schema_of(empty) == schema_of(of_models)
    now = {table.name: table for table in tables(empty)}
    with empty.connect() as connection:
        lost = [
            (revision, name)
            for revision, rows_of_revision in put_in.items()
            for name, row in rows_of_revision.items()
            if not has(connection, now[name], row)
        ]
    assert lost == []


def test_a_case_of_coaching_from_before_rounds_is_a_first_round(empty: Engine) -> None:
    migrate(empty, "0002")
    fill(empty)
    migrate(empty)
    case = row(empty, CoachingCase)
    assert (case.owner, case.status, case.version) == ("lead@x.com", "open", 1)


def test_what_was_held_before_there_were_caps_is_counted(empty: Engine) -> None:
    migrate(empty, "0001")
    fill(empty)
    migrate(empty)
    assert (row(empty, QuarantineTotal).held, row(empty, QuarantineTotal).held_bytes) == (1, 4)


def test_earlier_deliveries_are_told_apart_by_what_was_held_of_them_or_by_their_outcome(
    empty: Engine,
) -> None:
    migrate(empty, "0007")
    outcomes = {1: "accepted", 2: "bad_signature", 3: "bad_signature", 4: "bad_signature",
                5: "missing_credentials", 6: "unreadable", 7: "stale_timestamp",
                8: "too_large"}  # fmt: skip
    for number, outcome in outcomes.items():
        a_delivery(empty, number, outcome)
    for number, kind in ((2, "well_formed"), (3, "junk"), (6, "authentic")):
        put(
            empty, "quarantine", delivery_id=number, vendor=V, received_at=AT, state="held",
            headers="{}", body=b"{}", kind=kind,
        )  # fmt: skip
    migrate(empty)
    strangers = [one.id for one in rows(empty, Delivery) if one.sender == "stranger"]
    assert strangers == [3, 4, 5]


def test_earlier_hours_count_strangers_apart(empty: Engine) -> None:
    migrate(empty, "0007")
    hour = AT.replace(minute=0)
    a_delivery(empty, 1, "bad_signature")  # nothing is held of it: a stranger's
    for outcome, number in (("accepted", 9), ("bad_signature", 4), ("missing_credentials", 3)):
        put(
            empty, "delivery_hourly", vendor=V, hour=hour, outcome=outcome, deliveries=number
        )  # fmt: skip
    migrate(empty)
    counted = {(one.outcome, one.sender): one.deliveries for one in rows(empty, DeliveryHourly)}
    assert counted == {
        ("accepted", "vendor"): 9,
        ("bad_signature", "stranger"): 1,
        ("bad_signature", "vendor"): 3,
        ("missing_credentials", "stranger"): 3,
    }
    assert {one.hour for one in rows(empty, DeliveryHourly)} == {hour}


@pytest.mark.parametrize("revision", BEFORE_STANDINGS)
def test_the_command_makes_new_read_models_from_the_events_that_are_there(
    empty: Engine, empty_store_url: str, tmp_path: Path, revision: str
) -> None:
    migrate(empty, revision)
    fill(empty)
    ended = command("migrate", folder=tmp_path, DATABASE_URL=empty_store_url)
    assert (ended.returncode, ended.stdout) == (0, "Rebuilt from 1 events.\n")
    assert is_current(empty)
    learner = row(empty, Learner)
    assert (learner.user_id, learner.person) == ("u-0", "mindtickle u-0")
    assert row(empty, LearnerStanding).slot == AT.replace(minute=15)
    assert row(empty, Module).module_name == playing.progress()["moduleName"]


def test_ids_with_blanks_and_times_from_the_future_are_set_right_by_a_rebuild(
    empty: Engine, empty_store_url: str, tmp_path: Path
) -> None:
    migrate(empty, "0005")
    with empty.begin() as connection:
        table = next(one for one in tables(empty) if one.name == "event")
        body = playing.body_of("course.completed", {"userId": "u-1\n", "courseId": "c-1"})
        values = {c.name: something(c, 1) for c in table.c} | {
            "vendor": V, "type": "course.completed", "user_id": "u-1\n", "payload": body.decode(),
            "occurred_at": AT.replace(year=2031), "received_at": AT,
        }  # fmt: skip
        connection.execute(insert(table).values(values))
    command("migrate", folder=tmp_path, DATABASE_URL=empty_store_url)
    assert row(empty, Event).user_id == row(empty, Learner).user_id == "u-1"
    assert row(empty, CourseCompletion).completed_at == AT


def test_ids_with_blanks_in_coaching_and_thresholds_are_those_of_the_read_models(
    empty: Engine,
) -> None:
    migrate(empty, "0020")
    usual = {"vendor": V, "opened_by": "unknown", "updated_by": "unknown", "version": 1,
             "updated_at": AT}  # fmt: skip
    cases = [("u-1 ", "q-1", "open"), ("u-1", "q-1\u200b", "in_progress"), ("\tu-2", "q-1", "open"),
             ("u-1", " q-1", "resolved")]  # fmt: skip
    for number, (user, quiz, status) in enumerate(cases):
        put(empty, "coaching_case", **usual, id=number, user_id=user, quiz_id=quiz, status=status,
            opened_at=AT + timedelta(days=number))  # fmt: skip
    for quiz, pct in (("q-1", 80.0), ("q-1\xa0", 60.0), (" q-2", 50.0), ("q-2 ", 50.0)):
        put(empty, "quiz_threshold", vendor=V, quiz_id=quiz, threshold_pct=pct)
    migrate(empty)
    stored = {one.id: (one.user_id, one.quiz_id, one.status) for one in rows(empty, CoachingCase)}
    assert stored == {
        0: ("u-1", "q-1", "dismissed"),
        1: ("u-1", "q-1", "in_progress"),
        2: ("u-2", "q-1", "open"),
        3: ("u-1", "q-1", "resolved"),
    }
    thresholds = {one.quiz_id: one.threshold_pct for one in rows(empty, QuizThreshold)}
    assert thresholds == {"q-1": 80, "q-2": 50}


def test_a_store_whose_read_models_are_not_rebuilt_yet_is_not_current(empty: Engine) -> None:
    migrate(empty, "0002")
    fill(empty)
    migrate(empty)
    assert not is_current(empty)


def test_a_store_without_events_has_nothing_to_rebuild(empty: Engine) -> None:
    migrate(empty, "0002")
    migrate(empty)
    with empty.connect() as connection:
        assert not rebuild_is_due(connection)
    assert is_current(empty)
