"""`python -m receiver …` and `python -m dashboard` in processes of their own, without the seconds
that their imports take: each is forked from a process that has imported the program.

`python -m tests.programs <socket> <module>` is that process.
"""

import gc
import importlib
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

ROOT = Path(__file__).parent.parent
IMPORTED = {
    "receiver": ["receiver.__main__"],
    "dashboard": ["dashboard.__main__", "dashboard.server", "dashboard.settings"],
}
"""By program, what its process imports before it does anything."""
SCRIPTS = ("page",)
"""Modules of a subject that draw something when they are imported."""
MAX_REQUEST = 1_000_000
GONE = 255
"""The exit code of a program whose keeper was killed."""


class Program:
    """A running `python -m module …`, used as a `subprocess.Popen`."""

    def __init__(
        self,
        module: str,
        *arguments: str,
        cwd: Path,
        env: Mapping[str, str],
        stdout: IO[Any],
        stderr: IO[Any],
    ) -> None:
        self.returncode: int | None = None
        self._keeper, theirs = socket.socketpair()
        request = {"arguments": arguments, "cwd": str(cwd), "env": dict(env)}
        with theirs:
            files = (theirs.fileno(), stdout.fileno(), stderr.fileno())
            parent = _parent_of(module, env.get("PYTHONPATH", str(ROOT)))
            socket.send_fds(parent.requests, [json.dumps(request).encode()], files)
        self.pid = int(self._keeper.recv(16))

    def poll(self) -> int | None:
        """The exit code, if it has ended; negative after a signal."""
        return self._ended(0)

    def wait(self, timeout: float | None = None) -> int:
        """The exit code, once it has ended."""
        code = self._ended(timeout)
        if code is None:
            raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)
        return code

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _ended(self, timeout: float | None) -> int | None:
        if self.returncode is None:
            self._keeper.settimeout(timeout)
            try:
                self.returncode = int(self._keeper.recv(16) or GONE)
            except (TimeoutError, BlockingIOError):
                return None
            self._keeper.close()
        return self.returncode


class _Parent:
    """A process that has imported a program from a folder. It ends with this one."""

    def __init__(self, module: str, folder: str) -> None:
        self.requests, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.programs", str(theirs.fileno()), module],
                env={"PYTHONPATH": str(ROOT)},  # for this file; the working directory comes first
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )


_parents: dict[tuple[str, str], _Parent] = {}
_asking = threading.Lock()


def _parent_of(module: str, folder: str) -> _Parent:
    """The process that has imported this program from there, made at the first request."""
    with _asking:
        if (module, folder) not in _parents:
            _parents[module, folder] = _Parent(module, folder)
        return _parents[module, folder]


def main() -> None:
    """Import a program, and fork a process for each request. Those return, and run the program."""
    _, requests, module = sys.argv
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the system forgets the keepers
    for one in (*IMPORTED[module], *_behind_pages(module)):
        importlib.import_module(one)
    del sys.modules[f"{module}.__main__"]  # what runs as `__main__` is not imported before
    gc.freeze()
    with socket.socket(fileno=int(requests)) as asked:
        while True:
            request, files, *_ = socket.recv_fds(asked, MAX_REQUEST, 3)
            if not request:
                sys.exit()
            if os.fork() == 0:
                break
            for file in files:
                os.close(file)
    _keep(files[0])
    _become(module, json.loads(request), *files[1:])
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def _behind_pages(module: str) -> list[str]:
    """What the dashboard imports with the first pages that it shows."""
    if module != "dashboard":
        return []
    (folder,) = importlib.import_module(module).__path__
    files = Path(folder).glob("*/*.py")
    names = [f"{file.parent.name}.{file.stem}" for file in files if file.stem not in SCRIPTS]
    return [f"{module}.{name}" for name in names]


def _keep(client: int) -> None:
    """Returns in a new process. This one tells the client its ID and, in the end, its exit code."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    if child := os.fork():
        try:
            os.write(client, str(child).encode())
            _, status = os.waitpid(child, 0)
            os.write(client, str(os.waitstatus_to_exitcode(status)).encode())
        finally:
            os._exit(0)


def _become(module: str, request: Mapping[str, Any], stdout: int, stderr: int) -> None:
    """Take over what `python -m module` would have been started with."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.dup2(stdout, sys.stdout.fileno())
    os.dup2(stderr, sys.stderr.fileno())
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    time.tzset()
    sys.argv = [module, *request["arguments"]]
    sys.path[0] = request["cwd"]


if __name__ == "__main__":
    main()
