"""From every earlier revision, with data in it, to the newest schema."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, MetaData, insert

from shared.database import is_current, migrate, open_engine, rebuild_is_due
from shared.models import (
    CoachingCase,
    Delivery,
    Learner,
    LearnerStanding,
    Module,
    Quarantine,
    QuarantineTotal,
)
from tests import playing
from tests.running import command
from tests.shared.test_database import differences
from tests.stores import row, rows

V = "mindtickle"
AT = datetime(2025, 11, 3, 9, 20, tzinfo=UTC)
EARLIER = ("0001", "0002")
"""Those after which read models have to be made anew."""


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


def fill(engine: Engine) -> None:
    """An event with what it made of the tables then, a held delivery, a case of coaching."""
    a_delivery(engine, 1, "accepted")
    body = {"event": "module.progress", "companyId": "acme", "data": playing.progress("u-1")}
    put(
        engine, "event", id=1, vendor=V, event_key="e-1", digest="d-1", type="module.progress",
        company_id="acme", user_id="u-1", occurred_at=AT, received_at=AT,
        payload=json.dumps(body), delivery_id=1,
    )  # fmt: skip
    put(
        engine,
        "learner",
        vendor=V,
        user_id="gone",
        email="gone@x.com",
        active=False,
        person="gone@x.com",
    )
    a_delivery(engine, 2, "bad_signature")
    put(
        engine, "quarantine", delivery_id=2, vendor=V, received_at=AT, state="held",
        headers="{}", body=b"{}", kind="well_formed",
    )  # fmt: skip
    put(
        engine, "coaching_case", id=1, vendor=V, user_id="u-1", quiz_id="q-1", status="open",
        owner="lead@x.com", opened_at=AT, opened_by="unknown", updated_at=AT, updated_by="unknown",
        version=1,
    )  # fmt: skip


@pytest.mark.parametrize("revision", [*EARLIER, "0003"])
def test_an_earlier_store_comes_to_the_schema_of_a_new_one_and_keeps_its_rows(
    empty: Engine, revision: str
) -> None:
    migrate(empty, revision)
    fill(empty)
    migrate(empty)
    assert differences(empty) == []
    assert [one.id for one in rows(empty, Delivery)] == [1, 2]
    assert row(empty, Quarantine).body == b"{}"
    case = row(empty, CoachingCase)
    assert (case.owner, case.status, case.version) == ("lead@x.com", "open", 1)


def test_what_was_held_before_there_were_caps_is_counted(empty: Engine) -> None:
    migrate(empty, "0001")
    fill(empty)
    migrate(empty)
    assert (row(empty, QuarantineTotal).held, row(empty, QuarantineTotal).held_bytes) == (1, 4)


@pytest.mark.parametrize("revision", EARLIER)
def test_the_command_makes_new_read_models_from_the_events_that_are_there(
    empty: Engine, empty_store_url: str, tmp_path: Path, revision: str
) -> None:
    migrate(empty, revision)
    fill(empty)
    ended = command("migrate", folder=tmp_path, DATABASE_URL=empty_store_url)
    assert (ended.returncode, ended.stdout) == (0, "Rebuilt from 1 events.\n")
    assert is_current(empty)
    learner = row(empty, Learner)
    assert (learner.user_id, learner.person) == ("u-1", "mindtickle u-1")
    assert row(empty, LearnerStanding).slot == AT.replace(minute=15)
    assert row(empty, Module).module_name == playing.progress("u-1")["moduleName"]


def test_a_store_whose_read_models_are_not_made_anew_yet_is_not_current(empty: Engine) -> None:
    migrate(empty, "0002")
    fill(empty)
    migrate(empty)
    assert not is_current(empty)


def test_a_store_without_events_has_nothing_to_make_anew(empty: Engine) -> None:
    migrate(empty, "0002")
    migrate(empty)
    with empty.connect() as connection:
        assert not rebuild_is_due(connection)
    assert is_current(empty)
