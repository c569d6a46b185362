"""A receiver in a process of its own."""

import json
import os
import signal
import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any, Self

import httpx
import psutil
from sqlalchemy import Engine

from shared.database import open_engine
from tests import playing
from tests.programs import Program
from tests.stores import is_followed
from tests.waiting import START_SEC, until

ROOT = Path(__file__).parent.parent
_held: list[socket.socket] = []


def environment(**settings: str) -> dict[str, str]:
    """Only what is given: neither this shell's settings nor an `.env` reach the process."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
    return kept | {"PYTHONPATH": str(ROOT)} | settings


def command(*arguments: str, folder: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    """`python -m receiver …`, run to its end."""
    return program("receiver", *arguments, folder=folder, env=environment(**settings))


def program(
    module: str, *arguments: str, folder: Path, env: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """`python -m module …`, run to its end."""
    with TemporaryFile() as stdout, TemporaryFile() as stderr:
        process = Program(module, *arguments, cwd=folder, env=env, stdout=stdout, stderr=stderr)
        try:
            code = process.wait(START_SEC)
        finally:
            process.kill()
        said = [_written(file) for file in (stdout, stderr)]
    return subprocess.CompletedProcess([module, *arguments], code, *said)


def _written(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode()


def free_port() -> int:
    """A port that is ours until this process ends: no other worker or connection is given it.

    The server can bind it nevertheless, as both sides set SO_REUSEADDR and this one never listens.
    """
    holder = socket.socket()
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    holder.bind(("127.0.0.1", 0))
    _held.append(holder)
    return int(holder.getsockname()[1])


def is_up(*urls: str) -> bool:
    """Whether something answers at each of these addresses."""
    try:
        return all(httpx.get(url, verify=False, trust_env=False).is_success for url in urls)
    except httpx.TransportError:
        return False


@contextmanager
def dashboard(port: str, log: Path, **settings: str) -> Iterator[str]:
    """`python -m dashboard` on a port; its address. What it writes goes to `log`."""
    url = f"http://127.0.0.1:{port}"
    given = environment(DASHBOARD_PORT=port, **settings)
    with log.open("wb") as out:
        process = Program("dashboard", cwd=ROOT, env=given, stdout=out, stderr=out)
    try:
        until(lambda: process.poll() is not None or is_up(f"{url}/_stcore/health"))
        assert process.poll() is None, log.read_text()
        yield url
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=START_SEC)


class Receiver:
    """`python -m receiver serve` on a free port. Killed at the end if it still runs."""

    def __init__(
        self, database_url: str, folder: Path, port: int | None = None, **settings: str
    ) -> None:
        port = self.port = port or free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.engine: Engine = open_engine(database_url)
        self.log = folder / f"receiver-{port}.log"
        self.errors = folder / f"receiver-{port}.err"
        self.client = httpx.Client(base_url=self.url, timeout=30, verify=False, trust_env=False)
        with self.log.open("wb") as log, self.errors.open("wb") as errors:
            self.process = Program(
                "receiver",
                "serve",
                env=environment(
                    **{
                        "DATABASE_URL": database_url,
                        "RECEIVER_PORT": str(port),
                        "MINDTICKLE_WEBHOOK_SECRET": "secret-one,secret-two",
                        "MINDTICKLE_COMPANY_ID": playing.COMPANY,
                        "INNOVATIVE_EDUCATORS_ALLOWED_IPS": "127.0.0.1",
                        "LESSONLY_AUTHORIZATION": f"{playing.AUTHORIZATION},value-two",
                        "STANDARD_WEBHOOKS_SECRET": playing.WHSEC,
                    }
                    | settings
                ),
                cwd=folder,
                stdout=log,
                stderr=errors,
            )

    def __enter__(self) -> Self:
        try:
            until(self._answers)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.client.close()
        self.engine.dispose()

    def _answers(self) -> bool:
        assert self.process.poll() is None, self.errors.read_text()
        try:
            return self.client.get("/healthz").is_success
        except httpx.TransportError:
            return False

    def post(
        self, body: Any, headers: Mapping[str, str] | Any, vendor: str = "mindtickle"
    ) -> httpx.Response:
        return self.client.post(f"/webhooks/{vendor}", content=body, headers=headers)

    def deliver(
        self,
        event_type: str,
        data: Any,
        event_id: str | None = None,
        at: datetime | None = None,
    ) -> httpx.Response:
        """A signed delivery; `at` is its timestamp, by default now."""
        body = playing.body_of(event_type, data)
        event_id = playing.new_id() if event_id is None else event_id
        return self.post(body, playing.signed(body, at or datetime.now(UTC), event_id))

    def followed(self) -> None:
        """Wait until its follower has folded all stored events."""
        until(lambda: is_followed(self.engine))

    def log_lines(self) -> list[dict[str, Any]]:
        """The log, which must be one JSON object a line."""
        return [json.loads(line) for line in self.log.read_bytes().split(b"\n") if line]

    def metric(self, sample: str) -> float:
        """The value of one sample of /metrics, 0 as long as it is not there."""
        for line in self.client.get("/metrics").text.splitlines():
            if line.startswith(f"{sample} "):
                return float(line.rsplit(" ", 1)[1])
        return 0

    def processes(self, name: str | None = None) -> list[psutil.Process]:
        """Its processes, or those of its children with a name: `receiver`, `follower`."""
        parent = psutil.Process(self.process.pid)
        children = parent.children()
        return [one for one in children if one.name() == name] if name else [parent, *children]

    def kill(self) -> None:
        """As a power cut would: nothing is finished."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> int:
        """Ask it to end as a supervisor does; its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=START_SEC)
