"""The channels: named addresses of the settings, to which Apprise sends.

Apprise builds each service's payload and neutralises the markup in it. What it does not bound or
tell (time, size, redirects, status, Retry-After), `receiver.notify.sending` and `_Watched` do.
"""

import logging
from collections.abc import Iterable
from importlib import import_module
from typing import Any, NamedTuple

import requests
from requests import sessions
from sqlalchemy import Connection, update
from urllib3 import PoolManager

from receiver.notify.forwarding import Target, channel_of
from receiver.notify.notifier import PICTURE, Message
from receiver.notify.sending import Answer, seconds
from shared.bulk import insert_into, table_of
from shared.models import Channel as ChannelRow
from shared.queries.digest import Board
from shared.settings import NotifySettings, SettingsError

KINDS = {
    "slack": "Slack",
    "workflows": "Teams",
    "mailtos": "mail",
    "jsons": "JSON",
}
"""By the scheme of an address."""
UNENCRYPTED = {"mailto": "mail", "json": "JSON"}
"""Only with private addresses allowed: to a relay on the same machine or network."""
WEBHOOK = "webhook"
"""The kind of a target of forwards."""
ID_HEADER = "X-Repboard-Message"
"""The same for each attempt of a message, so that a receiver can leave out a repeated one."""
OURS = frozenset({ID_HEADER, "List-Unsubscribe", "List-Unsubscribe-Post"})
"""Headers of each message."""
WITH_PICTURES = ("mail", "JSON")
"""Kinds of channels that take a picture with a message, in one request."""
MAX_TITLE, MAX_BODY = 200, 6_000

channel = table_of(ChannelRow)


class Channel(NamedTuple):
    """A named address. `service` is Apprise's object for it, or a `Target` of forwards."""

    name: str
    kind: str
    service: Any


def channels(settings: NotifySettings) -> list[Channel]:
    """The channels of the settings, by name. Raises SettingsError, which never shows an address."""
    found = settings.channels()
    if not found:
        return []
    try:
        import apprise  # noqa: PLC0415 (an optional extra)
    except ImportError:
        raise SettingsError(
            f"NOTIFY_{next(iter(found)).upper()}: needs Apprise; pip install 'repboard[notify]'"
        ) from None
    logging.getLogger("apprise").addHandler(logging.NullHandler())
    logging.getLogger("apprise").propagate = False  # its lines may have parts of an address
    asset = apprise.AppriseAsset(http_redirects=False, app_id="Repboard", app_desc="Repboard")
    return [
        _channel(name, url, asset, private=settings.notify_private_addresses)
        for name, url in sorted(found.items())
    ]


def of_targets(found: Iterable[Target]) -> list[Channel]:
    """Targets of forwards, as channels."""
    return [Channel(channel_of(one.name), WEBHOOK, one) for one in found]


def _channel(name: str, url: str, asset: Any, *, private: bool) -> Channel:
    import apprise  # noqa: PLC0415 (an optional extra)

    variable, scheme = f"NOTIFY_{name.upper()}", url.partition("://")[0].lower()
    kind = (KINDS | (UNENCRYPTED if private else {})).get(scheme)
    if kind is None:
        raise SettingsError(
            f"{variable}: should begin with {', '.join(f'{one}://' for one in KINDS)}"
        )
    service = apprise.Apprise.instantiate(url, asset=asset, suppress_exceptions=True)
    if service is None:
        raise SettingsError(f"{variable}: is no complete {scheme}:// address of Apprise")
    if kind == "mail" and scheme == "mailtos" and getattr(service, "secure_mode", "") == "insecure":
        raise SettingsError(f"{variable}: turns off TLS")
    if not getattr(service, "verify_certificate", True):
        raise SettingsError(f"{variable}: turns off the check of certificates (verify=no)")
    service.redirects = False  # also if the address asks for them
    return Channel(name, kind, service)


def note_channels(connection: Connection, found: Iterable[Channel]) -> None:
    """Write the names into the store, for the dashboard. A channel that was closed is tried again:
    its address may be another one."""
    connection.execute(update(channel).values(removed=True))
    for one in found:
        values = {"kind": one.kind, "removed": False, "problem": None, "problem_at": None}
        insert = insert_into(connection.dialect.name, ChannelRow).values(name=one.name, **values)
        connection.execute(insert.on_conflict_do_update(index_elements=["name"], set_=values))


def send(to: Channel, message_id: str, message: Message) -> Answer:
    """Send one message, in a process of the channel's own."""
    if isinstance(to.service, Target):
        return to.service.send(message_id, message.body)
    _Watched.watch()
    _Watched.heard = (None, None)
    if to.kind == "mail":
        _name_mail(message_id)
    if hasattr(to.service, "headers"):  # mail, JSON
        kept = {name: text for name, text in to.service.headers.items() if name not in OURS}
        to.service.headers = kept | {ID_HEADER: message_id} | _unsubscribe(to, message)
    pictures = _pictures(message.board) if message.board and to.kind in WITH_PICTURES else None
    html = _html(to, message, has_picture=pictures is not None)
    body, form = (message.body, "text") if html is None else (html, "html")
    if html is not None:
        to.service.inline = True
    accepted = to.service.notify(
        title=message.title[:MAX_TITLE], body=body[:MAX_BODY], body_format=form, attach=pictures
    )
    return Answer(bool(accepted), *_Watched.heard)


def _name_mail(message_id: str) -> None:
    """Have mail carry the ID of its message: many servers and programs keep one of two mails with
    the same ID. Apprise makes a new one for each attempt."""
    mail: Any = import_module("apprise.plugins.email.base")
    mail.make_msgid = lambda domain: f"<{message_id}@{domain}>"


def _html(to: Channel, message: Message, *, has_picture: bool) -> str | None:
    """None where plain text is to be sent: it says what a picture does that was not drawn."""
    if to.kind != "mail" or (message.board is not None and not has_picture):
        return None
    return message.html if message.html is not None and len(message.html) <= MAX_BODY else None


def _pictures(board: Board) -> Any:
    """The board as an attachment of Apprise; none if it cannot be drawn, as its text says the
    same."""
    from apprise import AppriseAttachment  # noqa: PLC0415 (an optional extra)
    from apprise.attachment.memory import AttachMemory  # noqa: PLC0415

    from receiver.notify.picture import draw  # noqa: PLC0415

    try:
        drawn = draw(board)
    except Exception:
        return None
    attached: Any = AttachMemory
    return AppriseAttachment(attached(content=drawn, name=PICTURE, mimetype="image/png"))


def _unsubscribe(to: Channel, message: Message) -> dict[str, str]:
    """Headers by which a mail program offers to end a subscription (RFC 2369). With one click
    (RFC 8058), which needs https: the program posts to the address."""
    if to.kind != "mail" or message.stop is None:
        return {}
    one_click = {"List-Unsubscribe-Post": "List-Unsubscribe=One-Click"}
    is_tls = message.stop.startswith("https://")
    return {"List-Unsubscribe": f"<{message.stop}>"} | (one_click if is_tls else {})


class _Watched(requests.adapters.HTTPAdapter):
    """Remembers what a server answered: Apprise only says whether it was good. Keeps connections,
    which Apprise would open for each message."""

    heard: tuple[int | None, float | None] = (None, None)
    _kept: PoolManager | None = None

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        if self._kept is not None:
            self.poolmanager = self._kept
        else:
            super().init_poolmanager(*args, **kwargs)
            type(self)._kept = self.poolmanager

    def close(self) -> None:
        """Of a session, of which there is one for each message."""

    @classmethod
    def watch(cls) -> None:
        """Use it in each session that begins, in this process."""
        sessions.HTTPAdapter = cls  # type: ignore[attr-defined]

    def send(self, *args: Any, **kwargs: Any) -> requests.Response:
        response = super().send(*args, **kwargs)
        wait = seconds(response.headers.get("retry-after"))
        type(self).heard = (response.status_code, wait)
        return response
