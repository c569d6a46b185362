"""Reads request bodies, within limits of size, time and bytes in transit."""

import asyncio
import ipaddress
from collections import Counter
from collections.abc import Callable, Mapping

from starlette.types import Receive

from receiver.deadlines import Deadlines

READ_SEC = 20
LONGEST_NUMBER = 18
SHARE_OF_PEER = 4
"""One peer may use a quarter of the room, and always one whole body."""
IPV6_PREFIX = 64
"""The network of one customer: all its addresses are one peer."""


class TooLarge(Exception):
    """The body is over the limit. `size` is the announced or read number of bytes."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.size = size


class CutOff(Exception):
    """The body is incomplete. `reason` says why."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Unfinished:
    """An incomplete body, and the task that reads it. `size` is its share of the room, in bytes;
    `cut_off` says why it is not read on."""

    def __init__(self, peer: str, task: "asyncio.Task[object]") -> None:
        self.peer = peer
        self.task = task
        self.body = bytearray()
        self.size = 0
        self.cut_off: str | None = None
        self.is_read = True

    def cut(self, reason: str) -> None:
        """Have the task stop reading."""
        self.cut_off = reason
        self.body.clear()
        # Later, as the task may be the running one: that would be cancelled at its response.
        self.task.get_loop().call_soon(self._interrupt)

    def _interrupt(self) -> None:
        if self.is_read:
            self.task.cancel()


class BodyReader:
    """Reads the bodies of one application.

    A complete body is never refused for lack of room, and a small one does not wait for large ones.
    When the room is full, the largest incomplete body of the peer with the most bytes is cut off;
    of equals, the oldest. `on_change` is given the bytes of all incomplete bodies.
    """

    def __init__(
        self, max_body: int, room: int, on_change: Callable[[float], object] = lambda _: None
    ) -> None:
        self._on_change = on_change
        self._max_body = max_body
        self._room = room
        self._room_of_peer = max(max_body, room // SHARE_OF_PEER)
        self._unfinished: dict[Unfinished, None] = {}
        self._deadlines = Deadlines[Unfinished](lambda one: one.cut("too slow"))
        self._bytes_of: Counter[str] = Counter()
        self._bytes = 0

    async def read(
        self, headers: Mapping[str, bytes], receive: Receive, address: str | None
    ) -> bytes:
        """The raw body from `address`. Raises CutOff or TooLarge."""
        announced = _announced(headers)
        if announced is not None and announced > self._max_body:
            raise TooLarge(announced)
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 (a coroutine runs in a task)
        one = Unfinished(peer_of(address), task)
        self._unfinished[one] = None
        self._deadlines.set(one, READ_SEC)
        try:
            await self._collect(receive, one)
        except asyncio.CancelledError:
            if one.cut_off is None:
                raise
            task.uncancel()
            raise CutOff(one.cut_off) from None
        finally:
            one.is_read = False
            self._deadlines.clear(one)
            self._forget(one)
        return bytes(one.body)

    async def _collect(self, receive: Receive, one: Unfinished) -> None:
        more = True
        while more:
            message = await receive()
            if one.cut_off:  # its task has not waited since
                raise CutOff(one.cut_off)
            if message["type"] == "http.disconnect":
                raise CutOff("the sender closed the connection")
            chunk = message.get("body", b"")
            one.body += chunk
            if len(one.body) > self._max_body:
                raise TooLarge(len(one.body))
            more = message.get("more_body", False)
            if more:
                self._count(one, len(chunk))
                self._make_room(one.peer)

    def _count(self, one: Unfinished, size: int) -> None:
        one.size += size
        self._bytes += size
        self._bytes_of[one.peer] += size
        if not self._bytes_of[one.peer]:
            del self._bytes_of[one.peer]
        self._on_change(self._bytes)

    def _forget(self, one: Unfinished) -> None:
        self._unfinished.pop(one, None)
        if one.size:
            self._count(one, -one.size)

    def _make_room(self, peer: str) -> None:
        while self._bytes_of[peer] > self._room_of_peer:
            self._cut_largest(peer)
        while self._bytes > self._room:
            self._cut_largest(max(self._bytes_of, key=self._bytes_of.__getitem__))

    def _cut_largest(self, peer: str) -> None:
        """Bodies are in the order of their start, so `max` finds the oldest of the largest."""
        of_peer = (one for one in self._unfinished if one.peer == peer)
        largest = max(of_peer, key=lambda one: one.size)
        self._forget(largest)
        largest.cut("made room for other bodies")


def peer_of(address: str | None) -> str:
    """The peer of an address: the IPv4 address, or the IPv6 network of one customer. All senders
    without a trusted address are one peer."""
    if address is None or ":" not in address:
        return address or ""
    return str(ipaddress.ip_network((address, IPV6_PREFIX), strict=False))


def _announced(headers: Mapping[str, bytes]) -> int | None:
    length = headers.get("content-length", b"")
    return int(length[:LONGEST_NUMBER]) if length.isdigit() else None
