"""Deliveries and their outcomes, over small tables worked out by hand."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Connection, Engine

from shared.audit import note
from shared.queries import catalog, deliveries
from shared.queries.deliveries import Search
from shared.queries.windows import first_hour
from tests.shared import tables
from tests.shared.tables import NOON, V

HOUR = timedelta(hours=1)
OLD = NOON - 30 * HOUR
SINCE = NOON - 24 * HOUR


@pytest.fixture
def connection(store: Engine) -> Iterator[Connection]:
    with store.connect() as connection:
        yield connection


def test_deliveries_add_up_by_hour_and_outcome(store: Engine, connection: Connection) -> None:
    tables.hours(
        store,
        (OLD, "accepted", 99),
        (SINCE, "accepted", 5),
        (NOON, "bad_signature", 1),
        (NOON, "accepted", 2),
    )
    rows = deliveries.by_hour(connection, SINCE, None)
    assert [tuple(row) for row in rows] == [
        (SINCE, "accepted", 5),
        (NOON, "accepted", 2),
        (NOON, "bad_signature", 1),
    ]


def test_accepted_counts_duplicates_and_no_failures(store: Engine, connection: Connection) -> None:
    tables.hours(
        store,
        (OLD, "accepted", 99),
        (NOON, "accepted", 10),
        (NOON, "duplicate", 3),
        (NOON, "unreadable", 2),
        (NOON, "bad_signature", 1),
    )
    totals = deliveries.totals(connection, SINCE, V)
    assert (totals.all, totals.accepted) == (16, 13)


def test_another_vendor_has_deliveries_of_its_own(store: Engine, connection: Connection) -> None:
    tables.deliveries(store, {"outcome": "bad_signature"})
    assert deliveries.by_hour(connection, SINCE, "lessonly") == []
    assert tuple(deliveries.totals(connection, SINCE, "lessonly")) == (0, 0)
    assert deliveries.causes(connection, SINCE, "lessonly") == []
    assert deliveries.search(connection, Search(SINCE, vendor="lessonly")) == []
    assert deliveries.last(connection, "lessonly") is None


def test_the_last_delivery_is_of_any_outcome(store: Engine, connection: Connection) -> None:
    later = NOON + HOUR
    tables.deliveries(store, {}, {"received_at": later, "outcome": "bad_signature"})
    assert deliveries.last(connection, None) == deliveries.last(connection, V) == later


def test_failures_are_grouped_by_cause_with_the_latest_reason_and_the_most_frequent_first(
    store: Engine, connection: Connection
) -> None:
    bad = {"outcome": "bad_signature"}
    tables.deliveries(
        store,
        {"outcome": "stale_timestamp", "reason": "zzz, signed 2 days ago"},
        bad | {"received_at": NOON + HOUR, "reason": "a: the latest"},
        bad | {"reason": "z: an older one"},
        bad | {"received_at": OLD, "reason": "before the window"},
        {"outcome": "accepted"},
        {"outcome": "duplicate"},
    )
    causes = deliveries.causes(connection, SINCE, None)
    assert [tuple(row) for row in causes] == [
        ("bad_signature", "a: the latest", 2, NOON, NOON + HOUR),
        ("stale_timestamp", "zzz, signed 2 days ago", 1, NOON, NOON),
    ]


def test_a_cause_whose_latest_failure_has_no_reason_gives_none(
    store: Engine, connection: Connection
) -> None:
    tables.deliveries(
        store,
        {"outcome": "bad_signature", "reason": "an older one"},
        {"outcome": "bad_signature", "received_at": NOON + HOUR},
    )
    (cause,) = deliveries.causes(connection, SINCE, None)
    assert cause.reason is None


def test_the_failed_list_says_whether_each_event_is_recovered(
    store: Engine, connection: Connection
) -> None:
    tables.deliveries(
        store,
        {"outcome": "bad_signature", "status_code": 403, "event_key": "came-later"},
        {"outcome": "bad_signature", "status_code": 403, "event_key": "never-came"},
        {"outcome": "too_large", "status_code": 413, "event_key": None},
        {"outcome": "accepted", "event_key": "came-later", "received_at": NOON + HOUR},
        {"outcome": "bad_signature", "event_key": "old", "received_at": OLD},
    )
    tables.event(store, "came-later", delivery_id=4)
    rows = deliveries.search(connection, Search(SINCE))
    assert [(row.id, row.status_code, row.event_key, bool(row.recovered)) for row in rows] == [
        (3, 413, None, False),
        (2, 403, "never-came", False),
        (1, 403, "came-later", True),
    ]


def test_the_failed_list_can_be_limited_to_an_outcome_and_a_length_the_latest_first(
    store: Engine, connection: Connection
) -> None:
    tables.deliveries(
        store,
        {"outcome": "bad_signature", "received_at": NOON + HOUR},
        {"outcome": "bad_signature"},
        {"outcome": "unreadable"},
    )
    of_one = deliveries.search(connection, Search(SINCE, outcome="bad_signature"))
    assert [row.id for row in of_one] == [1, 2]
    assert [row.id for row in deliveries.search(connection, Search(SINCE), limit=1)] == [1]


def test_the_version_of_the_store_moves_with_every_event_delivery_and_note(
    store: Engine, connection: Connection
) -> None:
    assert catalog.version(connection) == (0, 0, 0)
    tables.deliveries(store, {}, {})
    with store.connect() as later:
        assert catalog.version(later) == (0, 2, 0)
    tables.event(store, "one", delivery_id=2)
    with store.connect() as later:
        assert catalog.version(later) == (1, 2, 0)
    with store.begin() as later:
        note(later, "lead", "coaching", None, "flagged")
        assert catalog.version(later) == (1, 2, 1)


@pytest.mark.parametrize(
    ("window", "start"),
    [
        ("24h", datetime(2025, 11, 21, 12, tzinfo=UTC)),
        ("7d", datetime(2025, 11, 15, 0, tzinfo=UTC)),
        ("30d", datetime(2025, 10, 23, 0, tzinfo=UTC)),
    ],
)
def test_a_window_of_deliveries_starts_at_a_full_hour_or_day(window: str, start: datetime) -> None:
    assert first_hour(window, NOON + timedelta(minutes=34, seconds=5)) == start


@pytest.mark.parametrize("outcome", ["accepted", "duplicate", "bad_signature", "too_large"])
def test_only_a_duplicate_shows_the_payload_of_the_event_whose_id_it_claims(
    store: Engine, connection: Connection, outcome: str
) -> None:
    tables.deliveries(store, {"event_key": "e-1"}, {"event_key": "e-1", "outcome": outcome})
    tables.event(store, "e-1", delivery_id=2 if outcome == "accepted" else 1)
    found = deliveries.detail(connection, 2)
    assert found is not None
    brought = {"accepted": ("{}", 2), "duplicate": ("{}", 1)}
    assert (found.payload, found.brought_by) == brought.get(outcome, (None, None))
