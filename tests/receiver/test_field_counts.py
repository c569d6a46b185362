"""The fields of events are counted once each, within bounds, on both stores."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, update

from receiver import field_counts
from receiver.erase import erase_person
from receiver.field_counts import FieldCounts, is_datum
from receiver.readmodels.rebuild import rebuild
from receiver.vendors import vendor_facts
from shared.bulk import table_of
from shared.checklist import Counting, Seen
from shared.database import open_engine
from shared.models import Checkpoint, Event, FieldHourly, Learner
from shared.queries import fields
from shared.queries.fields import drifted, stopped_types
from shared.stopped import Stopped
from tests import playing
from tests.conftest import FreshStore
from tests.receiver.vendor_cases import settings
from tests.running import Receiver
from tests.stores import follow, rows
from tests.waiting import until

pytestmark = pytest.mark.parametrize("kind", ["sqlite", "postgres"])
HOUR = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=2)
READ = {slug: one.fields for slug, one in vendor_facts(settings()).items()}


@contextmanager
def store(fresh_store: FreshStore, kind: str) -> Iterator[Engine]:
    with fresh_store(kind) as url:
        engine = open_engine(url)
        yield engine
        engine.dispose()


def put(
    engine: Engine,
    count: int = 1,
    *,
    at: datetime = HOUR,
    type_: str = "module.progress",
    **data: Any,
) -> None:
    """Stored events that arrived at a time."""
    with engine.begin() as connection:
        connection.execute(
            table_of(Event).insert(),
            [
                {
                    "vendor": "mindtickle",
                    "event_key": playing.new_id(),
                    "digest": playing.new_id(),
                    "type": type_,
                    "user_id": "u-1",
                    "occurred_at": at,
                    "received_at": at,
                    "delivery_id": 1,
                    "payload": json.dumps({"event": type_, "data": data}),
                }
                for _ in range(count)
            ],
        )
    follow(engine)


def counted(engine: Engine) -> dict[tuple[str, str], int]:
    found: dict[tuple[str, str], int] = {}
    for one in rows(engine, FieldHourly):
        key = (one.field, one.shape)
        found[key] = found.get(key, 0) + one.events
    return found


def count(engine: Engine, counts: FieldCounts | None = None) -> None:
    counts = counts or FieldCounts(engine, READ)
    while counts.carry_out():
        pass


def test_each_field_counts_with_its_shape(kind: str, fresh_store: FreshStore) -> None:
    with store(fresh_store, kind) as engine:
        put(engine, 2, userId="u-1", progressPct=5, extra={"deep": [1]}, flag=True, none=None)
        put(engine, userId=7)
        count(engine)
        assert counted(engine) == {
            ("", ""): 3,
            ("event", "text"): 3,
            ("data.userId", "text"): 2,
            ("data.userId", "number"): 1,
            ("data.progressPct", "number"): 2,
            ("data.extra.deep", "list"): 2,
            ("data.flag", "flag"): 2,
            ("data.none", "null"): 2,
        }


def test_neither_a_rebuild_nor_another_receiver_counts_an_event_twice(
    kind: str, fresh_store: FreshStore
) -> None:
    with store(fresh_store, kind) as engine:
        put(engine, 3, userId="u-1", moduleId="m-1", progressPct=5)
        first, second = FieldCounts(engine, READ), FieldCounts(engine, READ)
        count(engine, first)
        once = counted(engine)
        with engine.begin() as connection:
            connection.execute(update(table_of(Checkpoint)).values(event_id=0, newest_id=0))
        follow(engine)
        rebuild(engine)
        count(engine, first)
        count(engine, second)
        assert counted(engine) == once
        put(engine, userId="u-1")
        count(engine, second)
        count(engine, first)
        assert counted(engine)["", ""] == 4


def test_names_of_fields_are_bounded_and_those_that_are_read_always_count(
    kind: str, fresh_store: FreshStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(field_counts, "MAX_FIELDS", 5)
    with store(fresh_store, kind) as engine:
        hostile = {"x" * 100: 1, "a\nb": 1, "a\0b": 1, "<b>": 1, "\ud800": 1}
        put(engine, **hostile, **{f"f{n:02}": n for n in range(50)})
        put(engine, userId="u-1", another=1)
        count(engine)
        names = {name for name, _ in counted(engine)}
        assert "data.userId" in names
        assert "data.another" not in names
        assert len(names) == 7
        assert all(name.isprintable() and len(name) <= 80 for name in names)


def test_a_name_that_is_a_persons_datum_counts_as_a_star(
    kind: str, fresh_store: FreshStore
) -> None:
    with store(fresh_store, kind) as engine:
        put(engine, scores={"dana@acme.example": 40, "paul@acme.example": {"pct": 1}, "7": 2})
        put(engine, scores={"u-20418": {"pct": 1}, "ref1": 5})
        count(engine)
        assert {name for name, _ in counted(engine) if name.startswith("data.")} == {
            "data.scores.*", "data.scores.*.pct", "data.scores.ref1"
        }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "expected"),
    [("dana@acme.example", True), ("mailto:dana%40acme.example", True), ("7", True),
     ("2025-11-22", True), ("+49 30 12", True), ("u-20418", True), ("9f1c-77ab", True),
     ("x" * 41, True), ("moduleName", False), ("ref1", False), ("address_line_2", False),
     ("How likely are you to recommend this course to others", False), ("", False), ("<b>", False)],
)  # fmt: skip
def test_which_names_are_data(kind: str, name: str, expected: bool) -> None:
    assert is_datum(name) is expected


def test_a_field_that_is_read_keeps_its_name(kind: str, fresh_store: FreshStore) -> None:
    with store(fresh_store, kind) as engine:
        put(engine, q_20250={"score": 1}, q_20251={"score": 1})
        read = {"mindtickle": {"module.progress": ["data.q_20250.score"]}}
        count(engine, FieldCounts(engine, read))
        names = {name for name, _ in counted(engine)}
        assert {"data.q_20250.score", "data.*.score"} <= names


def test_erasing_a_person_removes_the_fields_named_after_them(
    kind: str, fresh_store: FreshStore
) -> None:
    with store(fresh_store, kind) as engine:
        put(engine, userId="u-1", moduleId="m-1", progressPct=5, **{"by": {"u-1": 5, "u-10": 5}})
        count(engine)
        with engine.begin() as connection:  # as an earlier version counted it
            row = {"vendor": "other", "event_type": "t", "hour": HOUR, "shape": "text", "events": 1}
            names = (
                "a.Dana@acme.example",
                "a.dana@acme.example.b",
                "a.jordana@acme.example",
                "u-1",
            )
            rows_ = [row | {"field": name} for name in names]
            connection.execute(table_of(FieldHourly).insert(), rows_)
            learner = {"vendor": "mindtickle", "user_id": "u-1", "email": "dana@acme.example"}
            connection.execute(update(table_of(Learner)).values(learner))
        erase_person(engine, email="dana@acme.example")
        names = {name for name, _ in counted(engine)}
        assert {"data.by.u-10", "a.jordana@acme.example", "u-1"} <= names
        assert not names & {"data.by.u-1", "a.Dana@acme.example", "a.dana@acme.example.b"}


def test_a_type_beyond_the_bound_is_not_counted(
    kind: str, fresh_store: FreshStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(field_counts, "MAX_TYPES", 0)
    with store(fresh_store, kind) as engine:
        put(engine, userId="u-1")
        count(engine)
        assert counted(engine) == {}


def test_a_missing_field_is_found_in_the_store(kind: str, fresh_store: FreshStore) -> None:
    with store(fresh_store, kind) as engine:
        put(engine, 60, at=HOUR - timedelta(days=1), moduleName="Calls", userId="u-1")
        put(engine, 10, moduleName="Calls", userId="u-1")
        put(engine, 15, userId="u-1")
        count(engine)
        vendor = vendor_facts(settings())["mindtickle"]
        with engine.connect() as connection:
            (one,) = drifted(connection, vendor, datetime.now(UTC))
        assert (one.field, one.now, one.differ, one.events) == ("data.moduleName", None, 15, 25)
        assert (one.since, one.is_read) == (HOUR, True)


def test_an_event_type_that_no_longer_arrives_is_found_in_the_store(
    kind: str, fresh_store: FreshStore
) -> None:
    with store(fresh_store, kind) as engine:
        for day in range(1, 9):
            put(engine, 20, at=HOUR - timedelta(days=day), userId="u-1")
            if day > 1:
                put(engine, 20, type_="quiz.submitted", at=HOUR - timedelta(days=day))
            put(engine, 20, type_="made.up", at=HOUR - timedelta(days=9))
        put(engine, 20, userId="u-1")
        count(engine)
        vendor = vendor_facts(settings())["mindtickle"]
        with engine.connect() as connection:
            (one,) = stopped_types(connection, vendor, datetime.now(UTC))
        assert one == Stopped("quiz.submitted", HOUR - timedelta(days=2), 40.0)


def test_how_far_events_are_counted_is_known(
    kind: str, fresh_store: FreshStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fields, "BEHIND", 0)
    with store(fresh_store, kind) as engine:

        def seen() -> Seen:
            with engine.connect() as connection:
                return fields.types_seen(connection, "mindtickle", datetime.now(UTC))

        assert seen() == Seen({}, Counting.DONE)
        put(engine, userId="u-1")
        assert seen() == Seen({}, Counting.NOT_BEGUN)
        counts = FieldCounts(engine, READ)
        counts.carry_out()  # begins
        assert seen() == Seen({}, Counting.RUNNING)
        count(engine, counts)
        assert seen() == Seen({"module.progress": HOUR}, Counting.DONE)


def test_old_counts_are_removed(kind: str, fresh_store: FreshStore) -> None:
    with store(fresh_store, kind) as engine:
        put(engine, at=HOUR - timedelta(days=20), userId="u-1")
        count(engine)
        assert counted(engine)
        count(engine)
        assert counted(engine) == {}


def test_of_two_receivers_that_read_the_same_events_one_counts_them(
    kind: str, fresh_store: FreshStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    with store(fresh_store, kind) as engine:
        put(engine, 3, userId="u-1")
        slow, quick = FieldCounts(engine, READ), FieldCounts(engine, READ)
        slow.carry_out()  # begins
        read = slow._rows

        def overtaken(batch: Any) -> Any:
            count(engine, quick)
            return read(batch)

        monkeypatch.setattr(slow, "_rows", overtaken)
        slow.carry_out()
        assert counted(engine)["", ""] == 3


def test_a_running_receiver_counts(kind: str, fresh_store: FreshStore, tmp_path: Path) -> None:
    with fresh_store(kind) as url, Receiver(url, tmp_path) as receiver:
        receiver.deliver("module.progress", playing.progress())
        until(lambda: ("data.userId", "text") in counted(receiver.engine))
