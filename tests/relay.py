"""A proxy before a Postgres that a test can let break connections, or fall silent."""

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from sqlalchemy import make_url

RESET = struct.pack("ii", 1, 0)
CHUNK = 65_536


class Relay:
    """Passes bytes on between clients on a port of this machine and the server of a URL."""

    def __init__(self, url: str) -> None:
        self._url = make_url(url)
        folder = self._url.query["host"]
        assert isinstance(folder, str)
        self._server = str(Path(folder, f".s.PGSQL.{self._url.port or 5432}"))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._silent = threading.Event()
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        """The same database, by this way."""
        _, port = self._listener.getsockname()
        return self._url.set(
            host="127.0.0.1", port=port, query={"sslmode": "disable"}
        ).render_as_string(hide_password=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()
        self.reset()

    def reset(self) -> None:
        """End all connections without a word, as a proxy does that restarts."""
        for one in self._open:
            try:
                one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                one.shutdown(socket.SHUT_RDWR)
                one.close()
            except OSError:  # its other side was quicker
                continue
        self._open.clear()

    @contextmanager
    def silent(self) -> Iterator[None]:
        """Meanwhile all is accepted and nothing passed on, nor is it afterwards."""
        self._silent.set()
        try:
            yield
        finally:
            self._silent.clear()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.socket(socket.AF_UNIX)
            server.connect(self._server)
            self._open += (client, server)
            for pair in ((client, server), (server, client)):
                threading.Thread(target=self._pass, args=pair, daemon=True).start()

    def _pass(self, source: socket.socket, target: socket.socket) -> None:
        try:
            while data := source.recv(CHUNK):
                if not self._silent.is_set():
                    target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            return
