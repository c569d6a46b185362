"""Sends messages at the same time, each in a process of its own that ends within a bound.

A channel's server can be slow, answer without end or redirect to an address inside. A library that
talks to it cannot be stopped from outside, a process can: it is killed after `DEADLINE_SEC`, may
have only so much memory, and may connect to public addresses only.
"""

import json
import os
import resource
import selectors
import signal
import sys
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from receiver.notify.outbox import Failed, Result, Sent

DEADLINE_SEC = 8.0
"""Of all messages of a step, so that the lease lasts."""
MEMORY_BYTES = 256 * 1024 * 1024
"""On top of what the process has at its start."""
LONGEST_WAIT = timedelta(hours=1)
"""However much later a server asks for another attempt."""
MAX_ANSWER = 10_000

NO_ANSWER = Failed(f"no complete answer within {DEADLINE_SEC:.0f} s")
CLOSED = frozenset({401, 403, 404, 410})
"""The address is wrong, or not valid any more: no message would be accepted."""
TOO_MANY = 429
TRIED_AGAIN = frozenset({408, 425, TOO_MANY})


class Answer(NamedTuple):
    """What a channel's server said: an HTTP status, if it speaks HTTP, and how many seconds to wait
    for the next attempt."""

    accepted: bool
    status: int | None = None
    wait_sec: float | None = None
    problem: str | None = None


def send_all(jobs: Sequence[Callable[[], Answer]], *, private: bool) -> list[Result]:
    """Do all jobs at the same time. `private`: they may connect to private addresses too."""
    deadline = time.monotonic() + DEADLINE_SEC
    running = [_start(job, private) for job in jobs]
    results: list[Result] = [NO_ANSWER] * len(jobs)
    with selectors.DefaultSelector() as waiting:
        for place, (_, pipe) in enumerate(running):
            waiting.register(pipe, selectors.EVENT_READ, place)
        while waiting.get_map() and (left := deadline - time.monotonic()) > 0:
            for key, _ in waiting.select(left):
                waiting.unregister(key.fd)
                results[key.data] = _result(os.read(key.fd, MAX_ANSWER))
    for pid, pipe in running:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(pipe)
    return results


def _start(job: Callable[[], Answer], private: bool) -> tuple[int, int]:
    ours, theirs = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(ours)
        _do(job, theirs, private)
    os.close(theirs)
    return pid, ours


def _do(job: Callable[[], Answer], pipe: int, private: bool) -> NoReturn:
    """In a process of its own, which has no other use for what its parent has."""
    try:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.alarm(2 * int(DEADLINE_SEC))  # if its parent ends
        _limit_memory()
        if not private:
            sys.addaudithook(_refuse_private)
        answer = job()
    except _PrivateAddress as refused:
        answer = Answer(accepted=False, problem=str(refused))
    except MemoryError:
        answer = Answer(accepted=False, problem="the answer was too large")
    except Exception as error:
        answer = Answer(accepted=False, problem=type(error).__name__)
    os.write(pipe, json.dumps(answer).encode())
    os._exit(0)


def _limit_memory() -> None:
    if sys.platform == "linux":
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[5])
        _, most = resource.getrlimit(resource.RLIMIT_DATA)
        limit = pages * resource.getpagesize() + MEMORY_BYTES
        resource.setrlimit(resource.RLIMIT_DATA, (limit, most))


class _PrivateAddress(Exception):
    """Not an OSError, which libraries take for a passing failure of the network."""


def _refuse_private(event: str, arguments: tuple[Any, ...]) -> None:
    """Called before each connection, with the address that a name was resolved to. So neither a
    redirect nor a name of someone else's leads inside."""
    if event == "socket.connect" and not is_public(arguments[1]):
        raise _PrivateAddress("refused: its address is private; see NOTIFY_PRIVATE_ADDRESSES")


def is_public(address: object) -> bool:
    """Whether an address of a socket is one of the internet."""
    if not isinstance(address, tuple) or not address:
        return False  # a Unix socket
    try:
        found = ip_address(str(address[0]).partition("%")[0])
    except ValueError:
        return False
    inside = getattr(found, "ipv4_mapped", None) or found
    return bool(inside.is_global and not inside.is_multicast)


def _result(read: bytes) -> Result:
    if not read:
        return Failed("could not be sent")  # its process ended without a word
    answer = Answer(*json.loads(read))
    if answer.accepted:
        return Sent()
    if answer.status is None:
        return Failed(answer.problem or "no connection, or not accepted")
    wait = None if answer.wait_sec is None else timedelta(seconds=answer.wait_sec)
    error = f"the server answered {answer.status}"
    closed = answer.status in CLOSED
    passing = closed or answer.status in TRIED_AGAIN or answer.status >= 500  # noqa: PLR2004
    return Failed(error, refused=not passing, closed=closed, wait=wait and min(wait, LONGEST_WAIT))
