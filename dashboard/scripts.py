"""Streamlit's scripts and styles, compressed.

Streamlit sends them as they are: 4 MB on a first visit to a page with a table, in 120 files. With
gzip it is 0.9 MB. They are files of the installation and the same for everyone, so each is
compressed once, kept, and sent at once.
"""

import gzip
from asyncio import to_thread
from pathlib import Path

import streamlit as st

from dashboard.doors import Message, Send

FOLDER = Path(st.__file__).parent / "static"
TYPES = {".js": b"text/javascript; charset=utf-8", ".css": b"text/css; charset=utf-8"}


class Scripts:
    """Those that the installation has when the server starts. Nothing else is read."""

    def __init__(self) -> None:
        found = (path for path in (FOLDER / "static").rglob("*") if path.suffix in TYPES)
        self._files = {f"/{path.relative_to(FOLDER).as_posix()}": path for path in found}
        self._packed: dict[str, bytes] = {}

    def has(self, scope: Message) -> bool:
        """Whether a request is for one of them by a browser that can unpack it."""
        headers = dict(scope["headers"])
        accepted = [one.strip() for one in headers.get(b"accept-encoding", b"").split(b",")]
        asked = scope["method"] == "GET" and b"range" not in headers
        return asked and scope["path"] in self._files and b"gzip" in accepted

    async def send(self, path: str, send: Send) -> None:
        """Answer with a file. Its name has a digest of its content, so it may be kept for ever."""
        file = self._files[path]
        if path not in self._packed:
            self._packed[path] = await to_thread(lambda: gzip.compress(file.read_bytes(), 6))
        body = self._packed[path]
        headers = [
            (b"content-type", TYPES[file.suffix]),
            (b"content-encoding", b"gzip"),
            (b"content-length", str(len(body)).encode()),
            (b"vary", b"accept-encoding"),
            (b"cache-control", b"public, immutable, max-age=31536000"),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})
