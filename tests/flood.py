"""`make flood`: strangers do their worst while a vendor delivers.

One part after the other: unsigned bodies, junk headers, junk JSON badly signed, bodies that stall
and heads that never end. Prints for each what became of the store, the receiver's memory and the
vendor's deliveries, and ends in failure if one of those waited for a second. Before
that it prints how large the table of deliveries is, and how quick pages' queries are, with and
without strangers' requests.
"""

import itertools
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from statistics import median

import psutil

from shared.database import migrate, open_engine
from tests import junk, playing
from tests.running import Receiver

SENDERS = 4
PART_SEC = 20
LONGEST_WAIT_SEC = 1
STALLED = 64
LIMIT = 1_048_576

LINE = b"POST /webhooks/mindtickle HTTP/1.1\r\nhost: x\r\n"
BADLY_SIGNED = b"x-mt-webhook-signature: %b\r\nx-mt-webhook-timestamp: %d\r\n"


def unsigned(_: int) -> bytes:
    return _with_body(b"", b"x" * 100_000)


def junk_headers(number: int) -> bytes:
    kinds = (b"a:b\r\n" * 250_000, b"a: " + b"x" * 5_000_000, b"x" * 5_000_000)
    return LINE + kinds[number % len(kinds)]


def junk_json(number: int) -> bytes:
    kinds = (
        b'{"event":[' + b"[]," * 340_000 + b"[]]}",
        b'{"event":[' + b"[]," * 21_000 + b"[]]}",
        b"[" * 60_000,
        b'{"event":' + b"9" * 4_000 + b"}",
        b'{"event":1e999999}',
        b"{" + b'"event":"a",' * 5_000 + b'"event":"b"}',
    )
    head = BADLY_SIGNED % (b"0" * 64, time.time())
    return _with_body(head, kinds[number % len(kinds)])


def _with_body(head: bytes, body: bytes) -> bytes:
    return LINE + head + b"content-length: %d\r\n\r\n" % len(body) + body


PARTS: Mapping[str, Callable[[int], bytes]] = {
    "unsigned bodies": unsigned,
    "junk headers": junk_headers,
    "junk JSON": junk_json,
}


def send(receiver: Receiver, request: Callable[[int], bytes], ended: threading.Event) -> int:
    """Requests sent, each on a connection of its own, until it has ended."""
    for number in itertools.count():
        if ended.is_set():
            return number
        with suppress(OSError), _connected(receiver) as raw:
            raw.sendall(request(number))
            raw.recv(4096)
    return 0


def _connected(receiver: Receiver) -> socket.socket:
    return socket.create_connection(("127.0.0.1", receiver.port), timeout=30)


def stall(receiver: Receiver, ended: threading.Event) -> int:
    """Connections opened: as many bodies one byte short of the limit as fill the room, and as many
    heads without an end, again and again."""
    opened = 0
    while not ended.is_set():
        connections = [_connected(receiver) for _ in range(2 * STALLED)]
        for number, raw in enumerate(connections):
            with suppress(OSError):
                body = b"content-length: %d\r\n\r\n" % LIMIT + b"x" * (LIMIT - 1)
                raw.sendall(LINE + (body if number % 2 else b"a: b\r\nc"))
        opened += len(connections)
        ended.wait(2)
        for raw in connections:
            raw.close()
    return opened


def deliver(receiver: Receiver) -> float:
    """Seconds until a good delivery was taken."""
    began = time.perf_counter()
    answer = receiver.deliver("badge.earned", {"n": playing.new_id()})
    if answer.json() != {"received": True}:
        sys.exit(f"A good delivery was answered {answer.status_code}.")
    return time.perf_counter() - began


@contextmanager
def measured(name: str, receiver: Receiver, folder: Path) -> Iterator[list[float]]:
    """Prints the waits that are put into the list, and what has become of the receiver."""
    waits: list[float] = []
    yield waits
    memory = psutil.Process(receiver.process.pid).memory_info().rss
    store = sum(file.stat().st_size for file in folder.glob("repboard.db*"))
    sys.stdout.write(
        f"{name}: store {store / 1e6:.0f} MB; receiver {memory / 1e6:.0f} MB; {len(waits):,} good "
        f"deliveries all taken, median {1000 * median(waits):.0f} ms, longest "
        f"{1000 * max(waits):.0f} ms\n"
    )
    if max(waits) >= LONGEST_WAIT_SEC:
        sys.exit(f"A good delivery waited for {max(waits):.1f} s.")


def play(name: str, receiver: Receiver, folder: Path, seconds: float) -> None:
    """One part; `seconds` is how long it lasts."""
    ended = threading.Event()
    with measured(name, receiver, folder) as waits, ThreadPoolExecutor(SENDERS) as pool:
        if request := PARTS.get(name):
            senders = [pool.submit(send, receiver, request, ended) for _ in range(SENDERS)]
        else:
            senders = [pool.submit(stall, receiver, ended)]
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            waits.append(deliver(receiver))
            time.sleep(0.05)
        ended.set()
        sent = sum(sender.result() for sender in senders)
        sys.stdout.write(f"{sent:,} sent in {seconds:.0f} s of ")


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else PART_SEC
    with tempfile.TemporaryDirectory() as name:
        for line in junk.compare(Path(name)):
            sys.stdout.write(f"{line}\n")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        url = f"sqlite:///{folder / 'repboard.db'}"
        migrate(open_engine(url))
        with Receiver(url, folder) as receiver:
            for part in (*PARTS, "stalled connections"):
                play(part, receiver, folder, seconds)


if __name__ == "__main__":
    main()
