"""What gets past the dashboard's server to Streamlit: paths, files, sessions and their messages.

Streamlit opens more than pages need, and most of it to anyone. Here only what a page needs is open.
"""

import asyncio
import json
import re
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias
from urllib.parse import parse_qs, unquote

from google.protobuf.message import DecodeError
from streamlit.auth_util import get_cookie_with_chunks
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.web.server.starlette.starlette_app_utils import decode_signed_value

from dashboard import viewer
from dashboard.base.screens import SCREEN, TOKEN
from dashboard.settings import DashboardSettings

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]

STREAM = "/_stcore/stream"
"""Where a page opens its session, a WebSocket."""
OPEN = frozenset({"/_stcore/health", "/_stcore/host-config"})
CLOSED = frozenset({"_stcore", "app", "component"})
"""Parts of a path that lead to uploads, to ways in for programs, and to files of components and of
an app; no page has such a name, and none of ours needs what lies there."""
WALL = "/wall"
FIRST = "/leaderboard"
"""The page that opens at `/`. Streamlit knows it by no other address, and calls it not found."""
USER = "_streamlit_user"
"""Streamlit's cookie of who has signed in."""

LARGEST_MESSAGE = 1_000_000
"""Bytes of a message of a page, whose largest is what was typed and selected on it."""
MOST_STRANGERS = 200
"""Sessions at the same time that are not signed in; each costs some memory."""
MOST_OF_ONE_ADDRESS = 40
"""Of these sessions; people behind one office address arrive at work together."""
IDLE_SEC = 900
"""After so long without a message a session that is not signed in ends."""
MOST_FILES = 10_000
"""How many files are remembered with the person who was given each, the latest."""


def is_closed(path: str) -> bool:
    """Whether a path leads to what no page needs, however it is written."""
    return path not in OPEN and not CLOSED.isdisjoint(_parts(path))


INSTALLED = re.compile(r"/static/media/[A-Za-z0-9_-][A-Za-z0-9._-]*")
"""Streamlit's own fonts: text and icons."""


def is_file(path: str) -> bool:
    """Whether a path leads to what a page made: a download, an image."""
    return "media" in _parts(path) and INSTALLED.fullmatch(path) is None


def _parts(path: str) -> list[str]:
    # The server has undone one layer of escapes. Whatever reads more into a path is not trusted.
    return unquote(unquote(path)).replace("\\", "/").lower().split("/")


class Files:
    """Which person was given which file. Streamlit gives a file to anyone who has its address."""

    def __init__(self) -> None:
        self._given: OrderedDict[tuple[str, str], None] = OrderedDict()

    def note(self, to: str, sent: bytes) -> None:
        """The files that a message to a page names."""
        for found in re.findall(rb"/media/([0-9a-f]{16,128})", sent):
            self._given[to, found.decode()] = None
            self._given.move_to_end((to, found.decode()))
        while len(self._given) > MOST_FILES:
            self._given.popitem(last=False)

    def were_given(self, to: str, path: str) -> bool:
        """Whether a page of theirs was sent the address of a file."""
        named = re.fullmatch(r"/media/([0-9a-f]{16,128})(\.[a-z0-9]+)?", path)
        return named is not None and (to, named[1]) in self._given


class Strangers:
    """How many sessions are open without a sign-in, in all and by address."""

    def __init__(self) -> None:
        self._open: Counter[str] = Counter()

    def enter(self, address: str) -> bool:
        """Whether there is room for one more; then it counts until it leaves. An empty address is
        of a proxy that does not say who is behind it."""
        of_address = self._open[address] if address else 0
        if self._open.total() >= MOST_STRANGERS or of_address >= MOST_OF_ONE_ADDRESS:
            return False
        self._open[address] += 1
        return True

    def leave(self, address: str) -> None:
        self._open[address] -= 1
        if not self._open[address]:
            del self._open[address]


async def refuse_session(send: Send) -> None:
    """Too many are open."""
    headers = [(b"retry-after", b"60"), (b"content-type", b"text/plain; charset=utf-8")]
    body = b"Too many pages are open that are not signed in. Try again in a minute.\n"
    await send({"type": "websocket.http.response.start", "status": 503, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": body})


def needed(receive: Receive, send: Send, idle: float | None = None) -> Receive:
    """Of what a session asks for, only what pages need. It is closed if it sends anything but
    Streamlit's messages, or nothing for `idle` seconds."""

    async def receive_needed() -> Message:
        while True:
            try:
                message = await asyncio.wait_for(receive(), idle)
            except TimeoutError:
                await send(_close(1008, "Idle and not signed in"))
                continue
            if message["type"] != "websocket.receive":
                return message
            if message.get("bytes") is None:
                await send(_close(1003, "Only binary messages"))
            elif _is_needed(message["bytes"]):
                return message

    return receive_needed


def _close(code: int, reason: str) -> Message:
    return {"type": "websocket.close", "code": code, "reason": reason}


def _is_needed(sent: bytes) -> bool:
    """Streamlit drops the caches of all sessions for anyone who asks, and with them an engine and
    its connections. It also hands out addresses for uploads, and runs git."""
    try:
        message = BackMsg.FromString(sent)
    except DecodeError:
        return True  # Streamlit ends such a connection
    kind = message.WhichOneof("type")
    if kind == "backend_operation_request":
        # A download that is made on click. The others write into folders of this machine.
        return message.backend_operation_request.WhichOneof("payload") == "deferred_file"
    return kind in ("rerun_script", "stop_script", "app_heartbeat")


def moved_to(path: str, query: bytes) -> bytes | None:
    """Where a page is that was asked for by an address of its own; None if it is there."""
    if path.rstrip("/") != FIRST:
        return None
    return b"/?" + query if query else b"/"


TOKENS = re.compile(r"[A-Za-z0-9_-]{32}")
"""Of subscriptions."""


def unsubscribed(method: str, path: str, query: bytes) -> str | None:
    """The token of a subscription that a mail program ends with one click (RFC 8058), which is a
    POST to the link of a message; None for any other request. The token is what allows it."""
    if method != "POST" or path != "/preferences":
        return None
    (token, *_) = parse_qs(query.decode("latin-1")).get("subscription", [""])
    return token if TOKENS.fullmatch(token) else None


def is_new_screen(path: str, cookies: str) -> bool:
    """Whether a browser opens the wall without a token of a screen."""
    return path.rstrip("/") == WALL and not TOKEN.fullmatch(_by_name(cookies).get(SCREEN, ""))


def _by_name(cookies: str) -> dict[str, str]:
    # A parser of the standard library stops at a cookie of another site that it does not like.
    return dict(one.strip().partition("=")[::2] for one in cookies.split(";"))


def signed_in(cookies: str, settings: DashboardSettings) -> str | None:
    """The name of the person who has signed in, by the cookies of a request; None without a sign-in
    that still counts. While no login is configured, the one name that all share."""
    if settings.dashboard_cookie_secret is None:
        return viewer.LOCAL.name
    secret = settings.dashboard_cookie_secret.get_secret_value()
    sent = _by_name(cookies)

    def signed(name: str) -> bytes | None:
        return decode_signed_value(secret, name, sent.get(name, "").encode("latin-1"))

    found = get_cookie_with_chunks(signed, USER)
    claims = json.loads(found) if found else {}
    if claims.get("is_logged_in") is not True or claims.get("origin") != settings.dashboard_url:
        return None
    person = viewer.of_claims(claims, settings)
    return person.name if person else None
