"""Channels: real HTTP and SMTP servers of these tests, some of them hostile."""

import os
import signal
import time
from base64 import b64decode
from collections.abc import Callable, Sequence
from datetime import timedelta
from email import message_from_bytes, policy
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from select import select
from typing import Any

import psutil
import pytest
from aiosmtpd.controller import Controller
from sqlalchemy import Engine

from receiver.notify import postman, sending
from receiver.notify.channels import ID_HEADER, channels, note_channels
from receiver.notify.notifier import PICTURE, Message
from receiver.notify.outbox import Cause, Failed, Later, Letter, Noted, Result, Sent
from receiver.notify.postman import Postman
from receiver.notify.sending import Answer
from shared.models import Channel as ChannelRow
from shared.queries.digest import Board, Place
from shared.settings import NotifySettings, SettingsError
from tests import stores
from tests.receiver.notify.hooks import serving, status
from tests.running import free_port
from tests.waiting import until

HOSTILE = "*bold* <!channel> <at>all</at> [pay](https://evil.example) <b>x</b>"


def settings_of(monkeypatch: pytest.MonkeyPatch, *, private: bool, **addresses: str) -> Any:
    for name, address in addresses.items():
        monkeypatch.setenv(f"NOTIFY_{name.upper()}", address)
    return NotifySettings.load(_env_file=None, notify_private_addresses=private)


def sent_by(post: Postman, letters: Sequence[Letter], message: Message) -> list[Noted]:
    """What becomes of these letters, as it becomes known."""
    found = [one for some in post(letters, lambda _: message) for one in some]
    while post.is_sending:
        found += [one for some in post([], lambda _: message) for one in some]
    return found


Send = Callable[..., Result]


@pytest.fixture
def send(monkeypatch: pytest.MonkeyPatch) -> Send:
    """`send(address)`: a message to a channel with this address."""

    def send(
        address: str, text: str = "Ana needs coaching", message_id: str = "m-1", *,
        private: bool = True, html: str | None = None, stop: str | None = None,
        board: Board | None = None,
    ) -> Result:  # fmt: skip
        settings = settings_of(monkeypatch, private=True, sales=address)
        letter = Letter(message_id, "low-quiz", 1, "sales", 1, False, [Cause(1, "s", "r")])
        post = Postman(channels(settings), private=private)
        ((_, result),) = sent_by(post, [letter], Message("Low score", text, html, stop, board))
        return result

    return send


def test_json_goes_to_its_address_with_the_id_of_the_message(send: Send) -> None:
    with serving(status(200)) as server:
        assert send(server.address) == Sent()
        ((headers, body),) = server.requests
    assert headers[ID_HEADER] == "m-1"
    assert (body["title"], body["message"]) == ("Low score", "Ana needs coaching")


def mailed(send: Send, text: str, **more: Any) -> Any:
    """The mail that a server gets."""
    taken: list[bytes] = []

    class Handler:
        async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
            taken.append(envelope.content)
            return "250 OK"

    controller = Controller(Handler(), hostname="127.0.0.1", port=free_port())
    controller.start()
    try:
        address = f"mailto://127.0.0.1:{controller.port}?from=a@acme.example&to=ines@acme.example"
        assert send(address, text, **more) == Sent()
    finally:
        controller.stop()
    (raw,) = taken
    return message_from_bytes(raw, policy=policy.default)


def test_mail_without_html_is_plain_text_with_the_id_of_the_message(send: Send) -> None:
    mail = mailed(send, HOSTILE)
    assert mail[ID_HEADER] == "m-1"
    assert mail["Message-ID"].startswith("<m-1@")
    assert mail["Subject"] == "Low score"
    assert mail.get_content_type() == "text/plain"
    assert HOSTILE in mail.get_content()
    assert mail["List-Unsubscribe"] is None


def test_mail_is_html_beside_plain_text_and_has_a_way_to_unsubscribe(send: Send) -> None:
    stop = "https://repboard.acme.example/preferences?subscription=x"
    mail = mailed(send, "Ana", html="<p><b>Ana &lt;b&gt;</b></p><p>one<br>two</p>", stop=stop)
    assert mail.get_body(["plain"]).get_content().split() == ["Ana", "<b>", "one", "two"]
    assert "<b>Ana &lt;b&gt;</b>" in mail.get_body(["html"]).get_content()
    assert mail["List-Unsubscribe"] == f"<{stop}>"
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"


BOARD = Board(
    "Points gained last week", "17 Nov – 23 Nov 2025", [Place(1, "Ana", 90, "90", None)], "Ana led."
)
WITH_BOARD = f'<p>Ana led</p><img src="cid:{PICTURE}" alt="Ana led.">'


def test_mail_has_the_board_as_a_picture_inside(send: Send) -> None:
    mail = mailed(send, "1. Ana: 90 points", html=WITH_BOARD, board=BOARD)
    assert mail.get_content_type() == "multipart/related"
    (image,) = (part for part in mail.walk() if part.get_content_type() == "image/png")
    assert image["Content-ID"] == f"<{PICTURE}>"
    assert image.get_content_disposition() == "inline"
    assert image.get_content().startswith(b"\x89PNG")
    assert mail.get_body(["html"]).get_content().strip() == WITH_BOARD


def test_mail_is_plain_text_where_the_board_cannot_be_drawn(
    send: Send, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("receiver.notify.picture.draw", lambda _: 1 / 0)
    mail = mailed(send, "1. Ana: 90 points", html=WITH_BOARD, board=BOARD)
    assert mail.get_content_type() == "text/plain"
    assert "1. Ana: 90 points" in mail.get_content()


def test_json_has_the_board_as_an_attachment(send: Send) -> None:
    with serving(status(200)) as server:
        assert send(server.address, board=BOARD) == Sent()
        ((_, body),) = server.requests
    (attached,) = body["attachments"]
    assert attached["filename"] == PICTURE
    assert b64decode(attached["base64"]).startswith(b"\x89PNG")


def test_one_click_is_promised_only_over_https(send: Send) -> None:
    mail = mailed(send, "Ana", stop="http://127.0.0.1:8501/preferences?subscription=x")
    assert mail["List-Unsubscribe"] is not None
    assert mail["List-Unsubscribe-Post"] is None


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (410, Failed("the server answered 410", closed=True)),
        (401, Failed("the server answered 401", closed=True)),
        (413, Failed("the server answered 413", refused=True)),
        (503, Failed("the server answered 503")),
        (302, Failed("the server answered 302", refused=True)),
    ],
)
def test_what_the_server_answers_says_what_to_do(send: Send, code: int, expected: Failed) -> None:
    with serving(status(code)) as server:
        assert send(server.address) == expected


@pytest.mark.parametrize(("asked", "waited"), [("120", 120), ("999999", 3600)])
def test_a_server_that_is_asked_too_often_is_left_alone_up_to_an_hour(
    send: Send, asked: str, waited: int
) -> None:
    with serving(status(429, Retry_After=asked)) as server:
        result = send(server.address)
    assert result == Failed("the server answered 429", wait=timedelta(seconds=waited))


def test_no_redirect_is_followed(send: Send) -> None:
    with (
        serving(status(200)) as inside,
        serving(status(307, Location=f"http://127.0.0.1:{inside.server_port}/")) as server,
    ):
        send(f"{server.address}?redirect=yes")
        assert len(server.requests) == 1
        assert not inside.requests


def test_a_private_address_is_never_connected_to(send: Send) -> None:
    with serving(status(200)) as server:
        result = send(server.address.replace("127.0.0.1", "localhost"), private=False)
        assert not server.requests
    assert isinstance(result, Failed)
    assert "private" in result.error


@pytest.mark.parametrize(
    ("address", "public"),
    [
        (("93.184.215.14", 443), True),
        (("2606:4700::1111", 443, 0, 0), True),
        (("127.0.0.1", 443), False),
        (("10.1.2.3", 443), False),
        (("169.254.169.254", 80), False),
        (("0.0.0.0", 80), False),
        (("100.64.0.1", 80), False),
        (("224.0.0.1", 80), False),
        (("::1", 443, 0, 0), False),
        (("fe80::1%eth0", 443, 0, 2), False),
        (("::ffff:127.0.0.1", 443, 0, 0), False),
        ("/run/docker.sock", False),
        (b"/run/docker.sock", False),
    ],
)
def test_only_addresses_of_the_internet_are_public(address: object, public: bool) -> None:
    assert sending.is_public(address) is public


def endless(handler: BaseHTTPRequestHandler) -> None:
    """A byte at a time, without an end: each read is quick."""
    handler.send_response(200)
    handler.end_headers()
    while True:
        handler.wfile.write(b"x")
        time.sleep(0.05)


def test_an_answer_without_an_end_is_cut_off(send: Send, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "DEADLINE_SEC", 2.0)
    with serving(endless) as server:
        assert send(server.address) == sending.NO_ANSWER


def letters_to(*names: str) -> list[Letter]:
    return [
        Letter(f"m-{n}", "low-quiz", 1, name, 1, False, [Cause(n, "s", "r")])
        for n, name in enumerate(names)
    ]


def test_a_channel_takes_what_it_can_in_a_claim_and_the_rest_waits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(postman, "BEGIN_SEC", 0.0)
    with serving(status(200)) as slow, serving(status(200)) as quick:
        settings = settings_of(monkeypatch, private=True, slow=slow.address, quick=quick.address)
        post = Postman(channels(settings), private=True)
        letters = letters_to("slow", "quick", "slow", "unknown")
        sent = sent_by(post, letters, Message("title", "body"))
        assert len(slow.requests) == len(quick.requests) == 1
    absent = Failed("this notifier has no such channel")
    found = {letter.message_id: result for letter, result in sent}
    assert found == {"m-0": Sent(), "m-1": Sent(), "m-2": Later(), "m-3": absent}


def test_a_channel_that_does_not_answer_holds_up_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(endless) as slow, serving(status(200)) as quick:
        settings = settings_of(monkeypatch, private=True, slow=slow.address, quick=quick.address)
        post, message = Postman(channels(settings), private=True), Message("title", "body")
        first, *more = letters_to("slow", "quick", "quick")
        while not slow.requests:
            list(post([] if post.is_sending else [first], lambda _: message))
        found: list[Noted] = []
        while len(found) < 2:
            found += [one for some in post(more, lambda _: message) for one in some]
            more = []
        assert post.busy == {"slow"}
        assert [result for _, result in found] == [Sent(), Sent()]
        post.end()


def test_a_channel_gets_its_next_message_once_the_one_before_is_noted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with serving(status(200)) as server:
        settings = settings_of(monkeypatch, private=True, sales=server.address)
        post = Postman(channels(settings), private=True)
        noted = 0
        letters = letters_to(*3 * ["sales"])
        while noted < len(letters):
            for results in post(letters if not noted else [], lambda _: Message("t", "b")):
                time.sleep(0.1)  # a store that is slow to note it
                noted += len(results)
                assert len(server.requests) == noted


@pytest.mark.parametrize(("code", "pause"), [(429, {"Retry_After": "600"}), (410, {})])
def test_a_channel_that_asks_for_a_pause_or_is_closed_gets_nothing_more(
    monkeypatch: pytest.MonkeyPatch, code: int, pause: dict[str, str]
) -> None:
    with serving(status(code, **pause)) as server:
        settings = settings_of(monkeypatch, private=True, sales=server.address)
        post = Postman(channels(settings), private=True)
        sent = sent_by(post, letters_to(*3 * ["sales"]), Message("title", "body"))
        assert len(server.requests) == 1
    assert [result for _, result in sent[1:]] == [Later(), Later()]
    assert post.busy == ({"sales"} if pause else set())


def test_messages_to_a_server_share_a_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    connections = set()

    def answer(handler: BaseHTTPRequestHandler) -> None:
        connections.add(handler.client_address)
        status(200)(handler)

    with serving(answer) as server:
        server.RequestHandlerClass.protocol_version = "HTTP/1.1"  # type: ignore[attr-defined]
        settings = settings_of(monkeypatch, private=True, sales=server.address)
        post = Postman(channels(settings), private=True)
        sent = sent_by(post, letters_to(*3 * ["sales"]), Message("title", "body"))
        assert [result for _, result in sent] == 3 * [Sent()]
    assert len(connections) == 1


def test_a_message_that_was_begun_is_not_sent_once_the_notifier_is_killed(tmp_path: Path) -> None:
    pid, sent = tmp_path / "pid", tmp_path / "sent"

    def slow(_: str) -> Answer:
        pid.write_text(str(os.getpid()))
        os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(1)
        sent.touch()
        return Answer(accepted=True)

    notifier = os.fork()
    if notifier == 0:
        sending.Sender(slow, private=True).begin("a message")
        time.sleep(60)
        os._exit(1)
    os.waitpid(notifier, 0)
    until(lambda: has_ended(int(pid.read_text())))
    assert not sent.exists()


def test_an_answer_that_came_in_time_counts_however_late_it_is_looked_at(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sending, "DEADLINE_SEC", 0.0)
    sender = sending.Sender(lambda _: Answer(accepted=True), private=True)
    sender.begin("a message")
    select([sender], [], [])
    assert not sender.left_sec
    assert sender.result() == Sent()
    sender.end()


def has_ended(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def flood(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()
    while True:
        handler.wfile.write(b"x" * 1_000_000)


def test_an_answer_without_a_limit_takes_bounded_memory(
    send: Send, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "MEMORY_BYTES", 30_000_000)
    monkeypatch.setattr(sending, "DEADLINE_SEC", 60.0)
    with serving(flood) as server:
        assert send(server.address) == Failed("the answer was too large")


def test_slack_and_teams_get_text_without_markup_of_a_payload(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slack = "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/"
    teams = "workflows://prod-1.westeurope.logic.azure.com:443/643e69f83c8944/signature/"
    found = channels(settings_of(monkeypatch, private=False, one=slack, two=teams))
    said = {one.kind: _payload_of(one.service) for one in found}
    assert "&lt;!channel&gt;" in said["Slack"]
    assert "<!channel>" not in said["Slack"]
    assert '"mrkdwn": false' in said["Slack"]
    assert "<at>" not in said["Teams"]
    assert "[pay](" not in said["Teams"]


def _payload_of(service: Any) -> str:
    """What would be sent to a service of the internet: read where it would connect."""
    sent: list[str] = []

    class Kept(__import__("requests").adapters.HTTPAdapter):  # type: ignore[misc]
        def send(self, request: Any, **_: Any) -> Any:
            sent.append(request.body if isinstance(request.body, str) else request.body.decode())
            raise __import__("requests").ConnectionError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("requests.sessions.HTTPAdapter", Kept)
        service.notify(title="Low score", body=HOSTILE, body_format="text")
    return sent[0]


@pytest.mark.parametrize(
    "address",
    [
        "http://acme.example/hook",
        "json://acme.example/hook",
        "mailto://user:pass@acme.example",
        "mailtos://user:pass@acme.example?mode=insecure",
        "jsons://acme.example/hook?verify=no",
        "slack://nothing",
        "file:///etc/passwd",
        "nothing",
    ],
)
def test_an_address_that_is_not_allowed_stops_the_start_and_is_not_shown(
    monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    with pytest.raises(SettingsError, match=r"^NOTIFY_SALES: ") as raised:
        channels(settings_of(monkeypatch, private=False, sales=address))
    assert address not in str(raised.value)


def test_the_store_has_the_names_of_channels_and_no_address(
    store: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    private = "jsons://user:secret@acme.example/hook"
    for names in (["sales_west", "old"], ["sales_west"]):
        monkeypatch.delenv("NOTIFY_OLD", raising=False)
        settings = settings_of(monkeypatch, private=False, **dict.fromkeys(names, private))
        with store.begin() as connection:
            note_channels(connection, channels(settings))
    rows = stores.rows(store, ChannelRow)
    found = [(row.name, row.kind, row.removed) for row in rows]
    assert found == [("old", "JSON", True), ("sales_west", "JSON", False)]
    assert "secret" not in str(rows)


def test_the_variable_of_systemd_is_no_channel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", "/run/systemd/notify")
    assert channels(settings_of(monkeypatch, private=False)) == []
