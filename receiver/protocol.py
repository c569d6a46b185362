"""uvicorn's HTTP protocol, with limits on the request head and on time.

uvicorn has neither: its parser buffers a header of any length, and its queue of pipelined requests
grows without limit. Any stranger can use that, before a signature is verified.
"""

import asyncio
from typing import Any

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.server import ServerState

from receiver.deadlines import Deadlines

MAX_HEADERS = 100
MAX_HEAD_BYTES = 65_536
"""Names and values of all headers, or of all trailers."""
MAX_URL_BYTES = 16_384
MAX_BUFFERED_BYTES = 2 * MAX_HEAD_BYTES
"""Of an incomplete head or trailers: the parser reports a header only when it is complete."""
MAX_PIPELINED = 100
"""Requests that wait on one connection for an earlier response."""
HEAD_SEC = 20
"""For a complete head, and for the rest of a body that is already answered."""
REQUEST_SEC = 60
"""From the end of the head to the response. The pipeline is much faster: this is for a client that
does not read its responses."""
LINGER_SEC = 2
"""After a refusal. Closing at once would reset the connection and could lose the response."""
TOO_MUCH = b"Request head too large."


def _abort(connection: "BoundedProtocol") -> None:
    connection.transport.abort()


_deadlines = Deadlines(_abort)


class BoundedProtocol(HttpToolsProtocol):
    """One connection."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._begun = False
        """Whether a request has arrived in part."""
        self._in_head = True
        self._buffers = True
        """Whether the parser buffers the next bytes, as it does with a head and trailers."""
        self._advanced = False
        self._buffered = 0
        self._headers = 0
        self._header_bytes = 0
        self._too_much = False
        self._refused = False

    # The connection

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        _deadlines.set(self, HEAD_SEC)

    def connection_lost(self, exc: Exception | None) -> None:
        _deadlines.clear(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        self._advanced = False
        try:
            self._feed(data)
        except HttpParserError:
            self._refuse()
            return
        if self._buffers and not self._advanced:
            self._buffered += len(data)
            if self._buffered > MAX_BUFFERED_BYTES:
                self._too_much = True
                self._refuse()
                return

    def _feed(self, data: bytes) -> None:
        """A server may ignore an offer of another protocol (RFC 9110, 7.8), but the parser stops
        there and drops the body. So the request is parsed again, without the offer."""
        try:
            self.parser.feed_data(data)
        except HttpParserUpgrade as stopped:
            offset: int = stopped.args[0]
            self.parser = HttpRequestParser(self)
            self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn does
            self._feed(self._head_without_offer() + data[offset:])

    def _head_without_offer(self) -> bytes:
        version = self.scope["http_version"].encode()
        lines = [self.scope["method"].encode() + b" " + self.url + b" HTTP/" + version]
        lines += [name + b": " + value for name, value in self.headers if name != b"upgrade"]
        return b"\r\n".join([*lines, b"", b""])

    def _refuse(self) -> None:
        status = 431 if self._too_much else 400
        message = TOO_MUCH if self._too_much else b"Invalid HTTP request received."
        self.logger.warning(message.decode())
        self._refused = True
        head = [name + b": " + value + b"\r\n" for name, value in self.server_state.default_headers]
        head.append(b"content-type: text/plain; charset=utf-8\r\n")
        head.append(b"content-length: %d\r\nconnection: close\r\n\r\n" % len(message))
        self.transport.write(b"".join([STATUS_LINE[status], *head, message]))
        if self.pipeline:
            self.transport.close()
            return
        if not self._is_idle():  # its own response must not follow this one
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self.transport.write_eof()
        _deadlines.set(self, LINGER_SEC)

    # Time

    def _is_idle(self) -> bool:
        """Whether no request is in progress."""
        return self.cycle is None or self.cycle.response_complete

    def on_response_complete(self) -> None:
        """As uvicorn's, which sets a timer for each idle connection."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            _deadlines.set(self, REQUEST_SEC)
            self._start_asgi_task(*self.pipeline.pop())
        else:
            _deadlines.set(self, HEAD_SEC if self._begun else self.timeout_keep_alive)

    # What the parser finds

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._begun = True
        if self.cycle is not None and self.cycle.response_complete:
            _deadlines.set(self, HEAD_SEC)
        self._await_head()

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        if len(self.url) > MAX_URL_BYTES:
            raise ValueError("the address is too long")

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers += 1
        self._header_bytes += len(name) + len(value)
        if self._headers > MAX_HEADERS or self._header_bytes > MAX_HEAD_BYTES:
            self._too_much = True
            raise ValueError("too many headers")
        if self._in_head:  # a trailer is not a header: a proxy in front has not checked it
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        if self.parser.get_method() == b"CONNECT":
            raise ValueError("CONNECT is not supported")
        if self.parser.should_upgrade():  # `_feed` parses it again
            self.scope["method"] = self.parser.get_method().decode("ascii")
            self.scope["http_version"] = self.parser.get_http_version()
            return
        if len(self.pipeline) >= MAX_PIPELINED:
            self._too_much = True
            raise ValueError("too many requests at once")
        super().on_headers_complete()
        self._in_head = False
        self._await_body()
        self._headers = self._header_bytes = 0  # from here on they count trailers
        if not self.pipeline:
            _deadlines.set(self, REQUEST_SEC)

    def on_body(self, body: bytes) -> None:
        self._await_body()
        super().on_body(body)

    def on_chunk_header(self) -> None:
        """Trailers follow the last chunk, which has no body."""
        self._buffers = self._advanced = True
        self._buffered = 0

    def on_chunk_complete(self) -> None:
        self._await_body()

    def on_message_complete(self) -> None:
        if self.parser.should_upgrade():
            return
        super().on_message_complete()
        self._begun = False
        self._await_head()

    # What is expected next

    def _await_body(self) -> None:
        self._buffers = False
        self._advanced = True

    def _await_head(self) -> None:
        self._in_head = self._buffers = self._advanced = True
        self._buffered = self._headers = self._header_bytes = 0
