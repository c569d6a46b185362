"""The dashboard's server: Streamlit's, with what we add to its answers and close of it."""

import re
from base64 import b64encode
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from hashlib import sha256
from http.cookies import CookieError, SimpleCookie
from pathlib import Path
from typing import Any, TypeAlias

import streamlit as st
from google.protobuf.message import DecodeError
from pydantic import SecretStr
from streamlit.proto.BackMsg_pb2 import BackMsg

from dashboard import deep_link
from dashboard.settings import DashboardSettings
from shared.settings import is_loopback

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
Header: TypeAlias = tuple[bytes, bytes]

APP = Path(__file__).parent / "app.py"
INDEX = Path(st.__file__).parent / "static" / "index.html"
CLOSED = ("/_stcore/agent", "/_stcore/metrics")
"""Streamlit's ways in for programs, which nobody needs here and no login guards."""
SIGNED_IN = b"_streamlit_user="
WANTED = "repboard_wanted"
WANTED_SEC = 600
"""How long a sign-in may take until the page that was wanted is forgotten."""


class Dashboard(st.App):
    """The ASGI application."""

    def __init__(self, settings: DashboardSettings) -> None:
        super().__init__(APP, secrets=_secrets(settings))
        self._url = settings.dashboard_url if settings.has_login else None
        self._headers = tuple(security_headers(_is_tls(settings)))
        self._secure = b"; Secure" if _is_tls(settings) else b""

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket" and self._is_foreign(scope):
            await send({"type": "websocket.close", "code": 1008})
        elif scope["type"] == "http":
            await self._answer(scope, receive, send)
        else:
            await super().__call__(scope, without_clearing(receive), send)

    async def _answer(self, scope: Message, receive: Receive, send: Send) -> None:
        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = list(self._guarded(scope, message))
            await send(message)

        if scope["path"].startswith(CLOSED):
            await send_guarded({"type": "http.response.start", "status": 404, "headers": []})
            await send({"type": "http.response.body", "body": b""})
        else:
            await super().__call__(scope, receive, send_guarded)

    def _is_foreign(self, scope: Message) -> bool:
        """Whether a page of another site opens the connection. Streamlit's own check would let in
        any page of this machine, and ask a host on the Internet for our address."""
        origin, own = _header(scope, b"origin"), f"http://{_header(scope, b'host')}"
        if self._url:
            return bool(origin) and origin != self._url
        # A name of somebody else's that leads to this machine is no name of ours.
        return not is_loopback(own) or (bool(origin) and origin != own)

    def _guarded(self, scope: Message, message: Message) -> Iterator[Header]:
        came_back = scope["path"] == "/oauth2callback" and any(
            value.startswith(SIGNED_IN) for _, value in message["headers"]
        )
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

    def _remember(self, value: str, seconds: int) -> Header:
        cookie = f"{WANTED}={value}; Path=/; HttpOnly; SameSite=Lax; Max-Age={seconds}"
        return b"set-cookie", cookie.encode() + self._secure


def without_clearing(receive: Receive) -> Receive:
    """What a session asks for, but for its wish to drop the caches of all sessions: Streamlit would
    grant it to anybody, and each time forget an engine with its connections."""

    async def receive_others() -> Message:
        message = await receive()
        while _clears(message):
            message = await receive()
        return message

    return receive_others


def _clears(message: Message) -> bool:
    try:
        return bool(BackMsg.FromString(message.get("bytes") or b"").clear_cache)
    except DecodeError:
        return False  # Streamlit ends such a connection


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
