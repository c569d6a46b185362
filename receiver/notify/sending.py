"""Sends messages, all of a channel in a process of their own that ends within a bound.

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
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from receiver.notify.outbox import Failed, Later, Result, Sent

DEADLINE_SEC = 8.0
"""Of all messages of a step, so that the lease lasts."""
BEGIN_SEC = 3.0
"""After this no message is begun, so that one that takes 5 s is not cut off at the deadline."""
MEMORY_BYTES = 256 * 1024 * 1024
"""On top of what the process has at its start."""
LONGEST_WAIT = timedelta(hours=1)
"""However much later a server asks for another attempt."""
MAX_READ = 65_536

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


def send_all(
    groups: Sequence[Sequence[Callable[[], Answer]]], *, private: bool
) -> list[list[Result]]:
    """Do the jobs of each group one after the other, and all groups at the same time. `private`:
    they may connect to private addresses too."""
    deadline = time.monotonic() + DEADLINE_SEC
    running = [_start(jobs, private) for jobs in groups]
    said = [b""] * len(groups)
    with selectors.DefaultSelector() as waiting:
        for place, (_, pipe) in enumerate(running):
            waiting.register(pipe, selectors.EVENT_READ, place)
        while waiting.get_map() and (left := deadline - time.monotonic()) > 0:
            for key, _ in waiting.select(left):
                read = os.read(key.fd, MAX_READ)
                said[key.data] += read
                if not read:
                    waiting.unregister(key.fd)
    ended = [_end(pid, pipe) for pid, pipe in running]
    return [
        _results(len(jobs), lines.splitlines(), code)
        for jobs, lines, code in zip(groups, said, ended, strict=True)
    ]


def _start(jobs: Sequence[Callable[[], Answer]], private: bool) -> tuple[int, int]:
    ours, theirs = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(ours)
        _do(jobs, theirs, private)
    os.close(theirs)
    return pid, ours


def _end(pid: int, pipe: int) -> int:
    """The exit code, negative if it had to be killed."""
    os.close(pipe)
    os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status)


def _do(jobs: Sequence[Callable[[], Answer]], pipe: int, private: bool) -> NoReturn:
    """In a process of its own, which has no other use for what its parent has. Writes a line for
    each job that it has done."""
    try:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.alarm(2 * int(DEADLINE_SEC))  # if its parent ends
        _limit_memory()
        if not private:
            sys.addaudithook(_refuse_private)
        begin_by = time.monotonic() + BEGIN_SEC
        for job in jobs:
            os.write(pipe, json.dumps(_answer(job)).encode() + b"\n")
            if time.monotonic() > begin_by:
                break
    finally:
        os._exit(0)


def _answer(job: Callable[[], Answer]) -> Answer:
    try:
        return job()
    except _PrivateAddress as refused:
        return Answer(accepted=False, problem=str(refused))
    except MemoryError:
        return Answer(accepted=False, problem="the answer was too large")
    except Exception as error:
        return Answer(accepted=False, problem=type(error).__name__)


def _results(jobs: int, lines: Sequence[bytes], code: int) -> list[Result]:
    """Of a process that was killed at the deadline, the job after the last line had begun."""
    results = [_result(Answer(*json.loads(line))) for line in lines]
    if code and len(results) < jobs:
        results.append(NO_ANSWER)
    return results + [Later()] * (jobs - len(results))


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


def _result(answer: Answer) -> Result:
    if answer.accepted:
        return Sent()
    if answer.status is None:
        return Failed(answer.problem or "no connection, or not accepted")
    wait = None if answer.wait_sec is None else timedelta(seconds=answer.wait_sec)
    error = f"the server answered {answer.status}"
    closed = answer.status in CLOSED
    passing = closed or answer.status in TRIED_AGAIN or answer.status >= 500  # noqa: PLR2004
    return Failed(error, refused=not passing, closed=closed, wait=wait and min(wait, LONGEST_WAIT))


def seconds(retry_after: str | None) -> float | None:
    """A header `Retry-After`: `120`, or a date."""
    if retry_after is None:
        return None
    if retry_after.strip().isdecimal():
        return float(retry_after)
    try:
        at = parsedate_to_datetime(retry_after)
    except ValueError:
        return None
    return max(0.0, (at.replace(tzinfo=at.tzinfo or UTC) - datetime.now(UTC)).total_seconds())
