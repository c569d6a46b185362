"""The dashboard's server: Streamlit's, with what we add to its answers and close of it.

What is closed, and for which roles, is in `doors.py`.
"""

import gc
import re
from asyncio import to_thread
from base64 import b64encode
from collections.abc import Iterator
from hashlib import sha256
from http.cookies import CookieError, SimpleCookie
from importlib import import_module
from pathlib import Path
from typing import Any, TypeAlias

import streamlit as st
from pydantic import SecretStr
from streamlit.web.server.starlette import starlette_server

from dashboard import deep_link, doors
from dashboard.base.screens import SCREEN, new_token
from dashboard.doors import Message, Receive, Send
from dashboard.options import options
from dashboard.scripts import Scripts
from dashboard.settings import DashboardSettings
from shared.setting_types import is_loopback

Header: TypeAlias = tuple[bytes, bytes]

APP = Path(__file__).parent / "app.py"
INDEX = Path(st.__file__).parent / "static" / "index.html"
SIGNED_IN = f"{doors.USER}=".encode()
WANTED = "repboard_wanted"
WANTED_SEC = 600
"""How long a sign-in may take until the page that was wanted is forgotten."""
SCREEN_SEC = 400 * 86_400
"""The longest that browsers keep a cookie."""


class Dashboard(st.App):
    """The ASGI application."""

    def __init__(self, settings: DashboardSettings) -> None:
        super().__init__(APP, secrets=_secrets(settings))
        self._settings = settings
        self._files = doors.Files()
        self._scripts = Scripts()
        self._strangers = doors.Strangers()
        self._url = settings.dashboard_url if settings.has_login else None
        self._headers = tuple(security_headers(_is_tls(settings)))
        self._secure = b"; Secure" if _is_tls(settings) else b""

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await self._session(scope, receive, send)
        elif scope["type"] == "http":
            await self._answer(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)

    async def _session(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["path"] != doors.STREAM or self._is_foreign(scope):
            await send({"type": "websocket.close", "code": 1008})
        elif who := self._who(scope):
            await self._serve(who, scope, doors.needed(receive, send), send)
        else:
            await self._serve_stranger(scope, receive, send)

    async def _serve_stranger(self, scope: Message, receive: Receive, send: Send) -> None:
        address = self._address(scope)
        if not self._strangers.enter(address):
            await doors.refuse_session(send)
            return
        try:
            await self._serve("", scope, doors.needed(receive, send, doors.IDLE_SEC), send)
        finally:
            self._strangers.leave(address)

    async def _serve(self, who: str, scope: Message, receive: Receive, send: Send) -> None:
        async def send_noted(message: Message) -> None:
            self._files.note(who, message.get("bytes") or b"")
            await send(message)

        await super().__call__(scope, receive, send_noted)

    async def _answer(self, scope: Message, receive: Receive, send: Send) -> None:
        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = list(self._guarded(scope, message))
            await send(message)

        if token := doors.unsubscribed(scope["method"], scope["path"], scope["query_string"]):
            await to_thread(_unsubscribe, token)
            await _send_empty(send_guarded, 200)
        elif status := self._refusal(scope):
            await _send_empty(send_guarded, status)
        elif there := doors.moved_to(scope["path"], scope["query_string"]):
            await _send_empty(send_guarded, 307, (b"location", there))
        elif self._scripts.has(scope):
            await self._scripts.send(scope["path"], send_guarded)
        else:
            await super().__call__(scope, receive, send_guarded)

    def _refusal(self, scope: Message) -> int | None:
        """The status of an answer without a body; None if Streamlit may answer."""
        path = scope["path"]
        if doors.is_closed(path):
            return 404
        if scope["method"] not in ("GET", "HEAD"):
            return 405  # nothing is sent to us but by the session
        if not doors.is_file(path):
            return None
        theirs = self._files.were_given(self._who(scope) or "", path)
        return None if theirs and not self._is_foreign(scope) else 404

    def _who(self, scope: Message) -> str | None:
        return doors.signed_in(_header(scope, b"cookie"), self._settings)

    def _address(self, scope: Message) -> str:
        """Of a browser, by the entry that the outermost of our proxies wrote into X-Forwarded-For;
        empty where no proxy is known to write it."""
        hops = self._settings.dashboard_proxy_hops
        entries = _header(scope, b"x-forwarded-for").split(",")
        return entries[-hops].strip() if 0 < hops <= len(entries) else ""

    def _is_foreign(self, scope: Message) -> bool:
        """Whether a page of another site opens the connection. Streamlit's own check would let in
        any page of this machine, and ask a host on the Internet for our address."""
        origin, own = _header(scope, b"origin"), f"http://{_header(scope, b'host')}"
        if self._url:
            return bool(origin) and origin != self._url
        # A stranger's name that leads to this machine is no name of ours.
        return not is_loopback(own) or (bool(origin) and origin != own)

    def _guarded(self, scope: Message, message: Message) -> Iterator[Header]:
        came_back = scope["path"] == "/oauth2callback" and any(
            value.startswith(SIGNED_IN) for _, value in message["headers"]
        )
        if doors.is_file(scope["path"]):
            yield b"cache-control", b"no-store"
        for name, value in message["headers"]:
            if name == b"set-cookie" and self._secure not in value:
                yield name, value + self._secure
            elif name == b"location" and came_back:
                yield name, deep_link.of_cookie(_cookie(scope, WANTED)).encode()
            else:
                yield name, value
        yield from self._headers
        if came_back:
            yield self._remember("", 0)
        elif scope["path"] == "/auth/login":
            yield self._remember(deep_link.as_cookie(_header(scope, b"referer")), WANTED_SEC)
        elif self._url and doors.is_new_screen(scope["path"], _header(scope, b"cookie")):
            yield self._set_cookie(SCREEN, new_token(), SCREEN_SEC)

    def _remember(self, value: str, seconds: int) -> Header:
        return self._set_cookie(WANTED, value, seconds)

    def _set_cookie(self, name: str, value: str, seconds: int) -> Header:
        # Not Strict: a wall that a link of another site opens would come without its token, and
        # lose its pairing to a new one.
        cookie = f"{name}={value}; Path=/; HttpOnly; SameSite=Lax; Max-Age={seconds}"
        return b"set-cookie", cookie.encode() + self._secure


def _unsubscribe(token: str) -> None:
    from dashboard.base.store import stop_by_token  # noqa: PLC0415 (its caches need the runtime)

    stop_by_token(token)


async def _send_empty(send: Send, status: int, *headers: Header) -> None:
    with_length = [(b"content-length", b"0"), *headers]
    await send({"type": "http.response.start", "status": status, "headers": with_length})
    await send({"type": "http.response.body", "body": b""})


def serve(settings: DashboardSettings) -> None:
    """Until stopped."""
    # Streamlit bounds what a browser may send by what it may be sent, 200 MB, and has no option.
    starlette_server.get_max_message_size_bytes = lambda: doors.LARGEST_MESSAGE  # type: ignore[attr-defined]
    _get_ready()
    Dashboard(settings).run(config=options(settings))


def _get_ready() -> None:
    """Load what pages draw with, so that the first visitor does not wait for it.

    All of it stays, and is left out when Python looks for garbage: a quarter of a second each time.
    """
    for library in ("altair", "pandas"):
        import_module(library)
    gc.collect()
    gc.freeze()


def _secrets(settings: DashboardSettings) -> dict[str, Any]:
    """Handed over in memory: no file and no command line ever holds them."""
    auth = {
        "redirect_uri": f"{settings.dashboard_url}/oauth2callback",
        "cookie_secret": _spoken(settings.dashboard_cookie_secret),
        "client_id": settings.oidc_client_id or "",
        "client_secret": _spoken(settings.oidc_client_secret),
        "server_metadata_url": settings.oidc_metadata_url or "",
    }
    return {"auth": auth} if settings.has_login else {}


def _spoken(secret: SecretStr | None) -> str:
    return secret.get_secret_value() if secret else ""


def _is_tls(settings: DashboardSettings) -> bool:
    return (settings.dashboard_url or "").startswith("https://")


def security_headers(tls: bool) -> Iterator[Header]:
    """Sent with every answer; `tls` if browsers reach us by https."""
    yield b"content-security-policy", _content_policy().encode()
    yield b"x-content-type-options", b"nosniff"
    yield b"x-frame-options", b"DENY"
    yield b"referrer-policy", b"same-origin"
    yield b"cross-origin-opener-policy", b"same-origin"
    yield b"cross-origin-resource-policy", b"same-origin"
    yield b"permissions-policy", b"camera=(), geolocation=(), microphone=(), payment=(), usb=()"
    if tls:
        yield b"strict-transport-security", b"max-age=31536000"


def _content_policy() -> str:
    """Nothing from anywhere else. Streamlit writes styles into the page, so those are allowed."""
    inline = re.findall(r"<script>(.*?)</script>", INDEX.read_text(encoding="utf-8"), re.DOTALL)
    hashes = [f"'sha256-{b64encode(sha256(one.encode()).digest()).decode()}'" for one in inline]
    return "; ".join(
        (
            "default-src 'self'",
            " ".join(("script-src 'self'", *hashes)),
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data: blob:",
            "font-src 'self' data:",
            "object-src 'none'",
            "base-uri 'none'",
            "form-action 'self'",
            "frame-ancestors 'none'",
        )
    )


def _header(scope: Message, name: bytes) -> str:
    """Empty without such a header, and where it is sent twice."""
    found = [value for key, value in scope["headers"] if key == name]
    return found[0].decode("latin-1") if len(found) == 1 else ""


def _cookie(scope: Message, name: str) -> str:
    try:
        cookies = SimpleCookie(_header(scope, b"cookie"))
    except CookieError:
        return ""
    return cookies[name].value if name in cookies else ""
