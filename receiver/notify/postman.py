"""The postman: sends messages to all channels at the same time, and to each the next message when
what became of the one before is noted."""

import json
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from functools import partial
from select import select
from typing import Any

from receiver.notify.channels import Channel, send
from receiver.notify.notifier import Compose, Message
from receiver.notify.outbox import Failed, Later, Letter, Noted, Result
from receiver.notify.sending import Answer, Sender
from shared.queries.digest import Board, Place

STEP_SEC = 0.5
"""How long a call takes. What a channel has not answered by then is heard in a later one."""
BEGIN_SEC = 3.0
"""After this nothing more of a claim is begun: what is urgent, or due for longer, comes first."""


class Postman:
    """Sends to the channels of the settings. `private`: also to private addresses."""

    def __init__(self, found: Iterable[Channel], *, private: bool) -> None:
        self._channels: Mapping[str, Channel] = {one.name: one for one in found}
        self._private = private
        self._queues: dict[str, _Queue] = {}
        self._rests: dict[str, float] = {}

    @property
    def busy(self) -> Set[str]:
        at = time.monotonic()
        self._rests = {name: until for name, until in self._rests.items() if until > at}
        return self._queues.keys() | self._rests.keys()

    @property
    def is_sending(self) -> bool:
        return bool(self._queues)

    def __call__(self, letters: Sequence[Letter], compose: Compose) -> Iterator[Sequence[Noted]]:
        by_channel: dict[str, list[Letter]] = {}
        for letter in letters:
            by_channel.setdefault(letter.channel, []).append(letter)
        for name, some in by_channel.items():
            if name in self._channels:
                self._queues[name] = _Queue(self._channels[name], some, private=self._private)
            else:
                yield [(letter, Failed("this notifier has no such channel")) for letter in some]
        until = time.monotonic() + STEP_SEC
        while self._queues and time.monotonic() < until:
            began = self._begin(compose)
            for queue in self._queues.values():
                queue.prepare(compose)  # while the channel takes the one before
            if found := began + self._heard(0 if began else until - time.monotonic()):
                yield found

    def stop(self) -> None:
        for queue in self._queues.values():
            queue.stop()

    def end(self) -> None:
        for queue in self._queues.values():
            queue.end()
        self._queues.clear()

    def _begin(self, compose: Compose) -> list[Noted]:
        """Begin the next message of each channel that has none. Gives what is not sent."""
        found: list[Noted] = []
        for name, queue in list(self._queues.items()):
            if queue.current is None:
                found += queue.begin(compose)
            if queue.is_over:
                queue.end()
                del self._queues[name]
        return found

    def _heard(self, wait_sec: float) -> list[Noted]:
        """What became of messages, as soon as it is known of one."""
        sending = {name: one for name, one in self._queues.items() if one.current is not None}
        if not sending:
            return []
        wait_sec = max(0.0, min(wait_sec, *(one.left_sec for one in sending.values())))
        ready, _, _ = select(sending.values(), [], [], wait_sec)
        return [
            self._result(name, one)
            for name, one in sending.items()
            if one in ready or not one.left_sec
        ]

    def _result(self, name: str, queue: "_Queue") -> Noted:
        """Also leaves a channel alone that is closed, or whose server asks for that."""
        letter, result = queue.result()
        if isinstance(result, Failed) and (result.closed or result.wait):
            queue.stop()
            if result.wait:
                self._rests[name] = time.monotonic() + result.wait.total_seconds()
        return letter, result


class _Queue:
    """Messages to a channel: `current` is being sent, the others follow."""

    def __init__(self, to: Channel, letters: Sequence[Letter], *, private: bool) -> None:
        self.current: Letter | None = None
        self._next: tuple[Letter, Message | Result] | None = None
        self._later = deque(letters)
        self._send = partial(_send, to)
        self._private = private
        self._sender: Sender | None = None
        self._until: float | None = None

    @property
    def is_over(self) -> bool:
        return self.current is None and self._next is None and not self._later

    def prepare(self, compose: Compose) -> None:
        """Write the next message, or find that it is not sent, and why."""
        if self._next is None and self._later:
            letter = self._later.popleft()
            self._next = letter, compose(letter)

    def begin(self, compose: Compose) -> Sequence[Noted]:
        """Begin the next message. Gives what is not sent, and why."""
        if self._until is None:
            self._until = time.monotonic() + BEGIN_SEC
        elif time.monotonic() > self._until:
            return self._put_off()
        self.prepare(compose)
        if self._next is None:
            return ()
        (letter, composed), self._next = self._next, None
        if not isinstance(composed, Message):
            return [(letter, composed)]
        self.current = letter
        if self._sender is None or self._sender.has_ended:
            self._sender = Sender(self._send, private=self._private)
        self._sender.begin(json.dumps([letter.message_id, composed]))
        return ()

    def _put_off(self) -> Sequence[Noted]:
        letters = [*([self._next[0]] if self._next else []), *self._later]
        self._next = None
        self._later.clear()
        return [(letter, Later()) for letter in letters]

    def fileno(self) -> int:
        return self._process.fileno()

    @property
    def left_sec(self) -> float:
        return self._process.left_sec

    def result(self) -> Noted:
        """What became of the current message, once this is readable or no time is left."""
        assert self.current is not None  # noqa: S101 (asked for before)
        letter, self.current = self.current, None
        return letter, self._process.result()

    def stop(self) -> None:
        """Begin nothing more of it."""
        self._until = 0.0

    def end(self) -> None:
        if self._sender is not None:
            self._sender.end()

    @property
    def _process(self) -> Sender:
        assert self._sender is not None  # noqa: S101 (it has a message)
        return self._sender


def _send(to: Channel, job: str) -> Answer:
    """In the process of a channel."""
    message_id, (title, body, html, stop, board) = json.loads(job)
    return send(to, message_id, Message(title, body, html, stop, board and _board(*board)))


def _board(title: str, period: str, places: Sequence[Any], about: str) -> Board:
    return Board(title, period, [Place(*one) for one in places], about)
