"""Many deadlines watched by one timer: a timer for each is a twentieth of what a delivery costs."""

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

EVERY_SEC = 0.25
"""A deadline may pass by so much before it is noticed."""

Watched = TypeVar("Watched")


class Deadlines(Generic[Watched]):
    """Things of one event loop that must be over in time. `expire` is called, once, with each that
    is not."""

    def __init__(self, expire: Callable[[Watched], None]) -> None:
        self._expire = expire
        self._until: dict[Watched, float] = {}
        self._timer: asyncio.TimerHandle | None = None

    def set(self, one: Watched, seconds: float) -> None:
        """Expect the end of `one` within so many seconds from now, instead of any earlier limit."""
        loop = asyncio.get_running_loop()
        self._until[one] = loop.time() + seconds
        if self._timer is None:
            self._timer = loop.call_later(EVERY_SEC, self._sweep, loop)

    def clear(self, one: Watched) -> None:
        """Expect nothing of `one` any more."""
        self._until.pop(one, None)

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        for one in [one for one, until in self._until.items() if until <= now]:
            if self._until.pop(one, None) is not None:
                self._expire(one)
        self._timer = loop.call_later(EVERY_SEC, self._sweep, loop) if self._until else None
