"""Child processes that one parent keeps running.

The parent does nothing else: it has no thread and no connection, so it can fork at any time, and a
child starts in milliseconds with what the parent has imported. A child that ends is started again.
Children end at once with their parent, however it ends.
"""

import ctypes
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from typing import NamedTuple, NoReturn

import structlog

FASTEST_SEC = 1.0
"""A child that ends sooner after its start is started again this long after it."""
STOP = (signal.SIGTERM, signal.SIGINT)
PR_SET_PDEATHSIG, PR_SET_NAME = 1, 15

log = structlog.get_logger()


def until_stopped() -> Callable[[float], bool]:
    """From now on SIGTERM and SIGINT stop this process after what it is doing. Returns a function
    that waits for so many seconds and says whether to stop."""
    stopped = False

    def stop(*_: object) -> None:
        nonlocal stopped
        stopped = True

    def stopping(pause: float) -> bool:
        if not stopped:
            time.sleep(pause)
        return stopped

    for number in STOP:
        signal.signal(number, stop)
    return stopping


class Child(NamedTuple):
    """A process: its name of at most 15 characters, as `top` shows it, and what it does."""

    name: str
    run: Callable[[], None]


class Processes:
    """The children of this process. `on_end` is given the ID of each that has ended."""

    def __init__(self, on_end: Callable[[int], object]) -> None:
        self._on_end = on_end
        self._running: dict[int, tuple[Child, float]] = {}
        self._stopped_by: int | None = None
        # Only this process has the writing end. So when it ends, its children can read the end.
        self._life, self._alive = os.pipe()

    def keep_running(self, children: list[Child]) -> None:
        """Start the children, and start each again that ends. After SIGTERM or SIGINT stop them
        and return; after SIGINT raises KeyboardInterrupt."""
        for one in STOP:
            signal.signal(one, self._stop)
        for child in children:
            self._start(child)
        while self._running:
            pid, status = os.waitpid(-1, 0)
            child, began = self._running.pop(pid)
            self._on_end(pid)
            if self._stopped_by is None:
                code = os.waitstatus_to_exitcode(status)
                log.error("process_ended", process=child.name, pid=pid, code=code)
                time.sleep(max(0.0, began + FASTEST_SEC - time.monotonic()))
                self._start(child)
        if self._stopped_by == signal.SIGINT:
            raise KeyboardInterrupt

    def _stop(self, number: int, _frame: object) -> None:
        self._stopped_by = number
        for pid in self._running:
            os.kill(pid, signal.SIGTERM)

    def _start(self, child: Child) -> None:
        # A signal waits until the parent knows the child, and the child is no parent any more.
        signal.pthread_sigmask(signal.SIG_BLOCK, STOP)
        parent = os.getpid()
        if self._stopped_by is None:
            pid = os.fork()
            if pid == 0:
                self._become(child, parent)
            self._running[pid] = child, time.monotonic()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP)

    def _become(self, child: Child, parent: int) -> NoReturn:
        code = 1
        try:
            os.close(self._alive)
            self._running.clear()
            signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent stops its children
            signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP)
            _end_with(parent, self._life)
            _set_name(child.name)
            child.run()
            code = 0
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else 1
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)


def _end_with(parent: int, life: int) -> None:
    """Have this process end when its parent does. Where the kernel does not, a thread waits for the
    end of a pipe."""
    threading.Thread(target=_end_after, args=(life,), name="parent", daemon=True).start()
    killed_with(parent)


def killed_with(parent: int) -> None:
    """On Linux, have the kernel kill this process when its parent ends."""
    if sys.platform == "linux":
        _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before the kernel was asked
        os._exit(1)


def _end_after(life: int) -> NoReturn:
    os.read(life, 1)
    os._exit(1)


def _set_name(name: str) -> None:
    if sys.platform == "linux":
        _prctl(PR_SET_NAME, name.encode())


def _prctl(option: int, value: int | bytes) -> None:
    ctypes.CDLL(None).prctl(option, value, 0, 0, 0)
