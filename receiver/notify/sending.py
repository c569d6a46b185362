"""Sends messages, those of a channel in a process of their own.

A channel's server can be slow, answer without end or redirect to an address inside. A library that
talks to it cannot be stopped from outside, a process can: it is killed `DEADLINE_SEC` after it
began a message, may have only so much memory, and may connect to public addresses only.
"""

import json
import os
import resource
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from ipaddress import ip_address
from pathlib import Path
from select import select
from typing import Any, NamedTuple, NoReturn

from receiver.notify.outbox import Failed, Result, Sent
from receiver.processes import killed_with

DEADLINE_SEC = 8.0
"""Of one message."""
MEMORY_BYTES = 256 * 1024 * 1024
"""On top of what the process has at its start."""
LONGEST_WAIT = timedelta(hours=1)
"""However much later a server asks for another attempt."""
MAX_READ = 65_536
"""Bytes of an answer as `Sender` gets it, which is a line of a few words."""

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


class Sender:
    """A process that does what it is given, one after the other. `do` gets the text of `begin` in
    that process. `private`: it may connect to private addresses too.

    It ends when this process does: at once on Linux, so that it sends nothing of which no process
    would note the result; elsewhere after what it is doing.
    """

    def __init__(self, do: Callable[[str], Answer], *, private: bool) -> None:
        theirs_in, self._jobs = os.pipe()
        self._results, theirs_out = os.pipe()
        self._deadline = float("inf")
        parent = os.getpid()
        self._pid = os.fork()
        if self._pid == 0:
            _work(parent, do, theirs_in, theirs_out, private)
        os.close(theirs_in)
        os.close(theirs_out)

    def begin(self, job: str) -> None:
        """Have it do this. There must be a `result` of the one before."""
        self._deadline = time.monotonic() + DEADLINE_SEC
        line = job.encode() + b"\n"
        with suppress(BrokenPipeError):  # it has ended, as `result` says
            while line:
                line = line[os.write(self._jobs, line) :]

    def fileno(self) -> int:
        """Readable once there is a result."""
        return self._results

    @property
    def left_sec(self) -> float:
        """Until what it does takes too long."""
        return max(0.0, self._deadline - time.monotonic())

    def result(self) -> Result:
        """What became of the job, once this is readable or took too long. After a failure this
        process has ended."""
        is_known, _, _ = select([self], [], [], 0)  # perhaps for long, while this one had to wait
        found = self._result() if is_known else NO_ANSWER
        if not isinstance(found, Sent):
            self.end()
        return found

    def _result(self) -> Result:
        line = os.read(self._results, MAX_READ)
        return _result(Answer(*json.loads(line))) if line else Failed("the process ended")

    @property
    def has_ended(self) -> bool:
        return not self._pid

    def end(self) -> None:
        """Kill it, whatever it does."""
        if self._pid:
            os.close(self._jobs)
            os.close(self._results)
            os.kill(self._pid, signal.SIGKILL)
            os.waitpid(self._pid, 0)
            self._pid = 0


def _work(
    parent: int, do: Callable[[str], Answer], jobs: int, results: int, private: bool
) -> NoReturn:
    """In a process of its own, which has no other use for what its parent has. Writes a line for
    each job that it has done."""
    try:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        killed_with(parent)
        _close_all_but(jobs, results)
        _limit_memory()
        if not private:
            sys.addaudithook(_refuse_private)
        with os.fdopen(jobs, encoding="utf-8") as lines:
            for line in lines:
                signal.alarm(2 * int(DEADLINE_SEC))  # if its parent has ended
                os.write(results, json.dumps(_answer(do, line)).encode() + b"\n")
                signal.alarm(0)
    finally:
        os._exit(0)


def _answer(do: Callable[[str], Answer], job: str) -> Answer:
    try:
        return do(job)
    except _PrivateAddress as refused:
        return Answer(accepted=False, problem=str(refused))
    except MemoryError:
        return Answer(accepted=False, problem="the answer was too large")
    except Exception as error:
        return Answer(accepted=False, problem=type(error).__name__)


def _close_all_but(*kept: int) -> None:
    """Leave what else the parent has open: its connections to the store, which would outlive it,
    and pipes of other channels, which end when no process has their other end."""
    at = 3  # after the standard streams
    for one in sorted(kept):
        os.closerange(at, one)
        at = one + 1
    os.closerange(at, resource.getrlimit(resource.RLIMIT_NOFILE)[0])


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
