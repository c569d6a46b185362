"""uvicorn's HTTP protocol, with limits on the request head and on time, and a short way for
deliveries.

uvicorn has no such limits: its parser buffers a header of any length, and its queue of pipelined
requests grows without limit. Any stranger can use that, before a signature is verified.

Most deliveries arrive in one piece, or in two, head and body. Such a one is handed over when it is
complete, without the task, the messages and the checks of headers with which uvicorn asks an
application: a third of what the event loop does for a delivery. All other requests take uvicorn's
way.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

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


class Response(Protocol):
    """A response with all its headers but the server's own."""

    @property
    def status(self) -> int: ...
    @property
    def headers(self) -> tuple[tuple[bytes, bytes], ...]: ...
    @property
    def body(self) -> bytes: ...


Headers = list[tuple[bytes, bytes]]
Client = tuple[str, int] | None


class Plain(NamedTuple):
    """A response in words."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes


class Whole(NamedTuple):
    """How an application takes a POST that has arrived, and its longest body in bytes. `take` calls
    what it is given, once, in the event loop."""

    max_body: int
    take: Callable[[Headers, Client, bytes, Callable[[Response], object]], None]


MAX_WHOLE_BYTES = 65_536
"""Of a body that is kept until it is complete: as much as uvicorn keeps of any body."""
WHOLE_SEC = 1
"""From head to body. A slower one takes uvicorn's way, on which other limits hold."""


def _expire(connection: "BoundedProtocol") -> None:
    connection.expire()


_deadlines = Deadlines(_expire)


class _Encoder:
    """Responses as bytes, under the headers that the server adds: it has new ones each second."""

    def __init__(self) -> None:
        self._added: Headers | None = None
        self._known: dict[Response, bytes] = {}

    def encode(self, response: Response, added: Headers) -> bytes:
        """The bytes of a response, after these headers."""
        if added is not self._added:
            self._added = added
            self._known.clear()
        known = self._known.get(response)
        if known is None:
            known = encode(response, added)
            if len(self._known) < MAX_KNOWN:
                self._known[response] = known
        return known


def encode(response: Response, added: Headers) -> bytes:
    """A response as bytes."""
    lines = [b"%b: %b\r\n" % header for header in (*added, *response.headers)]
    return b"".join((STATUS_LINE[response.status], *lines, b"\r\n", response.body))


MAX_KNOWN = 32
CLOSE = (b"connection", b"close")
FAILED = Plain(500, ((b"content-length", b"0"),), b"")
_encoder = _Encoder()


class _NoEvent:
    """For uvicorn, which wakes the task of a request: here is none."""

    def set(self) -> None:
        """Nothing waits."""


_no_event = _NoEvent()


class Exchange:
    """A request that took the short way, and its response. In the place of uvicorn's
    `RequestResponseCycle`, with the attributes that its connection uses."""

    __slots__ = ("_connection", "disconnected", "keep_alive", "response_complete")

    message_event = _no_event

    def __init__(self, connection: "BoundedProtocol", *, keep_alive: bool) -> None:
        self._connection = connection
        self.keep_alive = keep_alive
        self.disconnected = False
        self.response_complete = False

    def respond(self, response: Response) -> None:
        """Send the response, unless the client has gone."""
        if self.disconnected:
            return
        self.response_complete = True
        connection = self._connection
        added = connection.server_state.default_headers
        if self.keep_alive:
            connection.transport.write(_encoder.encode(response, added))
        else:
            connection.transport.write(encode(response, [*added, CLOSE]))
            connection.transport.close()
        connection.on_response_complete()


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
        self._wholes: Mapping[bytes, Whole] = getattr(config.loaded_app, "whole", {})
        self._whole: Whole | None = None
        """Takes the current request if the rest of it arrives soon."""
        self._body = b""
        self._awaits_rest = False
        self._offered = b"", b""
        """Method and version of a request that offers another protocol."""
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
        self._take_uvicorns_way()
        _deadlines.clear(self)
        super().connection_lost(exc)

    def shutdown(self) -> None:
        self._take_uvicorns_way()
        super().shutdown()

    def expire(self) -> None:
        """Its time is over."""
        if self._whole is None:
            self.transport.abort()
        else:
            self._take_uvicorns_way()

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        self._advanced = False
        try:
            self._feed(data)
        except HttpParserError:
            self._take_uvicorns_way()
            self._refuse()
            return
        if self._whole is not None:
            self._await_rest()
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
        method, version = self._offered
        lines = [method + b" " + self.url + b" HTTP/" + version]
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
        self.url = b""
        self.expect_100_continue = False
        self.headers = []
        self._begun = True
        if self.cycle is not None and self.cycle.response_complete:
            _deadlines.set(self, HEAD_SEC)
        self._await_head()

    def on_url(self, url: bytes) -> None:
        self.url += url
        if len(self.url) > MAX_URL_BYTES:
            raise ValueError("the address is too long")

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers += 1
        self._header_bytes += len(name) + len(value)
        if self._headers > MAX_HEADERS or self._header_bytes > MAX_HEAD_BYTES:
            self._too_much = True
            raise ValueError("too many headers")
        if self._in_head:  # a trailer is not a header: a proxy in front has not checked it
            name = name.lower()
            if name == b"expect" and value.lower() == b"100-continue":
                self.expect_100_continue = True
            self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        method = self.parser.get_method()
        if method == b"CONNECT":
            raise ValueError("CONNECT is not supported")
        if self.parser.should_upgrade():  # `_feed` parses it again
            self._offered = method, self.parser.get_http_version().encode()
            return
        if len(self.pipeline) >= MAX_PIPELINED:
            self._too_much = True
            raise ValueError("too many requests at once")
        self._whole = self._taker(method)
        if self._whole is None:
            self._ask_application()
        self._in_head = False
        self._await_body()
        self._headers = self._header_bytes = 0  # from here on they count trailers
        if not self.pipeline:
            _deadlines.set(self, REQUEST_SEC)

    def on_body(self, body: bytes) -> None:
        self._await_body()
        if self._whole is None:
            super().on_body(body)
        else:
            self._body += body
            if len(self._body) > min(self._whole.max_body, MAX_WHOLE_BYTES):
                self._take_uvicorns_way()

    def on_chunk_header(self) -> None:
        """Trailers follow the last chunk, which has no body."""
        self._buffers = self._advanced = True
        self._buffered = 0

    def on_chunk_complete(self) -> None:
        self._await_body()

    def on_message_complete(self) -> None:
        if self.parser.should_upgrade():
            return
        self._begun = False
        self._await_head()
        if self._whole is None:
            super().on_message_complete()
        else:
            self._take(self._whole)

    # Two ways to the application

    def _taker(self, method: bytes) -> Whole | None:
        """What takes the current request if it is a delivery that may take the short way."""
        usual = self._is_idle() and not self.flow.write_paused and not self.expect_100_continue
        if usual and method == b"POST" and self.parser.get_http_version() == "1.1":
            return self._wholes.get(self.url)
        return None

    def _await_rest(self) -> None:
        """Wait for one more piece."""
        if self._awaits_rest:
            self._take_uvicorns_way()
        else:
            self._awaits_rest = True
            _deadlines.set(self, WHOLE_SEC)

    def _end_short_way(self) -> bytes:
        """No longer wait for the rest. Returns the body as it is."""
        body, self._body, self._whole = self._body, b"", None
        if self._awaits_rest:
            self._awaits_rest = False
            _deadlines.set(self, REQUEST_SEC)
        return body

    def _take(self, whole: Whole) -> None:
        exchange = Exchange(self, keep_alive=self.parser.should_keep_alive())
        self.cycle = exchange  # type: ignore[assignment]
        body = self._end_short_way()
        try:
            whole.take(self.headers, self.client, body, exchange.respond)
        except Exception:
            self.logger.exception("Exception in ASGI application\n")  # as uvicorn says it
            exchange.respond(FAILED)

    def _take_uvicorns_way(self) -> None:
        """For a request that does not arrive soon enough."""
        if self._whole is not None:
            body = self._end_short_way()
            self._ask_application()
            if body:
                super().on_body(body)

    def _ask_application(self) -> None:
        url, headers, expects = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        self.url, self.expect_100_continue = url, expects
        self.headers += headers  # the list of the scope
        super().on_headers_complete()

    # What is expected next

    def _await_body(self) -> None:
        self._buffers = False
        self._advanced = True

    def _await_head(self) -> None:
        self._in_head = self._buffers = self._advanced = True
        self._buffered = self._headers = self._header_bytes = 0
