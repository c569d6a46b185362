"""Failures that are not recovered."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import Connection, Engine

from receiver.vendors import vendor_facts
from shared.diagnosis import diagnose
from shared.models import DeliveryHourly, Heartbeat
from shared.queries import evidence, failures
from shared.queries.deliveries import Search, search
from shared.retries import State
from shared.settings import ReceiverSettings
from shared.verdict import Clock, Traffic, verdict
from tests.shared import tables
from tests.shared.tables import NOON, V

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
MINDTICKLE = vendor_facts(ReceiverSettings(_env_file=None))[V]
BAD = {"outcome": "bad_signature", "status_code": 403}


@pytest.fixture
def connection(store: Engine) -> Iterator[Connection]:
    with store.connect() as connection:
        yield connection


def test_a_refused_event_that_is_not_stored_is_unrecovered_with_its_first_and_last_attempt(
    store: Engine, connection: Connection
) -> None:
    tables.deliveries(
        store,
        BAD | {"event_key": "e-1"},
        BAD | {"event_key": "e-1", "received_at": NOON + 5 * MINUTE},
        BAD | {"event_key": "e-2"},
        BAD | {"event_key": None},
        {"outcome": "unreadable", "event_key": "e-3"},
    )
    tables.event(store, "e-2", 3)
    (row,) = failures.unrecovered(connection, V, NOON - HOUR)
    assert (row.event_key, row.attempts, row.first, row.last) == (
        "e-1",
        2,
        NOON,
        NOON + 5 * MINUTE,
    )


def test_chains_stand_in_the_order_of_their_last_chance_and_the_lost_come_last(
    store: Engine, connection: Connection
) -> None:
    tables.deliveries(
        store,
        BAD | {"event_key": "new", "received_at": NOON},
        BAD | {"event_key": "old", "received_at": NOON - 2 * HOUR},
        BAD | {"event_key": "lost", "received_at": NOON - 8 * HOUR},
    )
    found = evidence.unrecovered_chains(connection, MINDTICKLE, NOON - 24 * HOUR, NOON + MINUTE)
    assert [(row.event_key, chain.state) for row, chain in found] == [
        ("old", State.OVERDUE),
        ("new", State.WAITING),
        ("lost", State.GIVEN_UP),
    ]


def test_the_clock_runs_since_the_first_failure_after_the_last_2xx(
    store: Engine, connection: Connection
) -> None:
    tables.deliveries(
        store,
        BAD | {"received_at": NOON - 2 * HOUR},
        {"outcome": "duplicate", "received_at": NOON - HOUR},
        BAD | {"received_at": NOON},
        {"outcome": "stale_timestamp", "received_at": NOON + HOUR},
    )
    found = failures.failing_since(connection, V)
    assert found is not None
    assert found == (NOON, 2, 2, 1)


def test_the_clock_stands_while_the_latest_delivery_was_answered_2xx(
    store: Engine, connection: Connection
) -> None:
    tables.deliveries(store, BAD, {"outcome": "unreadable", "received_at": NOON + HOUR})
    assert failures.failing_since(connection, V) is None


def test_a_replay_does_not_stop_the_clock(store: Engine, connection: Connection) -> None:
    tables.deliveries(store, BAD | {"replay_of": None})
    tables.add(
        store,
        tables.Delivery,
        [
            {
                "id": 2,
                "vendor": V,
                "received_at": NOON + HOUR,
                "outcome": "accepted",
                "status_code": 200,
                "duration_ms": 1.0,
                "body_bytes": 1,
                "replay_of": 1,
            }
        ],
    )
    found = failures.failing_since(connection, V)
    assert found is not None
    assert found.since == NOON


def test_the_rhythm_is_the_average_of_the_same_hour_of_the_week(
    store: Engine, connection: Connection
) -> None:
    week = timedelta(weeks=1)
    tables.hours(
        store,
        (NOON - 2 * week, "accepted", 30),
        (NOON - week, "accepted", 8),
        (NOON - week, "bad_signature", 2),
        (NOON - 2 * week + HOUR, "accepted", 4),
    )
    usual = failures.rhythm(connection, V, NOON)
    assert usual == {(NOON.weekday(), 12): 20, (NOON.weekday(), 13): 2}


def test_the_rhythm_is_empty_before_a_whole_week(store: Engine, connection: Connection) -> None:
    tables.hours(store, (NOON - timedelta(days=6), "accepted", 100))
    assert failures.rhythm(connection, V, NOON) == {}


def test_a_few_failures_are_needed_before_everything_counts_as_failing(
    store: Engine, connection: Connection
) -> None:
    tables.deliveries(store, *([BAD] * 4))
    gathered = evidence.gather(
        connection, MINDTICKLE, NOON - HOUR, NOON + HOUR, ReceiverSettings(_env_file=None)
    )
    assert gathered.failing is None
    assert gathered.suspension is None


def test_everything_failing_starts_the_suspension_clock_and_the_forecast(
    store: Engine, connection: Connection
) -> None:
    tables.deliveries(store, *(BAD | {"event_key": f"e-{n}"} for n in range(5)))
    gathered = evidence.gather(
        connection, MINDTICKLE, NOON - HOUR, NOON + 12 * HOUR, ReceiverSettings(_env_file=None)
    )
    assert gathered.suspension is not None
    assert gathered.suspension.share == 0.5
    assert gathered.forecast.lost == 5


def test_a_search_in_a_part_of_the_window_finds_only_deliveries_of_it(
    store: Engine, connection: Connection
) -> None:
    tables.deliveries(store, BAD, BAD | {"received_at": NOON + 2 * HOUR})
    found = search(connection, Search(NOON + HOUR, NOON + 3 * HOUR))
    assert [row.id for row in found] == [2]


def test_a_search_for_words_of_a_reason_takes_them_literally(
    store: Engine, connection: Connection
) -> None:
    tables.deliveries(store, BAD | {"reason": "100 % wrong"}, BAD | {"reason": "1000 wrong"})
    assert [row.id for row in search(connection, Search(NOON, words="100 %"))] == [1]


def test_a_search_for_all_finds_accepted_deliveries_too(
    store: Engine, connection: Connection
) -> None:
    tables.deliveries(store, BAD, {"event_key": "e-1"})
    tables.event(store, "e-1", 2)
    found = search(connection, Search(NOON, failed=False))
    assert {(row.outcome, bool(row.recovered)) for row in found} == {
        ("bad_signature", False),
        ("accepted", True),
    }


def test_attempts_of_one_event_count_once_as_an_event(
    store: Engine, connection: Connection
) -> None:
    retried = [BAD | {"event_key": "e-1", "received_at": NOON + n * MINUTE} for n in range(3)]
    same_body = [BAD | {"id": 10}, BAD | {"id": 11, "held_as": 10}]
    usual = {"held_as": None}
    tables.deliveries(store, *(usual | row for row in [*retried, *same_body]))
    assert failures.failing_since(connection, V) == (NOON, 2, 5, 5)


def test_an_outage_without_a_success_since_is_a_suspension_once_it_is_as_long_as_the_rule(
    store: Engine, connection: Connection
) -> None:
    tables.deliveries(store, {"received_at": NOON - MINUTE})
    end = NOON + 28 * HOUR
    tables.add(
        store,
        Heartbeat,
        [
            {"receiver": "a", "started_at": NOON - 9 * HOUR, "seen_at": NOON},
            {"receiver": "b", "started_at": end, "seen_at": end + HOUR},
        ],
    )
    gathered = evidence.gather(
        connection, MINDTICKLE, NOON, end + HOUR, ReceiverSettings(_env_file=None)
    )
    assert gathered.suspension is not None
    assert gathered.suspension.since == NOON
    assert gathered.suspension.share == pytest.approx(29 / 24)
    assert "suspended" in [finding.kind for finding in diagnose(gathered)]


CANVAS = vendor_facts(ReceiverSettings(_env_file=None))["canvas"]
LONG_AGO = NOON - timedelta(weeks=2)


def test_failures_of_canvas_count_to_a_suspension_in_minutes_though_others_pass(
    store: Engine, connection: Connection
) -> None:
    counts = [(1, "bad_signature", 14_000), (0, "bad_signature", 7_000), (0, "accepted", 50_000),
              (30, "bad_signature", 99_000)]  # fmt: skip
    tables.add(
        store,
        DeliveryHourly,
        ({"vendor": "canvas", "hour": NOON - back * HOUR, "outcome": outcome, "deliveries": number}
         for back, outcome, number in counts),
    )  # fmt: skip
    now = NOON + 30 * MINUTE
    gathered = evidence.gather(connection, CANVAS, NOON, now, ReceiverSettings(_env_file=None))
    assert gathered.suspension is not None
    assert gathered.suspension.counted == (21_000, 28_000, 24 * HOUR)
    assert gathered.suspension.at - now == 30 * MINUTE  # 7,000 at 14,000 an hour
    said = verdict([gathered], Traffic(1, 1, now), [], "24 hours", Clock(now, "UTC"))
    assert said.countdowns == [("Webhook suspended in 30 min", False)]


def test_the_usual_deliveries_of_canvas_count_as_time_outs_while_no_receiver_is_up(
    store: Engine, connection: Connection
) -> None:
    """Each is tried four times: 1,000 an hour reach 9,500 after 2 h 22 min."""
    weeks = [(LONG_AGO + n * HOUR, 1_000) for n in range(14 * 24)]
    tables.add(
        store,
        DeliveryHourly,
        ({"vendor": "canvas", "hour": hour, "outcome": "accepted", "deliveries": number}
         for hour, number in weeks),
    )  # fmt: skip
    beat = {"receiver": "a", "started_at": LONG_AGO, "seen_at": NOON - HOUR}
    tables.add(store, Heartbeat, [beat])
    gathered = evidence.gather(connection, CANVAS, NOON, NOON, ReceiverSettings(_env_file=None))
    assert gathered.suspension is not None
    assert gathered.suspension.counted == (4_000, 9_500, 24 * HOUR)
    assert (gathered.suspension.at - NOON) / MINUTE == pytest.approx(82.5)


def test_after_a_complete_replay_the_next_retry_is_due_though_nothing_is_open(
    store: Engine, connection: Connection
) -> None:
    tables.deliveries(
        store,
        *({"replay_of": None} | BAD | {"event_key": f"e-{n}"} for n in range(1, 6)),
        *(
            {"event_key": f"e-{n}", "replay_of": n, "received_at": NOON + 2 * MINUTE}
            for n in range(1, 6)
        ),
    )
    for n in range(1, 6):
        tables.event(store, f"e-{n}", n + 5)
    gathered = evidence.gather(
        connection, MINDTICKLE, NOON - HOUR, NOON + 3 * MINUTE, ReceiverSettings(_env_file=None)
    )
    assert gathered.failing is not None
    assert gathered.replayed == (5, NOON + 5 * MINUTE)


def test_while_one_event_is_open_the_replay_is_not_complete(
    store: Engine, connection: Connection
) -> None:
    tables.deliveries(
        store,
        *({"replay_of": None} | BAD | {"event_key": f"e-{n}"} for n in range(1, 6)),
        {"event_key": "e-1", "replay_of": 1, "received_at": NOON + 2 * MINUTE},
    )
    tables.event(store, "e-1", 6)
    gathered = evidence.gather(
        connection, MINDTICKLE, NOON - HOUR, NOON + 3 * MINUTE, ReceiverSettings(_env_file=None)
    )
    assert gathered.failing is not None
    assert gathered.replayed is None
