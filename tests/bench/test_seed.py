"""A seeded store holds what a receiver would have stored."""

from datetime import UTC, datetime

from sqlalchemy import Engine, func, select

from receiver.rebuild import rebuild
from shared.bulk import table_of
from shared.models import Delivery, DeliveryHourly, Event
from tests.bench.seed import KEPT, seed
from tests.stores import count, read_models, rows

EVENTS = 2_000
NOW = datetime.now(UTC)


def test_a_rebuild_of_a_seeded_store_changes_nothing(store_url: str, store: Engine) -> None:
    seed(store_url, EVENTS, NOW)
    with store.connect() as connection:
        seeded = read_models(connection)
    assert all(seeded.values())
    assert rebuild(store) == EVENTS
    with store.connect() as connection:
        assert read_models(connection) == seeded


def test_seeded_deliveries_are_counted_by_hour_and_kept_for_ninety_days(
    store_url: str, store: Engine
) -> None:
    seed(store_url, EVENTS, NOW)
    counts = func.sum(table_of(DeliveryHourly).c.deliveries)
    hour = table_of(DeliveryHourly).c.hour
    recent = (NOW - KEPT).replace(minute=0, second=0, microsecond=0)
    with store.connect() as connection:
        in_all = connection.scalar(select(counts))
        since = connection.scalar(select(counts).where(hour > recent))
    assert in_all and in_all >= EVENTS
    assert since and since <= count(store, Delivery) < EVENTS
    accepted = {row.event_key for row in rows(store, Delivery, outcome="accepted")}
    assert accepted <= {row.event_key for row in rows(store, Event)}
