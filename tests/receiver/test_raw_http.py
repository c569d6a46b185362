"""What no HTTP client would send, over a bare socket: an answer or a closed connection, never a
fault, and the next delivery is accepted."""

import re
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, suppress
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import pytest

from shared.models import Delivery
from tests import playing
from tests.conftest import FreshStore
from tests.running import Receiver, command, until
from tests.stores import count

LINE = b"POST /webhooks/mindtickle HTTP/1.1\r\n"
LAST = b"host: x\r\nconnection: close\r\n"
CHUNKED = b"transfer-encoding: chunked\r\n"
UPGRADE = b"connection: close, upgrade\r\nupgrade: %b\r\n"
ANSWER_SEC = 30
"""Longer than the receiver waits for a body."""


class Good(NamedTuple):
    """The parts of a delivery that would be taken; each part of the head ends its line."""

    signed: bytes
    length: bytes
    body: bytes

    def chunked(self, end: bytes = b"\r\n") -> bytes:
        return b"%x\r\n%b\r\n0\r\n%b" % (len(self.body), self.body, end)


def good() -> Good:
    body = playing.body_of("badge.earned", {"n": playing.new_id()})
    headers = playing.signed(body, datetime.now(UTC), playing.new_id())
    signed = "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode()
    return Good(signed, b"content-length: %d\r\n" % len(body), body)


def framed(
    line: bytes = LINE,
    more: bytes = b"",
    length: Callable[[Good], bytes] = lambda one: one.length,
    body: Callable[[Good], bytes] = lambda one: one.body,
) -> Callable[[Good], bytes]:
    """A whole delivery but for what is given instead."""
    return lambda one: line + LAST + one.signed + length(one) + more + b"\r\n" + body(one)


def in_chunks(body: Callable[[Good], bytes], more: bytes = b"") -> Callable[[Good], bytes]:
    return framed(more=CHUNKED + more, length=lambda _: b"", body=body)


def of_length(value: bytes) -> Callable[[Good], bytes]:
    return framed(length=lambda _: b"content-length: " + value + b"\r\n")


ODD_BUT_WHOLE: Mapping[str, Callable[[Good], bytes]] = {
    "HTTP/1.0": framed(LINE.replace(b"1.1", b"1.0")),
    "an absolute address": framed(LINE.replace(b"/web", b"http://elsewhere.example/web")),
    "an address with a password": framed(LINE.replace(b"/web", b"https://u:p@x.example:9/web")),
    "an escaped slug": framed(LINE.replace(b"/mind", b"/%6dind")),
    "no host": lambda one: framed()(one).replace(b"host: x\r\n", b""),
    "two hosts": framed(more=b"host: \xff[\r\n"),
    "bytes beyond ASCII in a header": framed(more=b"x-a: \xff\xfe\r\n"),
    "90 headers": framed(more=b"".join(b"x-%d: y\r\n" % n for n in range(90))),
    "a header of 60 kB": framed(more=b"x-a: " + b"y" * 60_000 + b"\r\n"),
    "a trailer": in_chunks(lambda one: one.chunked(b"x-mt-event-id: other\r\n\r\n")),
    "a long chunk extension": in_chunks(
        lambda one: one.chunked().replace(b"\r\n", b";a=" + b"b" * 100_000 + b"\r\n", 1)
    ),
    "a trailer that is a credential": in_chunks(
        lambda one: one.chunked(b"x-mt-webhook-signature: 0\r\n\r\n")
    ),
    "an offer of WebSocket": framed(more=UPGRADE % b"websocket"),
    "an offer of WebSocket, in chunks": in_chunks(Good.chunked, more=UPGRADE % b"websocket"),
    "an offer of HTTP/2": framed(more=UPGRADE % b"h2c, HTTP2-Settings"),
    "an offer of HTTP/2, in chunks": in_chunks(Good.chunked, more=UPGRADE % b"h2c"),
    "two offers": in_chunks(Good.chunked, more=UPGRADE % b"h2c" + b"upgrade: websocket\r\n"),
    "expects to go on": framed(more=b"expect: 100-continue\r\n"),
    "expects the impossible": framed(more=b"expect: gold\r\n"),
}
NO_HTTP: Mapping[str, Callable[[Good], bytes]] = {
    "a chunk size that is no number": in_chunks(lambda one: b"zz\r\n" + one.body),
    "a chunk size beyond all numbers": in_chunks(lambda one: b"f" * 40 + b"\r\n" + one.body),
    "a chunk longer than announced": in_chunks(lambda one: b"3\r\n" + one.body + b"\r\n0\r\n\r\n"),
    "chunks and a length": framed(more=CHUNKED, body=Good.chunked),
    "chunks in chunks": in_chunks(Good.chunked, more=CHUNKED),
    "another transfer encoding": framed(more=b"transfer-encoding: gzip\r\n", length=lambda _: b""),
    "two lengths": framed(more=b"content-length: 3\r\n"),
    "the same length twice": framed(length=lambda one: one.length * 2),
    "a list of lengths": of_length(b"5, 5"),
    "a negative length": of_length(b"-1"),
    "a length with a sign": of_length(b"+5"),
    "a length in hex": of_length(b"0x5"),
    "a length beyond all numbers": of_length(b"9" * 30),
    "an empty length": of_length(b""),
    "a NUL in a header": framed(more=b"x-a: a\0b\r\n"),
    "a NUL in the name of a header": framed(more=b"x\0a: b\r\n"),
    "a NUL in the path": framed(LINE.replace(b"mind", b"\0mind")),
    "bytes beyond ASCII in the path": framed(LINE.replace(b"mind", b"\xff\xfe")),
    "a very long path": framed(LINE.replace(b"mind", b"m" * 200_000)),
    "a broken absolute address": framed(LINE.replace(b"/web", b"http://:::/web")),
    "a header without a colon": framed(more=b"x-a\r\n"),
    "a space before the colon": framed(more=b"x-a : b\r\n"),
    "a header without a name": framed(more=b": b\r\n"),
    "a header over two lines": framed(more=b"x-a: b\r\n  c\r\n"),
    "a bare carriage return": framed(more=b"x-a: b\rc\r\n"),
    "bare newlines": lambda one: framed()(one).replace(b"\r\n", b"\n"),
    "an unknown version": framed(LINE.replace(b"1.1", b"1.9")),
    "an unknown method": framed(LINE.replace(b"POST", b"P\xffST")),
    "a method in lower case": framed(LINE.replace(b"POST", b"post")),
    "a tunnel": lambda _: b"CONNECT x:80 HTTP/1.1\r\nhost: x\r\n\r\n",
    "HTTP/2": lambda _: b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0" * 100,
    "TLS": lambda _: b"\x16\x03\x01\x00\xf8\x01" + b"\x01" * 240,
    "zeros": lambda _: b"\0" * 100_000,
}
TOO_MUCH: Mapping[str, Callable[[Good], bytes]] = {
    "250,000 headers": framed(more=b"a:b\r\n" * 250_000),
    "120 headers": framed(more=b"".join(b"x-%d: y\r\n" % n for n in range(120))),
    "80 headers of 1 kB": framed(more=(b"x-a: " + b"y" * 1_000 + b"\r\n") * 80),
    "a header of 5 MB": framed(more=b"x-a: " + b"y" * 5_000_000 + b"\r\n"),
    "the name of a header of 5 MB": framed(more=b"y" * 5_000_000 + b": x\r\n"),
    "a signature, 250,000 times": framed(more=b"x-mt-webhook-signature: 0\r\n" * 250_000),
    "a header without end": lambda _: LINE + b"x-a: " + b"y" * 5_000_000,
    "empty lines without end": lambda _: b"\r\n" * 1_000_000,
    "1,000 trailers": in_chunks(lambda one: one.chunked(b"a: b\r\n" * 1_000 + b"\r\n")),
    "a trailer of 5 MB": in_chunks(
        lambda one: one.chunked(b"x-a: " + b"y" * 5_000_000 + b"\r\n\r\n")
    ),
}
"""Of what precedes a signature, or follows the body that it covers."""
BROKEN_OFF: Mapping[str, Callable[[Good], bytes]] = {
    "nothing": lambda _: b"",
    "empty lines": lambda _: b"\r\n\r\n\r\n",
    "half a line": lambda _: LINE[:20],
    "half the headers": lambda one: LINE + LAST + one.signed[:30],
    "half the body": lambda one: framed()(one)[:-20],
    "half a chunk": in_chunks(lambda one: one.chunked()[:-20]),
    "no last chunk": in_chunks(lambda one: one.chunked()[:-5]),
    "a chunk of 4 GB": in_chunks(lambda one: b"ffffffff\r\n" + one.body),
}


@pytest.fixture(scope="module")
def receiver(
    fresh_store: FreshStore, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Receiver]:
    """The kind of store does not matter. In the end there is no fault in its log."""
    folder = tmp_path_factory.mktemp("raw")
    with fresh_store("sqlite") as url, Receiver(url, folder) as running:
        yield running
        assert "Traceback" not in running.log.read_text() + running.errors.read_text()
        assert {line["level"] for line in running.log_lines()} <= {"info", "warning"}


@pytest.fixture(scope="module", autouse=True)
def unfinished(receiver: Receiver) -> Iterator[socket.socket]:
    """A body of which the second half never comes. All others come meanwhile."""
    with closing(sent(receiver, framed()(good())[:-20])) as raw:
        yield raw


@pytest.fixture(scope="module")
def guarded(
    fresh_store: FreshStore, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Receiver]:
    """One whose metrics need a token."""
    folder = tmp_path_factory.mktemp("guarded")
    with (
        fresh_store("sqlite") as url,
        Receiver(url, folder, METRICS_TOKEN=" metrics-token ") as running,
    ):
        yield running


@pytest.fixture(scope="module", autouse=True)
def idle(receiver: Receiver) -> Iterator[socket.socket]:
    """A connection that waits for its next request. All others come meanwhile."""
    with closing(sent(receiver, b"HEAD /healthz HTTP/1.1\r\nhost: x\r\n\r\n")) as raw:
        assert raw.recv(4096).startswith(b"HTTP/1.1 200 ")
        yield raw


@pytest.fixture(scope="module", autouse=True)
def stalled(receiver: Receiver) -> Iterator[Mapping[str, socket.socket]]:
    """Connections on which no request ever begins. All others come meanwhile."""
    begun: Mapping[str, bytes] = {
        "nothing": b"",
        "half a head": LINE + LAST + b"x-a: ",
        "half of a second head": framed()(good()).replace(b"connection: close\r\n", b"") + LINE,
        "half a body that is answered already": LINE + b"content-length: 9999999\r\n\r\n" + LINE,
    }
    with ExitStack() as opened:
        connections = {
            name: opened.enter_context(closing(sent(receiver, one))) for name, one in begun.items()
        }
        until(lambda: count(receiver.engine, Delivery) == 2)
        yield connections


def sent(receiver: Receiver, request: bytes) -> socket.socket:
    raw = socket.create_connection(("127.0.0.1", receiver.port), timeout=ANSWER_SEC)
    raw.sendall(request)
    return raw


def answers(raw: socket.socket) -> list[int]:
    """The status of each answer until the receiver closes the connection."""
    said = b"".join(iter(lambda: raw.recv(65_536), b""))
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", said)]


@pytest.mark.parametrize("request_of", ODD_BUT_WHOLE.values(), ids=ODD_BUT_WHOLE)
def test_a_complete_delivery_is_accepted_however_odd_it_is(
    receiver: Receiver, request_of: Callable[[Good], bytes]
) -> None:
    before = count(receiver.engine, Delivery)
    with closing(sent(receiver, request_of(good()))) as raw:
        assert answers(raw)[-1] == 200
    assert count(receiver.engine, Delivery) == before + 1


@pytest.mark.parametrize("request_of", NO_HTTP.values(), ids=NO_HTTP)
def test_invalid_http_gets_a_400_and_the_next_delivery_is_accepted(
    receiver: Receiver, request_of: Callable[[Good], bytes]
) -> None:
    before = count(receiver.engine, Delivery)
    with closing(sent(receiver, request_of(good()))) as raw:
        assert answers(raw) == [400]
    assert receiver.deliver("badge.earned", {"n": playing.new_id()}).json() == {"received": True}
    assert count(receiver.engine, Delivery) == before + 1


@pytest.mark.parametrize("request_of", TOO_MUCH.values(), ids=TOO_MUCH)
def test_an_oversized_head_or_trailers_get_a_431_and_the_next_delivery_is_accepted(
    receiver: Receiver, request_of: Callable[[Good], bytes]
) -> None:
    before = count(receiver.engine, Delivery)
    with closing(sent(receiver, request_of(good()))) as raw:
        assert answers(raw) == [431]
    assert receiver.deliver("badge.earned", {"n": playing.new_id()}).json() == {"received": True}
    assert count(receiver.engine, Delivery) == before + 1


@pytest.mark.parametrize("request_of", BROKEN_OFF.values(), ids=BROKEN_OFF)
def test_an_incomplete_request_leaves_nothing_and_the_next_delivery_is_accepted(
    receiver: Receiver, request_of: Callable[[Good], bytes]
) -> None:
    before = count(receiver.engine, Delivery)
    with closing(sent(receiver, request_of(good()))) as raw:
        raw.shutdown(socket.SHUT_WR)
        assert set(answers(raw)) <= {503}
    assert receiver.deliver("badge.earned", {"n": playing.new_id()}).json() == {"received": True}
    assert count(receiver.engine, Delivery) == before + 1


PADDED = (b"%b", b"%b ", b"%b \t ", b" \t%b\t")


def authorized(value: bytes, path: bytes = b"POST /webhooks/lessonly") -> bytes:
    """A request with this value of the header; a lesson of its own is its body."""
    body = playing.lesson(user__id=playing.new_id())
    head = b"%b HTTP/1.1\r\n%bauthorization:%b\r\ncontent-length: %d\r\n\r\n%b"
    return head % (path, LAST, value, len(body), body)


@pytest.mark.parametrize("padded", PADDED)
def test_spaces_around_a_credential_are_removed(receiver: Receiver, padded: bytes) -> None:
    with closing(sent(receiver, authorized(padded % playing.AUTHORIZATION.encode()))) as raw:
        assert answers(raw) == [200]


@pytest.mark.parametrize(
    "value", [b"Bearer  value-one", b"Bearer value -one", b"Bearer\tvalue-one"]
)
def test_blanks_inside_a_credential_are_a_part_of_it(receiver: Receiver, value: bytes) -> None:
    with closing(sent(receiver, authorized(value))) as raw:
        assert answers(raw) == [403]


@pytest.mark.parametrize("padded", PADDED)
def test_spaces_around_the_token_of_the_metrics_are_removed(
    guarded: Receiver, padded: bytes
) -> None:
    for token, status in ((b"Bearer metrics-token", 200), (b"Bearer  metrics-token", 401)):
        with closing(sent(guarded, authorized(padded % token, b"GET /metrics"))) as raw:
            assert answers(raw) == [status]


def test_a_credential_with_spaces_around_it_is_replayed_once_its_value_is_set(
    fresh_store: FreshStore, tmp_path: Path
) -> None:
    with fresh_store("sqlite") as url:
        with (
            Receiver(url, tmp_path, LESSONLY_AUTHORIZATION="Bearer retired") as receiver,
            closing(sent(receiver, authorized(b" Bearer new \t"))) as raw,
        ):
            assert answers(raw) == [403]
        right = {"LESSONLY_AUTHORIZATION": "Bearer new", "DATABASE_URL": url}
        ended = command("replay", "--vendor", "lessonly", folder=tmp_path, **right)
    assert ended.stdout == "1 accepted, 0 already delivered, 0 still refused\n"


def in_pieces(receiver: Receiver, *pieces: bytes) -> bytes:
    """The head of the answer to a delivery whose pieces arrive one after another, without what
    changes from second to second."""
    with closing(socket.create_connection(("127.0.0.1", receiver.port), ANSWER_SEC)) as raw:
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in pieces:
            raw.sendall(piece)
            time.sleep(0.05)
        head, _ = b"".join(iter(lambda: raw.recv(65_536), b"")).split(b"\r\n\r\n")
    return re.sub(rb"date: .*\r\n", b"", head)


def test_a_delivery_has_the_same_answer_in_however_many_pieces_it_arrives(
    receiver: Receiver,
) -> None:
    heads = []
    for cuts in ((), (0,), (-5, 0), (0, 5), (-20, -10, 5), (0, 5, 10)):
        request = framed()(good())
        body = request.index(b"\r\n\r\n") + 4
        places = [0, *(body + cut for cut in cuts), len(request)]
        heads.append(in_pieces(receiver, *(request[a:b] for a, b in pairwise(places))))
    assert heads[0].startswith(b"HTTP/1.1 200 OK\r\n")
    assert [sorted(one.splitlines()) for one in heads] == [sorted(heads[0].splitlines())] * 6


def test_a_sender_that_leaves_after_the_head_is_counted(receiver: Receiver) -> None:
    name = 'repboard_deliveries_not_stored_total{vendor="mindtickle"}'
    before = receiver.metric(name)
    head, _ = framed()(good()).split(b"\r\n\r\n")
    sent(receiver, head + b"\r\n\r\n").close()
    until(lambda: receiver.metric(name) == before + 1)


def test_deliveries_in_one_piece_are_answered_in_turn(receiver: Receiver) -> None:
    pieces = [framed()(good()).replace(b"connection: close\r\n", b"") for _ in range(20)]
    unsigned = LINE + b"host: x\r\ncontent-length: 2\r\n\r\n{}"
    last = framed()(good())
    with closing(sent(receiver, b"".join([*pieces, unsigned, last]))) as raw:
        assert answers(raw) == [200] * 20 + [401, 200]


def test_thousands_of_requests_in_one_piece_are_not_queued(receiver: Receiver) -> None:
    flood = b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n" * 5_000
    with closing(sent(receiver, flood)) as raw, suppress(ConnectionResetError):
        assert len(answers(raw)) <= 101
    assert receiver.deliver("badge.earned", {"n": playing.new_id()}).json() == {"received": True}


def test_bytes_after_a_body_are_not_part_of_it(receiver: Receiver) -> None:
    before = count(receiver.engine, Delivery)
    with closing(sent(receiver, framed()(good()) + b"GET /healthz HTTP/1.1\r\n\r\n")) as raw:
        assert answers(raw) == [200]
    assert count(receiver.engine, Delivery) == before + 1


def test_an_incomplete_body_gets_a_503(unfinished: socket.socket) -> None:
    assert answers(unfinished) == [503]


def test_a_connection_on_which_no_request_begins_is_closed(
    stalled: Mapping[str, socket.socket],
) -> None:
    assert {name: answers(raw) for name, raw in stalled.items()} == {
        "nothing": [],
        "half a head": [],
        "half of a second head": [200],
        "half a body that is answered already": [413],
    }


def test_an_idle_connection_outlives_what_a_balancer_keeps_for_seconds(idle: socket.socket) -> None:
    """It is used again when the tests above have waited for a body, longer than uvicorn's 5 s."""
    idle.sendall(framed()(good()))
    assert answers(idle) == [200]
