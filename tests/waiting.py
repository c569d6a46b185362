"""Waiting for something, with a generous limit."""

import time
from collections.abc import Callable

START_SEC = 120


def until(done: Callable[[], bool], seconds: float = START_SEC) -> None:
    """Wait until something is done; fails after a while."""
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, "it was not done in time"
        time.sleep(0.02)
