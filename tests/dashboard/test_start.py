"""`python -m dashboard`."""

import signal
from pathlib import Path
from typing import NamedTuple

import pytest
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.NewSession_pb2 import Config, NewSession
from websockets.sync.client import connect

from dashboard.options import LOCKED, LOOK, options
from dashboard.settings import DashboardSettings
from receiver.vendors import ADAPTERS
from tests.conftest import FreshStore
from tests.programs import Program
from tests.running import START_SEC, environment, free_port, is_up, program, until

UNLOCKED = """
[server]
enableStaticServing = true
baseUrlPath = "elsewhere"
trustedUserHeaders = "{\\"x-user\\": \\"email\\"}"
[client]
toolbarMode = "developer"
showErrorDetails = "full"
showErrorLinks = true
[browser]
gatherUsageStats = true
[theme.light]
primaryColor = "#ff0000"
"""


def test_a_wrong_setting_stops_the_start_with_one_line_that_names_it(tmp_path: Path) -> None:
    ended = program("dashboard", folder=tmp_path, env=environment(DASHBOARD_PORT="many"))
    assert ended.stderr.startswith("DASHBOARD_PORT: ")
    assert ended.stderr.count("\n") == 1


class Started(NamedTuple):
    """What is known of a dashboard while it ran."""

    variables: bytes
    page: NewSession
    errors: str


@pytest.fixture(scope="module", params=["", UNLOCKED], ids=["bare", "unlocked"])
def started(
    request: pytest.FixtureRequest,
    fresh_store: FreshStore,
    tmp_path_factory: pytest.TempPathFactory,
) -> Started:
    """Started where a config.toml says nothing, or the wrong things, with the vendors' secrets and
    with misspelt names."""
    folder = tmp_path_factory.mktemp("start")
    (folder / ".streamlit").mkdir()
    (folder / ".streamlit" / "config.toml").write_text(request.param, encoding="utf-8")
    (folder / ".env").write_text("OIDC_CLIENTID=hidden\n")
    (folder / ".env").chmod(0o600)
    port = str(free_port())
    names = ["MINDTICKLE_API_TOKEN", *(one.setting.upper() for one in ADAPTERS.values())]
    given = dict.fromkeys(names, "whsec-hidden") | {
        "DASHBOARD_PORT": port,
        "DASHBOARD_ADMIN": "hidden",
        "STREAMLIT_CLIENT_TOOLBAR_MODE": "developer",
    }
    errors, said = folder / "errors", folder / "said"
    with fresh_store("sqlite") as url, said.open("wb") as out, errors.open("wb") as err:
        env = environment(DATABASE_URL=url, **given)
        process = Program("dashboard", cwd=folder, env=env, stdout=out, stderr=err)
        try:
            until(lambda: is_up(f"http://127.0.0.1:{port}/_stcore/health"))
            variables = Path(f"/proc/{process.pid}/environ").read_bytes()
            page = first_page(port)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(START_SEC)
    assert f"DASHBOARD_PORT={port}".encode() in variables
    return Started(variables, page, errors.read_text())


def first_page(port: str) -> NewSession:
    """What a browser is sent before anything of the first page."""
    url = f"127.0.0.1:{port}"
    asked = BackMsg()
    asked.rerun_script.query_string = ""
    with connect(f"ws://{url}/_stcore/stream", origin=f"http://{url}") as connection:  # type: ignore[arg-type]
        connection.send(asked.SerializeToString())
        while True:
            message = ForwardMsg.FromString(connection.recv(timeout=60))  # type: ignore[arg-type]
            if message.WhichOneof("type") == "new_session":
                return message.new_session


def test_the_dashboard_runs_without_the_vendors_secrets(started: Started) -> None:
    assert b"-hidden" not in started.variables


def test_it_looks_the_same_and_is_as_closed_wherever_it_is_started(started: Started) -> None:
    sent = started.page
    assert sent.config.toolbar_mode == Config.ToolbarMode.VIEWER
    assert not sent.config.gather_usage_stats
    assert sent.config.show_error_links == Config.ShowErrorLinks.SHOW_ERROR_LINKS_FALSE
    assert sent.custom_theme.light.primary_color == LOOK["theme.light.primaryColor"]
    assert sent.custom_theme.dark.primary_color == LOOK["theme.dark.primaryColor"]


def test_the_start_names_a_misspelt_variable_without_its_value(started: Started) -> None:
    assert started.errors.splitlines()[:2] == [
        "DASHBOARD_ADMIN is no setting and has no effect: is DASHBOARD_ADMINS meant?",
        "OIDC_CLIENTID is no setting and has no effect: is OIDC_CLIENT_ID meant?",
    ]
    assert "hidden" not in started.errors


def test_no_header_says_who_is_there_and_nothing_is_uploaded() -> None:
    given = options(DashboardSettings.model_construct())
    assert given["server.trustedUserHeaders"] == {}
    assert given["server.maxUploadSize"] == 1
    assert given.keys() == LOCKED.keys() | LOOK.keys() | {"server.address", "server.port"}
