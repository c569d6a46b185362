"""A seeded store holds what a receiver would have stored."""

from datetime import UTC, datetime
from itertools import chain

from sqlalchemy import Engine

from receiver.pipeline import judge
from receiver.readmodels.rebuild import rebuild
from receiver.vendors import configured
from receiver.vendors.base import Incoming
from shared.models import Delivery, DeliveryHourly, Event
from tests import playing
from tests.bench.seed import KEPT, SETTINGS, seed, sessions
from tests.stores import read_models, rows

EVENTS = 2_000
NOW = datetime.now(UTC)
AS_PARSED = ("event_key", "digest", "type", "company_id", "user_id", "occurred_at", "payload")


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
    recent = [row for row in rows(store, DeliveryHourly) if row.hour > NOW - KEPT]
    kept = rows(store, Delivery)
    assert min(row.received_at for row in kept) >= NOW - KEPT
    assert {row.outcome for row in recent} == {row.outcome for row in kept}
    full_hours = [row for row in kept if row.received_at >= min(one.hour for one in recent)]
    assert sum(row.deliveries for row in recent) == len(full_hours)


def test_a_seeded_event_is_stored_as_a_receiver_stores_its_delivery(
    store_url: str, store: Engine
) -> None:
    seed(store_url, EVENTS, NOW)
    vendors = configured(SETTINGS)
    sign = {"mindtickle": playing.signed, "standard-webhooks": playing.standard}
    stored = {row.event_key: row for row in rows(store, Event)}
    for seeded in chain.from_iterable(sessions(EVENTS, NOW)):
        body, at = seeded.body.encode(), datetime.fromtimestamp(seeded.at, UTC)
        headers = sign[seeded.vendor](body, at, seeded.key)
        sent = {name: value.encode() for name, value in headers.items()}
        event = judge(vendors[seeded.vendor], Incoming(sent, body, None, at)).event
        assert event is not None
        assert stored[seeded.key].vendor == seeded.vendor
        assert [getattr(stored[seeded.key], name) for name in AS_PARSED] == [
            getattr(event, name) for name in AS_PARSED
        ]
