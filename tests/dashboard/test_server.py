"""What the dashboard's server adds to answers, and which connections it refuses."""

import ast
import asyncio
from collections.abc import MutableMapping
from typing import Any
from urllib.parse import quote

import pytest
from sqlalchemy import Engine
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ClientState_pb2 import ClientState

from dashboard import deep_link
from dashboard.access import PAGES
from dashboard.doors import needed
from dashboard.server import Dashboard
from dashboard.settings import DashboardSettings
from shared.models import Subscription
from shared.subscriptions import Wanted, save
from tests import stores
from tests.dashboard.conftest import ROOT
from tests.dashboard.test_settings import WHOLE

LOOPBACK = DashboardSettings.model_construct()


def with_login(url: str) -> DashboardSettings:
    given = {name.lower(): value for name, value in WHOLE.items()}
    return DashboardSettings(**given | {"dashboard_url": url})


def answer(
    settings: DashboardSettings,
    path: str = "/",
    kind: str = "http",
    method: str = "GET",
    query: bytes = b"",
    **headers: str,
) -> list[MutableMapping[str, Any]]:
    """What is sent for one request."""
    sent: list[MutableMapping[str, Any]] = []
    named = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": kind, "path": path, "headers": named, "method": method, "query_string": query}

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.disconnect"}

    asyncio.run(Dashboard(settings)(scope, receive, send))
    return sent


def headers(settings: DashboardSettings, path: str = "/_stcore/metrics", **sent: str) -> Any:
    return dict(answer(settings, path, **sent)[0]["headers"])


def test_https_is_promised_where_browsers_come_by_https() -> None:
    promised = b"strict-transport-security"
    assert headers(with_login("https://repboard.acme.example"))[promised]
    assert promised not in headers(with_login("http://127.0.0.1:8501"))
    assert promised not in headers(LOOPBACK)


def test_nothing_comes_from_elsewhere_and_no_script_is_made_of_words() -> None:
    policy = headers(LOOPBACK)[b"content-security-policy"].decode()
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert "unsafe" not in rules["script-src"]
    assert "http" not in policy
    assert rules["frame-ancestors"] == rules["object-src"] == "'none'"


@pytest.mark.parametrize(
    ("url", "secure"), [("https://repboard.acme.example", True), ("http://127.0.0.1:8501", False)]
)
def test_cookies_are_secure_where_browsers_come_by_https(url: str, secure: bool) -> None:
    server = Dashboard(with_login(url))
    given = [(b"set-cookie", b"_streamlit_user=x; HttpOnly"), (b"location", b"/")]
    message = {"type": "http.response.start", "headers": given}
    scope = {"path": "/oauth2callback", "headers": []}
    cookies = [value for name, value in server._guarded(scope, message) if name == b"set-cookie"]
    assert [value.endswith(b"; Secure") for value in cookies] == [secure, secure]


def screen_cookies(settings: DashboardSettings, path: str, **sent: str) -> list[bytes]:
    """What is set of the token of a screen."""
    given = [(b"content-type", b"text/html")]
    message = {"type": "http.response.start", "headers": given}
    scope = {"path": path, "headers": [(name.encode(), one.encode()) for name, one in sent.items()]}
    added = Dashboard(settings)._guarded(scope, message)
    return [one for name, one in added if name == b"set-cookie" and one.startswith(b"repboard_scr")]


@pytest.mark.parametrize(
    ("url", "secure"), [("https://repboard.acme.example", True), ("http://127.0.0.1:8501", False)]
)
def test_a_wall_gets_a_token_that_no_script_reads(url: str, secure: bool) -> None:
    settings = with_login(url)
    (first,), (second,) = (screen_cookies(settings, "/wall") for _ in range(2))
    assert first != second
    assert b"; HttpOnly; SameSite=Lax; " in first
    assert first.endswith(b"; Secure") is secure


@pytest.mark.parametrize("other", ["", 'odd={"a": "b;"}; ', "x=\xe9; "])
def test_a_wall_keeps_the_token_that_it_has(other: str) -> None:
    settings = with_login("https://repboard.acme.example")
    (made,) = screen_cookies(settings, "/wall")
    token = made.partition(b";")[0].decode()
    assert screen_cookies(settings, "/wall", cookie=f"{other}{token}") == []
    assert len(screen_cookies(settings, "/wall", cookie="repboard_screen=chosen")) == 1


def test_no_other_page_and_no_wall_without_a_login_gets_a_token() -> None:
    settings = with_login("https://repboard.acme.example")
    assert [screen_cookies(settings, path) for path in ("/", "/leaderboard", "/wall/x")] == [[]] * 3
    assert screen_cookies(LOOPBACK, "/wall") == []


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("rebound.evil.example:8501", "http://rebound.evil.example:8501"),
        ("127.0.0.1:8501", "http://127.0.0.1:9999"),
        ("127.0.0.1:8501", "https://evil.example"),
        ("127.0.0.1:8501", "null"),
        ("rebound.evil.example:8501", ""),
    ],
)
def test_without_a_login_another_site_reaches_nothing_through_the_viewers_browser(
    host: str, origin: str
) -> None:
    more = {"origin": origin} if origin else {}
    (refusal,) = answer(LOOPBACK, "/_stcore/stream", "websocket", host=host, **more)
    assert refusal == {"type": "websocket.close", "code": 1008}


NEEDED = [
    BackMsg(rerun_script=ClientState()),
    BackMsg(stop_script=False),
    BackMsg(app_heartbeat=True),
    BackMsg(backend_operation_request={"deferred_file": {"file_id": "x"}}),
]
NOT_NEEDED = [
    *(
        BackMsg(**{kind: wish})
        for kind in ("clear_cache", "set_run_on_save", "load_git_info",
                     "debug_disconnect_websocket", "debug_shutdown_runtime")
        for wish in (True, False)
    ),
    BackMsg(file_urls_request={"file_names": ["x"]}),
    BackMsg(backend_operation_request={"install_skills": {}}),
    BackMsg(backend_operation_request={"dismiss_skills_nudge": {}}),
    BackMsg(backend_operation_request={"dataframe_chunk": {}}),
    BackMsg(backend_operation_request={}),
    BackMsg(),
]  # fmt: skip


def heard(*frames: MutableMapping[str, Any], idle: float | None = None) -> list[Any]:
    """What Streamlit receives of these frames, and last what a session is closed with."""
    waiting: asyncio.Queue[MutableMapping[str, Any]] = asyncio.Queue()

    async def send(message: MutableMapping[str, Any]) -> None:
        await waiting.put({"type": "websocket.disconnect", "code": message["code"]})

    async def listen() -> list[MutableMapping[str, Any]]:
        for frame in frames:
            await waiting.put(frame)
        receive, received = needed(waiting.get, send, idle), []
        while not received or received[-1]["type"] != "websocket.disconnect":
            received.append(await receive())
        return received

    return asyncio.run(listen())


def frame(message: BackMsg) -> MutableMapping[str, Any]:
    return {"type": "websocket.receive", "bytes": message.SerializeToString()}


END = {"type": "websocket.disconnect", "code": 1001}


@pytest.mark.parametrize("message", NOT_NEEDED, ids=str)
def test_a_message_that_no_page_needs_is_not_heard_whatever_it_says(message: BackMsg) -> None:
    assert heard(frame(message), END) == [END]


@pytest.mark.parametrize("message", NEEDED, ids=str)
def test_a_message_that_pages_need_is_heard(message: BackMsg) -> None:
    assert heard(frame(message), END) == [frame(message), END]


def test_each_kind_of_message_that_streamlit_knows_has_been_decided_on() -> None:
    decided = {message.WhichOneof("type") for message in NEEDED + NOT_NEEDED} - {None}
    assert decided == {field.name for field in BackMsg.DESCRIPTOR.oneofs_by_name["type"].fields}


def test_a_session_that_sends_text_is_closed() -> None:
    text = {"type": "websocket.receive", "text": "x"}
    assert heard(text) == [{"type": "websocket.disconnect", "code": 1003}]


def test_an_idle_session_is_closed() -> None:
    assert heard(idle=0.01) == [{"type": "websocket.disconnect", "code": 1008}]


# Where a sign-in leads back to


@pytest.mark.parametrize(
    ("address", "leads_to"),
    [
        ("https://repboard.acme.example/deliveries?view=quarantine",
         "/deliveries?view=quarantine"),
        ("/deliveries?view=A+B&view=C", "/deliveries?view=A+B&view=C"),
        ("/?team=west", "/?team=west"),
        ("/deliveries?view=x&embed=true&next=https://evil.example", "/deliveries?view=x"),
        ("/deliveries?team=%0d%0aset-cookie:%20x", "/deliveries?team=%0D%0Aset-cookie%3A+x"),
        ("/deliveries#x", "/deliveries"),
        ("/deliveries/", "/"),
        ("/auth/logout", "/"),
        ("/unknown?team=west", "/"),
        ("//evil.example/deliveries", "/deliveries"),
        ("https://evil.example", "/"),
        ("\\\\evil.example", "/"),
        ("javascript:alert(1)", "/"),
        ("http://[", "/"),
        ("/?team=" + "x" * 3000, "/"),
        ("", "/"),
    ],
)  # fmt: skip
def test_an_address_is_taken_only_as_far_as_it_is_a_page_of_ours(
    address: str, leads_to: str
) -> None:
    assert deep_link.wanted(address) == leads_to
    assert deep_link.of_cookie(deep_link.as_cookie(address)) == leads_to
    assert deep_link.of_cookie(quote(address)) == leads_to  # as a visitor may write it


def test_whatever_pages_keep_in_the_address_is_known_to_deep_links() -> None:
    kept: set[str] = set()
    for path in (ROOT / "dashboard").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            kept |= in_address(node)
    assert kept <= deep_link.PARAMETERS


def in_address(node: ast.AST) -> set[str]:
    """The name that a piece of code gives to something in the address."""
    if isinstance(node, ast.Subscript) and ast.unparse(node.value) == "st.query_params":
        return constants([node.slice])
    if not isinstance(node, ast.Call):
        return set()
    name = ast.unparse(node.func)
    if name.startswith("st.query_params."):
        return constants(node.args[:1])
    if name.rpartition(".")[2] in ("choose", "switch"):
        return constants(node.args[1:2])
    given = {keyword.arg: keyword.value for keyword in node.keywords}
    linked = given.get("query_params")
    keys = linked.keys if isinstance(linked, ast.Dict) else []
    return constants([*keys, given["key"]] if "bind" in given else keys)


def constants(nodes: list[Any]) -> set[str]:
    return {node.value for node in nodes if isinstance(node, ast.Constant)}


def test_pages_of_deep_links_are_those_of_the_table() -> None:
    assert all(deep_link.wanted(f"/{page}") == f"/{page}" for page in PAGES)


def test_a_mail_program_ends_a_subscription_with_one_click(
    store: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dashboard.base.store._engine", lambda: store)
    with store.begin() as connection:
        save(connection, "ines@acme.example", "manager", None, Wanted("weekly", "mail", "UTC"))
    token = stores.row(store, Subscription).token
    for query, left in ((b"subscription=guess", 1), (f"subscription={token}".encode(), 0)):
        for _ in range(2):
            answer(LOOPBACK, "/preferences", method="POST", query=query)
        assert stores.count(store, Subscription) == left
    assert answer(LOOPBACK, "/", method="POST")[0]["status"] == 405
