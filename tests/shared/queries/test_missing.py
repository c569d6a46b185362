"""Events that the standings lack, against a slow reference that reads every row."""

import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, Engine

from receiver.vendors import vendor_facts
from shared.models import Delivery, Event, Quarantine
from shared.queries import missing
from shared.settings import ReceiverSettings
from tests import stores
from tests.shared import tables
from tests.shared.tables import NOON, V

HOUR = timedelta(hours=1)
VENDORS = vendor_facts(ReceiverSettings(_env_file=None))
USUAL = {"held_as": None, "sender": "vendor", "dismissed_at": None}


@pytest.fixture
def connection(store: Engine) -> Iterator[Connection]:
    with store.connect() as connection:
        yield connection


def failed(**values: Any) -> dict[str, Any]:
    return USUAL | {"outcome": "bad_signature", "status_code": 403} | values


def quarantine(store: Engine, *rows: tuple[int, str]) -> None:
    """(delivery_id, state)."""
    usual = {"vendor": V, "received_at": NOON, "headers": "{}", "body": b"", "kind": "authentic"}
    rows_ = [usual | {"delivery_id": id_, "state": state} for id_, state in rows]
    tables.add(store, Quarantine, rows_)


def keys(connection: Connection, *window: datetime | None) -> list[str | None]:
    return [one.event_key for one in missing.missing(connection, *(window or (None,)))]


def test_refused_and_not_understood_events_are_missing_and_strangers_posts_are_not(
    store: Engine, connection: Connection
) -> None:
    tables.deliveries(
        store,
        failed(event_key="refused"),
        failed(event_key="refused", received_at=NOON + HOUR),
        failed(event_key="odd", outcome="unreadable", status_code=200),
        failed(event_key="strange", sender="stranger"),
        failed(event_key="good", outcome="accepted", status_code=200),
    )
    assert keys(connection) == ["odd", "refused"]
    assert [one.attempts for one in missing.missing(connection, None)] == [1, 2]


@pytest.mark.parametrize("how", ["accepted later", "replayed", "discarded", "dismissed"])
def test_an_event_that_is_recovered_or_dismissed_is_missing_no_longer(
    store: Engine, connection: Connection, how: str
) -> None:
    at = NOON if how == "dismissed" else None
    key = "e-1" if how == "accepted later" else None
    tables.deliveries(
        store,
        failed(event_key=key, dismissed_at=at),
        failed(event_key=key, held_as=1, received_at=NOON + HOUR),
    )
    if how == "accepted later":
        tables.event(store, "e-1", 3)
    elif how != "dismissed":
        quarantine(store, (1, how))
    assert keys(connection) == []
    assert keys(connection, NOON + HOUR) == []


def test_a_dismissal_is_of_the_listed_events_alone(store: Engine) -> None:
    tables.deliveries(store, failed(event_key="e-1"), failed(event_key="e-2"), failed())
    with store.begin() as connection:
        listed = missing.missing(connection, None)
        missing.dismiss(connection, [one for one in listed if one.event_key != "e-2"])
    with store.connect() as connection:
        assert keys(connection) == ["e-2"]


def test_an_event_known_by_its_body_leaves_the_list_when_a_later_delivery_is_dismissed(
    store: Engine,
) -> None:
    tables.deliveries(store, failed(), failed(held_as=1, received_at=NOON + HOUR), failed())
    quarantine(store, (1, "quarantined"), (3, "quarantined"))
    with store.begin() as connection:
        listed = missing.missing(connection, NOON + HOUR)
        assert [one.delivery_id for one in listed] == [2]
        missing.dismiss(connection, listed)
    with store.connect() as connection:
        assert [one.delivery_id for one in missing.missing(connection, None)] == [3]


def test_an_event_is_lost_when_its_body_and_its_last_retry_are_gone(
    store: Engine, connection: Connection
) -> None:
    tables.deliveries(
        store,
        failed(event_key="held"),
        failed(event_key="dropped"),
        failed(event_key="retried", received_at=NOON + 8 * HOUR),
        failed(event_key="odd", outcome="unreadable", status_code=200),
    )
    quarantine(store, (1, "held"))
    events = missing.missing(connection, None)
    now = NOON + 9 * HOUR
    lost = {one.event_key for one in events if missing.is_lost(one, VENDORS[V], now)}
    assert lost == {"dropped", "odd"}
    assert missing.toll(events, VENDORS, now) == (2, 2, NOON)


def test_missing_events_are_those_of_a_slow_reference(
    store: Engine, connection: Connection
) -> None:
    chance = random.Random(7)
    outcomes = ("accepted", "bad_signature", "unreadable", "stale_timestamp")
    rows = []
    for id_ in range(1, 121):
        body = chance.choice([None, None, chance.randint(1, id_)])
        rows.append(
            USUAL
            | {
                "id": id_,
                "vendor": chance.choice([V, "lessonly"]),
                "event_key": chance.choice([None, f"e-{chance.randint(1, 30)}"]),
                "outcome": chance.choice(outcomes),
                "sender": chance.choice(["vendor", "vendor", "stranger"]),
                "held_as": body,
                "dismissed_at": chance.choice([None] * 9 + [NOON]),
                "received_at": NOON + id_ * timedelta(minutes=7),
            }
        )
    tables.deliveries(store, *rows)
    for key in ("e-1", "e-2", "e-3", "e-4", "e-5"):
        tables.event(store, key, 1)
    states = ("held", "replayed", "discarded")
    quarantine(store, *((id_, chance.choice(states)) for id_ in range(3, 120, 3)))
    since, until = NOON + HOUR, NOON + 12 * HOUR
    seen = {(one.vendor, one.identity, one.attempts, one.delivery_id, one.quarantined)
            for one in missing.missing(connection, since, until)}  # fmt: skip
    assert seen == set(slowly(store, since, until))
    assert seen


def slowly(
    store: Engine, since: datetime, until: datetime
) -> Iterator[tuple[str, str, int, int, bool]]:
    """The same from every row of the tables, in plain Python."""
    every = stores.rows(store, Delivery)
    stored = {(one.vendor, one.event_key) for one in stores.rows(store, Event)}
    states = {one.delivery_id: one.state for one in stores.rows(store, Quarantine)}
    events: dict[tuple[str, str], list[Any]] = {}
    for one in every:
        good = one.outcome in ("accepted", "duplicate") or one.sender == "stranger"
        if good or not since <= one.received_at < until:
            continue
        identity = one.event_key or f"body {one.held_as or one.id}"
        events.setdefault((one.vendor, identity), []).append(one)
    for (vendor, identity), attempts in events.items():
        latest = max(attempts, key=lambda one: one.id)
        held = {states.get(one.held_as or one.id) for one in attempts}
        dismissed = any(
            one.dismissed_at
            for one in every
            if (one.vendor == vendor and one.event_key and one.event_key == latest.event_key)
            or one.id == (latest.held_as or latest.id)
        )
        recovered = held & {"replayed", "discarded"} or (vendor, latest.event_key) in stored
        if not recovered and not dismissed:
            yield vendor, identity, len(attempts), latest.id, "held" in held
