"""POSTs below /webhooks/ to no vendor are counted, in one row an hour."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from sqlalchemy import Engine

from receiver.metrics import Metrics
from receiver.prune import prune
from receiver.unknown_addresses import UnknownAddresses
from shared.models import Delivery, UnknownAddress
from shared.queries.unknown_addresses import since
from tests.conftest import FreshStore
from tests.running import Receiver, until
from tests.shared import tables
from tests.stores import count, row, rows, write_locked

ODD = [
    "/webhooks/acme",
    "/webhooks/MindTickle",
    "/Webhooks/mindtickle",
    "//webhooks/mindtickle",
    "/webhooks/mindtickle/x?token=secret",
    "/webhooks",
    "/webhooks/",
    "/webhooks/%3Cscript%3E%0A",
    "/webhooks/" + "x" * 9_000,
]
HOUR = datetime(2026, 3, 1, 9, tzinfo=UTC)


@pytest.fixture
def running(store_url: str, tmp_path: Path) -> Iterator[Receiver]:
    with Receiver(store_url, tmp_path) as receiver:
        yield receiver


def test_what_is_posted_to_no_vendor_is_counted_by_hour(running: Receiver) -> None:
    def counted() -> int:
        return sum(one.requests for one in rows(running.engine, UnknownAddress))

    for path in ODD:
        assert httpx.post(running.url + path, content=b"{}", verify=False).status_code == 404
    until(lambda: counted() == len(ODD))
    assert running.metric("repboard_unknown_addresses_total") == len(ODD)
    running.client.post("/webhooks/mindtickle/y?token=secret")
    until(lambda: counted() == len(ODD) + 1)
    latest = rows(running.engine, UnknownAddress)[-1]
    assert latest.latest_path == "/webhooks/mindtickle/y"
    assert count(running.engine, Delivery) == 0


@pytest.mark.parametrize("path", ["/", "/webhooksx", "/api/other", "/healthz/"])
def test_what_is_posted_elsewhere_is_not(running: Receiver, path: str) -> None:
    running.client.post(path)
    running.client.get("/webhooks/acme")
    assert running.metric("repboard_unknown_addresses_total") == 0


def test_a_receiver_that_stops_writes_what_it_has_counted(running: Receiver) -> None:
    for _ in range(3):
        running.client.post("/webhooks/acme")
    assert running.stop() == 0
    assert sum(one.requests for one in rows(running.engine, UnknownAddress)) == 3


def test_what_cannot_be_written_is_written_later(fresh_store: FreshStore, tmp_path: Path) -> None:
    with fresh_store("sqlite") as url, Receiver(url, tmp_path) as receiver:
        with write_locked(receiver.engine):
            for _ in range(5):
                receiver.client.post("/webhooks/acme")
            until(lambda: any(one["event"] == "chore_failed" for one in receiver.log_lines()))
        until(lambda: [one.requests for one in rows(receiver.engine, UnknownAddress)] == [5])


def test_several_receivers_add_up(store: Engine) -> None:
    receivers = [UnknownAddresses(store, Metrics()) for _ in range(2)]
    for number, one in enumerate(receivers):
        for _ in range(3):
            one.note("/webhooks/x", f"/webhooks/{'y' * 300}{number}".encode())
        one.write()
        one.write()
    total = rows(store, UnknownAddress)
    assert sum(one.requests for one in total) == 6
    assert len(total[-1].latest_path) == 200


def test_the_latest_of_a_span_is_found_with_their_number(store: Engine) -> None:
    hours = [(HOUR - timedelta(hours=n), n + 1, f"/webhooks/{n}") for n in range(4)]
    tables.add(
        store,
        UnknownAddress,
        (
            {"hour": at, "requests": n, "latest_at": at, "latest_path": path}
            for at, n, path in hours
        ),
    )
    with store.connect() as connection:
        assert since(connection, HOUR - timedelta(hours=2)) == (6, HOUR, "/webhooks/0")
        assert since(connection, HOUR + timedelta(hours=1)) is None


def test_old_counts_are_removed_with_old_deliveries(store: Engine) -> None:
    now = datetime.now(UTC)
    tables.add(
        store,
        UnknownAddress,
        (
            {"hour": at, "requests": 1, "latest_at": at, "latest_path": "/webhooks/x"}
            for at in (now - timedelta(days=31), now - timedelta(days=29))
        ),
    )
    prune(store, 30)
    assert row(store, UnknownAddress).hour > now - timedelta(days=30)
