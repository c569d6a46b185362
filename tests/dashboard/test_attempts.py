"""Attempts to get at a page, a row or a write without the role, against a running dashboard.

They speak to the server as a browser does, but keep to none of a browser's rules. The cookies of
those who have signed in are signed here with the server's own secret, as its answer would be.
"""

import http.client
import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest
import streamlit
from itsdangerous import URLSafeTimedSerializer
from sqlalchemy import Engine
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from dashboard.doors import LARGEST_MESSAGE, MOST_STRANGERS
from shared.database import open_engine
from shared.models import ReplayRequest
from tests import playing, stores
from tests.conftest import FreshStore
from tests.identity import CLIENT_SECRET, COOKIE_SECRET, Provider, dashboard, encoded
from tests.running import Receiver, until

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:authlib")

USER = "_streamlit_user"
ADMIN, MANAGER = "ada@acme.example", "mo@acme.example"
SIGN_IN, NOT_FOR_YOU = "Sign in to see this page", "is not for your role"
RUN_SEC = 30


class Site(NamedTuple):
    """A running dashboard, its store, and what it wrote to its log."""

    url: str
    store: Engine
    log: Path


@pytest.fixture(scope="module")
def site(fresh_store: FreshStore, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("dashboard")
    with fresh_store("sqlite") as store_url, Provider().running() as provider:
        with Receiver(store_url, folder) as receiver:
            assert receiver.deliver("module.progress", playing.progress("u-1")).is_success
            assert receiver.post(b"{}", {"x-mt-event-id": "evt-1"}).status_code == 401
            receiver.followed()
        with dashboard(
            provider,
            store_url,
            folder / "log",
            DASHBOARD_ADMINS=ADMIN,
            DASHBOARD_MANAGERS=MANAGER,
        ) as url:
            engine = open_engine(store_url)
            yield Site(url, engine, folder / "log")
            engine.dispose()


def cookie(
    site: Site, email: str, secret: str = COOKIE_SECRET, salt: str = USER, **more: object
) -> str:
    """What the server gives to a browser that comes back from the provider."""
    now = int(time.time())
    claims = {
        "sub": email,
        "email": email,
        "email_verified": True,
        "iat": now,
        "exp": now + 3600,
        "origin": site.url,
        "is_logged_in": True,
        "provider": "default",
    } | more
    return URLSafeTimedSerializer(secret, salt=salt).dumps(json.dumps(claims))


def opened(site: Site, user: str, origin: str | None = "own", host: str = "") -> ClientConnection:
    """A connection as a page opens one, with the cookie of a user."""
    xsrf = httpx.get(f"{site.url}/_stcore/health", verify=False).cookies.get("_streamlit_xsrf", "")
    headers = {"Cookie": f'_streamlit_xsrf="{xsrf}"; {USER}={user}'}
    return connect(
        f"{site.url.replace('http', 'ws')}/_stcore/stream",
        origin=site.url if origin == "own" else origin,  # type: ignore[arg-type]
        additional_headers=headers | ({"Host": host} if host else {}),
        subprotocols=["streamlit", xsrf],  # type: ignore[list-item]
        max_size=None,
    )


class Run(NamedTuple):
    """What the server sent for one run of a page: its words, and the ids of what can be used."""

    text: str
    buttons: dict[str, str]
    fragments: set[str]


def ask(connection: ClientConnection, page: str = "", query: str = "", **more: str) -> None:
    """Ask for a run of a page. `pressed` is the id of a button, `part` that of a live part."""
    asked = BackMsg()
    asked.rerun_script.page_name = page
    asked.rerun_script.query_string = query
    asked.rerun_script.fragment_id = more.get("part", "")
    if pressed := more.get("pressed"):
        asked.rerun_script.widget_states.widgets.add(id=pressed, trigger_value=True)
    connection.send(asked.SerializeToString())


def run(connection: ClientConnection, page: str = "", query: str = "", **more: str) -> Run:
    """The same, and what comes of it."""
    ask(connection, page, query, **more)
    texts, buttons, fragments = [], {}, set()
    while True:
        message = ForwardMsg.FromString(connection.recv(timeout=RUN_SEC))  # type: ignore[arg-type]
        element = message.delta.new_element
        texts += [element.markdown.body, element.alert.body, element.heading.body]
        if element.button.id:
            buttons[element.button.label] = element.button.id
        fragments |= {message.auto_rerun.fragment_id, message.delta.fragment_id} - {""}
        if message.WhichOneof("type") == "script_finished":
            return Run("\n".join(texts), buttons, fragments)


def seen(site: Site, user: str, page: str = "deliveries", query: str = "") -> str:
    with opened(site, user) as connection:
        return run(connection, page, query).text


def test_the_owner_of_a_true_cookie_comes_in(site: Site) -> None:
    assert "Signed in as ada" in seen(site, cookie(site, ADMIN)).replace("\\", "")


@pytest.mark.parametrize("page", ["deliveries", "leaderboard", "coaching", ""])
def test_no_page_is_given_to_who_has_no_cookie(site: Site, page: str) -> None:
    assert SIGN_IN in seen(site, "", page)


def test_a_hidden_page_is_not_given_by_its_name(site: Site) -> None:
    assert NOT_FOR_YOU in seen(site, cookie(site, MANAGER), "deliveries")


def forged(site: Site) -> dict[str, str]:
    """Cookies that the server did not give, each for an admin."""
    true = cookie(site, ADMIN)
    body, at, _ = true.rsplit(".", 2)
    manager = cookie(site, MANAGER).rsplit(".", 2)
    return {
        "signed with another secret": cookie(site, ADMIN, secret="guessed"),
        "signed with the client's secret": cookie(site, ADMIN, secret=CLIENT_SECRET),
        "signed without a secret": cookie(site, ADMIN, secret=""),
        "signed for another name": cookie(site, ADMIN, salt="_streamlit_user_tokens"),
        "with another's signature": ".".join((body, *manager[1:])),
        "with the last letter changed": true[:-1] + ("A" if true[-1] != "A" else "Q"),
        "without a signature": f"{body}.{at}.",
        "as a token that needs none": f"{encoded({'alg': 'none'})}.{body}.",
        "of another site": cookie(site, ADMIN, origin="https://repboard.acme.example"),
        "not signed in": cookie(site, ADMIN, is_logged_in=False),
    }


def test_a_forged_cookie_signs_nobody_in(site: Site) -> None:
    came_in = {how for how, user in forged(site).items() if SIGN_IN not in seen(site, user)}
    assert came_in == set()


def test_a_cookie_past_its_tokens_end_or_the_longest_session_has_ended(site: Site) -> None:
    now = int(time.time())
    for times in ({"exp": now - 1}, {"iat": now - 13 * 3600}, {"exp": None}):
        assert "Your sign-in has ended" in seen(site, cookie(site, ADMIN, **times))


def test_an_address_that_nobody_verified_gives_no_role(site: Site) -> None:
    assert "have no role here" in seen(site, cookie(site, ADMIN, email_verified=False))


def test_a_page_of_another_site_opens_no_connection(site: Site) -> None:
    for origin in (
        "https://evil.example",
        "null",
        "http://localhost:3000",
        f"{site.url}.evil.example",
    ):
        with pytest.raises(InvalidStatus, match="403"):
            opened(site, cookie(site, ADMIN), origin=origin)


def test_a_connection_that_names_no_origin_is_nobodys(site: Site) -> None:
    with opened(site, cookie(site, ADMIN), origin=None) as connection:
        assert SIGN_IN in run(connection, "deliveries").text


def test_a_button_of_a_hidden_page_does_nothing_in_a_crafted_session(site: Site) -> None:
    held = "view=quarantine"
    with opened(site, cookie(site, ADMIN)) as admins, opened(site, cookie(site, MANAGER)) as own:
        page = run(admins, "deliveries", held)
        for button in ("Dry run", "Replay"):
            pressed = page.buttons[button]
            for part in page.fragments:
                ask(own, "deliveries", held, pressed=pressed, part=part)
            assert NOT_FOR_YOU in run(own, "deliveries", held, pressed=pressed).text
        assert not stores.rows(site.store, ReplayRequest)

        # Which is what an admin's does; a replay needs this first.
        run(admins, "deliveries", held, pressed=page.buttons["Dry run"])
        assert stores.row(site.store, ReplayRequest).requested_by == ADMIN


def test_a_live_part_gives_nothing_once_the_sign_in_has_ended(site: Site) -> None:
    for seconds in (5, 10, 20, 40):  # until a slow machine has shown the page in time
        ends = int(time.time()) + seconds
        with opened(site, cookie(site, ADMIN, exp=ends)) as connection:
            page = run(connection, "deliveries")
            parts = [run(connection, "deliveries", part=part).text for part in page.fragments]
            if time.time() > ends:
                continue
            assert "Last delivery" in "".join(parts)
            time.sleep(ends - time.time() + 0.1)
            later = [run(connection, "deliveries", part=part).text for part in page.fragments]
            assert "Last delivery" not in "".join(later)
            # What a part asked for when it was refused, a run of the page, may come in between.
            answers = "".join(run(connection, "deliveries").text for _ in range(3))
            assert "Your sign-in has ended" in answers
            assert "Last delivery" not in answers
            return
    pytest.fail("the page was never shown in time")


@pytest.mark.parametrize(
    "path",
    ["/_stcore/agent/openapi.json", "/_stcore/agent/mcp", "/_stcore/agent/interact",
     "/_stcore/metrics"],
)  # fmt: skip
def test_streamlits_ways_in_for_programs_are_closed(site: Site, path: str) -> None:
    assert httpx.get(f"{site.url}{path}", verify=False).status_code == 404
    assert httpx.post(f"{site.url}{path}", json={}, verify=False).status_code == 404


def test_what_the_server_sends_to_a_stranger_and_its_log_hold_no_secret(site: Site) -> None:
    with httpx.Client(base_url=site.url, verify=False) as client:
        answers = [client.get(path) for path in ("/", "/deliveries", "/auth/login?provider=x",
                   "/oauth2callback?state=x&error=%0aforged&code=y", "/auth/logout")]  # fmt: skip
    sent = "".join(f"{answer.headers}{answer.text}" for answer in answers)
    for secret in (COOKIE_SECRET, CLIENT_SECRET):
        assert secret not in sent
        assert secret not in site.log.read_text()
        assert all(secret.encode() not in line for line in command_lines())


def command_lines() -> list[bytes]:
    """What anybody on this machine can see of running processes."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            found.append((process / "cmdline").read_bytes())
        except OSError:
            continue  # it has ended
    return found


def test_a_sign_in_leads_back_to_pages_of_ours_only(site: Site) -> None:
    for referer in (
        "https://evil.example/x",
        "//evil.example",
        f"{site.url}//evil.example",
        "\\\\x",
    ):
        answer = httpx.get(f"{site.url}/auth/login", headers={"referer": referer}, verify=False)
        assert "repboard_wanted=%2F;" in answer.headers["set-cookie"]


# What is open without a session, and for which requests


def raw(site: Site, method: str, target: str, **headers: str) -> int:
    """The status of the answer to a request whose path is sent exactly as written."""
    connection = http.client.HTTPConnection(site.url.removeprefix("http://"), timeout=RUN_SEC)
    try:
        connection.putrequest(method, target, skip_accept_encoding=True)
        for name, value in ({"content-length": "1"} | headers).items():
            connection.putheader(name, value)
        connection.endheaders(b"x")
        return connection.getresponse().status
    finally:
        connection.close()


def session_of(connection: ClientConnection) -> str:
    """The id of a session, as its page is sent it."""
    ask(connection)
    while True:
        message = ForwardMsg.FromString(connection.recv(timeout=RUN_SEC))  # type: ignore[arg-type]
        if found := message.new_session.initialize.session_id:
            return found


@pytest.mark.parametrize("user", ["", ADMIN])
def test_nothing_can_be_uploaded(site: Site, user: str) -> None:
    signed = cookie(site, user) if user else ""
    xsrf = httpx.get(f"{site.url}/_stcore/health", verify=False).cookies["_streamlit_xsrf"]
    with opened(site, signed) as connection:
        uploads = f"{site.url}/_stcore/upload_file/{session_of(connection)}/1"
        answers = [
            httpx.request(
                method,
                uploads,
                files={"file": b"x"} if method == "PUT" else None,
                headers={"x-xsrftoken": xsrf, "cookie": f"_streamlit_xsrf={xsrf}; {USER}={signed}"},
                verify=False,
            )
            for method in ("PUT", "POST", "PATCH", "DELETE", "OPTIONS", "GET", "HEAD")
        ]
    assert {answer.status_code for answer in answers} == {404}


@pytest.mark.parametrize(
    "path",
    [
        "/_stcore/upload_file/a/b",
        "/_stcore//upload_file/a/b",
        "//_stcore/upload_file/a/b",
        "/./_stcore/upload_file/a/b",
        "/x/../_stcore/upload_file/a/b",
        "/_stcore/health/../upload_file/a/b",
        "/%5fstcore/upload%5ffile/a/b",
        "/_stcore%2fupload_file/a/b",
        "/_stcore%252fupload_file/a/b",
        "/_stcore\\upload_file/a/b",
        "/_STCORE/upload_file/a/b",
        "/deliveries/_stcore/upload_file/a/b",
        "/_stcore/script-health-check",
        "/_stcore/bidi-components/x/y.js",
        "/_stcore/stream",
        "/component/x/y.js",
        "/app/static/x",
    ],
)
def test_a_part_of_streamlits_that_no_page_needs_is_closed_however_it_is_written(
    site: Site, path: str
) -> None:
    assert {raw(site, method, path) for method in ("PUT", "POST", "DELETE", "GET")} == {404}


def test_no_path_takes_what_is_sent_to_it(site: Site) -> None:
    for path in ("/", "/deliveries", "/_stcore/health", "/media/x", "/auth/login", "/static/x"):
        for method in ("PUT", "POST", "DELETE", "PATCH", "OPTIONS", "TRACE"):
            assert raw(site, method, path) == 405


def download(connection: ClientConnection) -> str:
    """The address of the file behind the download button of the front page, made on a click."""
    ask(connection)
    file_id = session_id = ""
    while True:
        message = ForwardMsg.FromString(connection.recv(timeout=RUN_SEC))  # type: ignore[arg-type]
        session_id = message.new_session.initialize.session_id or session_id
        file_id = message.delta.new_element.download_button.deferred_file_id or file_id
        if message.WhichOneof("type") == "script_finished" and file_id:
            break
    click = BackMsg()
    click.backend_operation_request.session_id = session_id
    click.backend_operation_request.deferred_file.file_id = file_id
    connection.send(click.SerializeToString())
    while True:
        message = ForwardMsg.FromString(connection.recv(timeout=RUN_SEC))  # type: ignore[arg-type]
        if message.WhichOneof("type") == "backend_operation_response":
            assert not message.backend_operation_response.error_msg, message
            return message.backend_operation_response.deferred_file.url


def test_a_file_is_given_to_those_only_whose_page_named_it(site: Site) -> None:
    admin = cookie(site, ADMIN)
    with opened(site, admin) as connection:
        file = f"{site.url}{download(connection)}"

        def status(user: str, **headers: str) -> int:
            return httpx.get(
                file, headers=headers | {"cookie": f"{USER}={user}"}, verify=False
            ).status_code

        given = httpx.get(file, headers={"cookie": f"{USER}={admin}"}, verify=False)
        assert given.is_success
        assert given.headers["cache-control"] == "no-store"
        assert httpx.get(file, verify=False).status_code == 404
        assert status(cookie(site, MANAGER)) == 404
        assert status(cookie(site, ADMIN, exp=int(time.time()) - 1)) == 404
        assert {how for how, user in forged(site).items() if status(user) != 404} == set()
        assert status(admin, origin="https://evil.example") == 404


def test_the_fonts_of_text_and_icons_are_shown_before_a_sign_in(site: Site) -> None:
    fonts = Path(streamlit.__file__).parent.glob("static/static/media/*.woff2")
    addresses = [f"{site.url}/static/media/{font.name}" for font in fonts]
    assert addresses
    assert {httpx.get(address, verify=False).status_code for address in addresses} == {200}
    other = f"{site.url}/static/media/../../media/{'0' * 56}.csv"
    assert httpx.get(other, verify=False).status_code == 404


def test_the_tabs_icon_is_shown_before_a_sign_in(site: Site) -> None:
    with opened(site, "") as connection:
        ask(connection)
        icon = ""
        while not icon:
            message = ForwardMsg.FromString(connection.recv(timeout=RUN_SEC))  # type: ignore[arg-type]
            icon = message.page_config_changed.favicon
        assert httpx.get(f"{site.url}{icon}", verify=False).headers["content-type"] == "image/png"


def test_a_message_longer_than_any_page_sends_ends_the_session(site: Site) -> None:
    with opened(site, "") as connection:
        ask(connection, query="x" * (LARGEST_MESSAGE + 1))
        with pytest.raises(ConnectionClosed):
            drain(connection)
        assert connection.close_code == 1009


def drain(connection: ClientConnection) -> None:
    """Receive until the server closes."""
    while True:
        connection.recv(timeout=RUN_SEC)


def test_sessions_that_are_not_signed_in_leave_room_for_those_that_are(site: Site) -> None:
    with ExitStack() as held:
        for _ in range(MOST_STRANGERS):
            held.enter_context(opened(site, ""))
        with pytest.raises(InvalidStatus) as refused:
            opened(site, "")
        assert refused.value.response.status_code == 503
        assert refused.value.response.headers["retry-after"]
        assert b"not signed in" in refused.value.response.body
        assert "Signed in as" in seen(site, cookie(site, ADMIN))
    until(lambda: SIGN_IN in seen_if_open(site))


def seen_if_open(site: Site) -> str:
    try:
        return seen(site, "")
    except InvalidStatus:
        return ""


@pytest.mark.parametrize(
    ("asked", "there"),
    [
        ("/leaderboard", "/"),
        ("/leaderboard/", "/"),
        ("/leaderboard?team=West&page=2", "/?team=West&page=2"),
        ("/leaderboard?next=//evil.example", "/?next=//evil.example"),
    ],
)
def test_the_first_page_opens_by_its_name_too(site: Site, asked: str, there: str) -> None:
    answer = httpx.get(f"{site.url}{asked}")
    assert (answer.status_code, answer.headers["location"]) == (307, there)
    assert answer.headers["x-frame-options"] == "DENY"


@pytest.mark.parametrize("asked", ["/", "/coaching", "/leaderboards", "/wall"])
def test_other_pages_are_where_they_are_asked_for(site: Site, asked: str) -> None:
    assert httpx.get(f"{site.url}{asked}").is_success
