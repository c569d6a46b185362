"""MindTickle's REST API, played over real HTTP: what it answers is said by the test."""

import gzip
import json
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

TOKEN = "mt-token-hidden"


class Asked(NamedTuple):
    """A request as it came."""

    method: str
    path: str
    content: Any


class Played(NamedTuple):
    """An answer to give; `drops` closes the connection instead, `hangs` leaves it open."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = {}
    drops: bool = False
    hangs: bool = False


def answer(status: int, content: Any = None, **headers: str) -> Played:
    """An answer in JSON; `retry_after="3"` is its header Retry-After."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Played(status, b"" if content is None else json.dumps(content).encode(), named)


class MindTickleApi(ThreadingHTTPServer):
    """Gives the answers of `will` in their order; refuses any token but TOKEN."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.plays: deque[Played] = deque()
        self.asked: list[Asked] = []
        self.closing = threading.Event()

    def will(self, *plays: Played) -> None:
        self.plays.extend(plays)


class _Handler(BaseHTTPRequestHandler):
    server: MindTickleApi

    def _answer(self) -> None:
        sent = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        api = self.server
        api.asked.append(Asked(self.command, self.path, json.loads(sent) if sent else None))
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self._send(answer(401, {"message": "Unknown token"}))
            return
        play = api.plays.popleft()
        if play.hangs:
            api.closing.wait(30)
        elif not play.drops:
            self._send(play)

    do_POST = do_PATCH = _answer  # noqa: N815 (named so by http.server)

    def _send(self, play: Played) -> None:
        headers, body = play.headers, play.body
        if "gzip" in self.headers.get("Accept-Encoding", ""):
            headers, body = {**headers, "Content-Encoding": "gzip"}, gzip.compress(body)
        self.send_response(play.status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        # A client that has read enough hangs up.
        try:
            self.wfile.write(body)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Nothing: the tests look at `asked`."""


@contextmanager
def playing_api(port: int = 0) -> Iterator[MindTickleApi]:
    """The API, on a free port of this machine or on `port`."""
    with MindTickleApi(port) as api:
        thread = threading.Thread(target=api.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield api
        finally:
            api.closing.set()
            api.shutdown()
            thread.join()
