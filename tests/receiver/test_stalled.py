"""Bodies that stall make room for small and finished ones, and no hanging part holds an answer."""

import asyncio
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from starlette.types import Message

from receiver.errors import StoreUnavailable
from receiver.metrics import Metrics
from receiver.pipeline import Answer, Pipeline, Unverified, judge
from receiver.reading import peer_of
from receiver.store import Entry
from receiver.vendors.base import Incoming
from receiver.vendors.mindtickle import MindTickle
from receiver.writer import Writer
from shared.database import open_engine
from shared.models import Delivery
from shared.settings import ReceiverSettings
from tests import playing
from tests.conftest import FreshStore
from tests.running import Receiver, until
from tests.stores import count

LIMIT = 1_048_576
UNDER_WAY = "repboard_body_bytes_under_way"
HEAD = b"POST /webhooks/mindtickle HTTP/1.1\r\nhost: x\r\nconnection: close\r\n"
VENDOR = MindTickle([b"secret-one"], None, 86_400, 300)

Stall = Callable[..., socket.socket]


@pytest.fixture
def behind_a_proxy(fresh_store: FreshStore, tmp_path: Path) -> Iterator[Receiver]:
    """With room for 1,000,000 bytes, of which a peer may have 300,000."""
    small = {"MAX_WAITING_BYTES": "1000000", "MAX_BODY_BYTES": "300000", "TRUSTED_PROXY_HOPS": "1"}
    with fresh_store("sqlite") as url, Receiver(url, tmp_path, **small) as running:
        yield running


@pytest.fixture
def stall(behind_a_proxy: Receiver) -> Iterator[Stall]:
    """Begins a body of one more byte than is sent, from an address, and waits until it is there,
    and until others of so many bytes have made room for it."""
    with ExitStack() as opened:

        def stalled(address: str, size: int, instead_of: int = 0) -> socket.socket:
            then = behind_a_proxy.metric(UNDER_WAY) + size - instead_of
            raw = opened.enter_context(closing(begun(behind_a_proxy, size, address)))
            until(lambda: behind_a_proxy.metric(UNDER_WAY) == then)
            return raw

        yield stalled


def begun(receiver: Receiver, size: int, address: str = "") -> socket.socket:
    raw = socket.create_connection(("127.0.0.1", receiver.port), timeout=30)
    raw.sendall(HEAD + b"x-forwarded-for: %b\r\n" % address.encode())
    raw.sendall(b"content-length: %d\r\n\r\n" % (size + 1) + b"x" * size)
    return raw


def status_of(raw: socket.socket) -> int:
    return int(raw.recv(4096).split()[1])


def finished(raw: socket.socket) -> int:
    """The answer to a body that stalled, once its last byte is there."""
    raw.sendall(b"x")
    return status_of(raw)


def test_while_64_bodies_stall_one_byte_below_the_limit_good_deliveries_are_accepted(
    fresh_store: FreshStore, tmp_path: Path
) -> None:
    with fresh_store("sqlite") as url, Receiver(url, tmp_path) as receiver, ExitStack() as opened:
        for _ in range(64):
            opened.enter_context(closing(begun(receiver, LIMIT - 1)))
        until(lambda: receiver.metric(UNDER_WAY) > 15_000_000)
        for _ in range(10):
            answer = receiver.deliver("badge.earned", {"n": playing.new_id()})
            assert answer.json() == {"received": True}
        large = {"n": playing.new_id(), "text": "x" * 1_000_000}
        assert receiver.deliver("badge.earned", large).json() == {"received": True}


def test_a_peer_beyond_its_share_loses_its_own_largest_body(stall: Stall) -> None:
    other = stall("9.9.9.9", 290_000)
    small, large = stall("1.1.1.1", 90_000), stall("1.1.1.1", 180_000)
    last = stall("1.1.1.1", 100_000, instead_of=180_000)
    assert status_of(large) == 503
    assert [finished(raw) for raw in (other, small, last)] == [401, 401, 401]


def test_of_equally_large_bodies_the_oldest_makes_room(stall: Stall) -> None:
    first, second = stall("1.1.1.1", 140_000), stall("1.1.1.1", 140_000)
    third = stall("1.1.1.1", 140_000, instead_of=140_000)
    assert status_of(first) == 503
    assert [finished(raw) for raw in (second, third)] == [401, 401]


def test_all_addresses_of_one_ipv6_network_are_one_peer(stall: Stall) -> None:
    first = stall("2001:db8:0:1::1", 200_000)
    second = stall("2001:db8:0:1:ffff::2", 150_000, instead_of=200_000)
    assert status_of(first) == 503
    assert finished(second) == 401


@pytest.mark.parametrize(
    ("address", "peer"),
    [
        (None, ""),
        ("10.0.0.1", "10.0.0.1"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8:0:1:ffff::1", "2001:db8:0:1::/64"),
    ],
)
def test_a_peer_is_an_address_or_the_network_of_a_customer(address: str | None, peer: str) -> None:
    assert peer_of(address) == peer


def test_where_the_room_runs_out_the_peer_with_most_makes_it(stall: Stall) -> None:
    small = [stall("1.1.1.1", 100_000), stall("1.1.1.1", 150_000)]
    other, most = stall("2.2.2.2", 200_000), stall("3.3.3.3", 280_000)
    last = stall("4.4.4.4", 275_000, instead_of=280_000)
    assert status_of(most) == 503
    assert [finished(raw) for raw in (*small, other, last)] == [401] * 4


def test_clients_that_disconnect_leave_nothing_behind(behind_a_proxy: Receiver) -> None:
    for _ in range(20):
        begun(behind_a_proxy, 200_000, "1.1.1.1").close()
    until(lambda: behind_a_proxy.metric(UNDER_WAY) == 0)
    with closing(begun(behind_a_proxy, 290_000, "1.1.1.1")) as raw:
        assert finished(raw) == 401
    assert behind_a_proxy.metric(UNDER_WAY) == 0
    assert count(behind_a_proxy.engine, Delivery) == 1


# A part that hangs


@pytest.fixture
def hanging(store_url: str) -> Pipeline:
    """A pipeline whose writer never answers, as its thread does not run."""
    settings = ReceiverSettings(database_url=store_url)
    metrics = Metrics()
    writer = Writer(open_engine(store_url), metrics, 10, 1_000_000, answer_sec=0.05)
    return Pipeline(settings, writer, metrics, trial_pass="unknown")


def test_a_delivery_is_answered_503_whatever_hangs(hanging: Pipeline) -> None:
    body = playing.body_of("badge.earned", {})

    async def receive() -> Message:
        return {"type": "http.request", "body": body}

    async def answer() -> Answer:
        signed = playing.signed(body, datetime.now(UTC), "e-1").items()
        headers = [(name.encode(), value.encode()) for name, value in signed]
        scope: dict[str, Any] = {"headers": headers, "client": ("127.0.0.1", 1)}
        return await hanging.take(VENDOR, scope, receive)

    answers = [asyncio.run(answer()) for _ in range(3)]
    assert {one.status for one in answers} == {503}
    assert all((b"retry-after", b"30") in one.headers for one in answers)
    assert b'deliveries_not_stored_total{vendor="mindtickle"} 3.0' in hanging._metrics.text()


# What is not verified


def entry(body: bytes, secret: str = "another", event_id: str = "e-1") -> Entry:
    now = datetime.now(UTC)
    headers = {k: v.encode() for k, v in playing.signed(body, now, event_id, secret).items()}
    return judge(VENDOR, Incoming(headers, body, None, now))


def test_a_badly_signed_body_is_parsed_only_up_to_a_bound() -> None:
    def of_size(size: int) -> bytes:
        frame = playing.body_of("badge.earned", {"text": ""})
        return playing.body_of("badge.earned", {"text": "x" * (size - len(frame))})

    small, large = entry(of_size(65_536)), entry(of_size(65_537))
    assert small.quarantined
    assert small.quarantined.kind == "well_formed"
    assert small.claims == ("e-1", "badge.earned")
    assert large.quarantined
    assert large.quarantined.kind == "junk"
    assert large.quarantined.body == of_size(65_537)
    assert large.claims == ("e-1", None)
    assert entry(of_size(65_537), "secret-one").outcome == "accepted"


@pytest.mark.parametrize(
    "number", ["1e999999", "-1e400", "9" * 4_000, "9" * 60_000, "1" + "e9" * 9]
)
def test_numbers_beyond_all_bounds_are_junk_like_any(number: str) -> None:
    claimed = entry(b'{"event": %b, "companyId": %b, "data": {}}' % ((number.encode(),) * 2))
    assert claimed.outcome == "bad_signature"
    assert len(claimed.claims.event_type or "") <= 255


def test_half_of_the_queue_is_left_to_what_is_verified() -> None:
    room = Unverified(2, 10_000)
    stranger, vendor = entry(b"{}"), entry(playing.body_of("badge.earned", {}), "secret-one")
    room.take_room(stranger)
    give_back = room.take_room(stranger)
    room.take_room(vendor)
    with pytest.raises(StoreUnavailable):
        room.take_room(stranger)
    give_back()
    room.take_room(stranger)
