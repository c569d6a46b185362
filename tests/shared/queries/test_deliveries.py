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


def test_the_totals_of_a_period_that_is_over_end_with_it(
    store: Engine, connection: Connection
) -> None:
    tables.hours(store, (SINCE, "accepted", 5), (NOON, "accepted", 10))
    assert deliveries.totals(connection, SINCE, V, NOON).all == 5


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


def test_the_latest_delivery_of_a_vendor_has_its_outcome(
    store: Engine, connection: Connection
) -> None:
    refused = {"received_at": NOON, "outcome": "bad_signature"}
    tables.deliveries(store, {"received_at": NOON - HOUR}, refused, {"vendor": "other"})
    assert deliveries.latest(connection, V) == (NOON, "bad_signature")
    assert deliveries.latest(connection, "silent") is None


def test_each_vendor_has_its_hours(store: Engine, connection: Connection) -> None:
    tables.deliveries(
        store,
        {"received_at": OLD},
        {"received_at": NOON},
        {"received_at": NOON, "outcome": "duplicate"},
        {"received_at": NOON, "outcome": "too_large"},
        {"received_at": NOON, "vendor": "other"},
    )
    assert deliveries.hours_by_vendor(connection, SINCE) == [
        (V, NOON, 2, 3),
        ("other", NOON, 1, 1),
    ]


def test_failures_are_grouped_by_vendor_and_outcome_with_their_commonest_reason(
    store: Engine, connection: Connection
) -> None:
    bad = {"outcome": "bad_signature", "held_as": None}
    later = NOON + HOUR
    tables.deliveries(
        store,
        bad | {"event_key": "e-1", "reason": "common"},
        bad | {"event_key": "e-1", "reason": "common", "received_at": later},
        bad | {"event_key": "e-2", "reason": "the latest", "received_at": later + HOUR},
        bad | {"event_key": "e-3", "reason": "before the window", "received_at": OLD},
        bad | {"vendor": "lessonly", "reason": "another vendor's"},
        {"outcome": "stale_timestamp", "reason": None, "held_as": None},
        {"outcome": "stale_timestamp", "reason": None, "held_as": 6},
        {"outcome": "accepted", "held_as": None},
        {"outcome": "duplicate", "held_as": None},
    )
    mindtickle = [
        (V, "bad_signature", "common", 2, 3, NOON, later + HOUR),
        (V, "stale_timestamp", None, 1, 2, NOON, NOON),
    ]
    other = ("lessonly", "bad_signature", "another vendor's", 1, 1, NOON, NOON)
    assert deliveries.causes(connection, SINCE, V) == mindtickle
    assert deliveries.causes(connection, SINCE, None) == [mindtickle[0], other, mindtickle[1]]


def test_of_equally_common_reasons_the_latest_is_given(
    store: Engine, connection: Connection
) -> None:
    tables.deliveries(
        store,
        {"outcome": "bad_signature", "reason": "z: the older"},
        {"outcome": "bad_signature", "reason": "a: the latest", "received_at": NOON + HOUR},
    )
    (cause,) = deliveries.causes(connection, SINCE, None)
    assert cause.reason == "a: the latest"


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


def test_the_parts_of_a_list_are_all_that_are_counted(
    store: Engine, connection: Connection
) -> None:
    tables.deliveries(store, *[{"outcome": "bad_signature"}] * 5, {"outcome": "unreadable"})
    wanted = Search(SINCE, outcome="bad_signature")
    parts = [deliveries.search(connection, wanted, 2, offset) for offset in (0, 2, 4)]
    assert [row.id for part in parts for row in part] == [5, 4, 3, 2, 1]
    assert deliveries.found(connection, wanted) == 5
    assert deliveries.found(connection, Search(SINCE, words="192.0.2.1")) == 0


def test_the_version_of_the_store_moves_with_every_event_delivery_and_note(
    store: Engine, connection: Connection
) -> None:
    assert catalog.version(connection)[:3] == (0, 0, 0)
    tables.deliveries(store, {}, {})
    with store.connect() as later:
        assert catalog.version(later)[:3] == (0, 2, 0)
    tables.event(store, "one", delivery_id=2)
    with store.connect() as later:
        assert catalog.version(later)[:3] == (1, 2, 0)
    with store.begin() as later:
        note(later, "lead", "coaching", None, "flagged")
        assert catalog.version(later)[:3] == (1, 2, 1)


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
