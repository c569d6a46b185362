"""What a receiver exposes: response headers, routes, metrics, warnings of weak settings."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI

from receiver.app import Door, create_app
from shared.settings import ReceiverSettings
from tests import playing
from tests.conftest import FreshStore
from tests.running import Receiver

TOKEN = "a-metrics-token-0123456789"
SECRET = "a-webhook-secret-0123456789"
STRONG = {
    "MINDTICKLE_WEBHOOK_SECRET": SECRET,
    "LESSONLY_AUTHORIZATION": f"Bearer {SECRET}",
    "STANDARD_WEBHOOKS_SECRET": playing.WHSEC,
}
HEADERS = {
    "x-content-type-options": "nosniff",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
    "strict-transport-security": "max-age=31536000",
}


@pytest.fixture(scope="module")
def guarded(
    fresh_store: FreshStore, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Receiver]:
    """A receiver with a public https address and a token for its metrics."""
    with (
        fresh_store("sqlite") as url,
        Receiver(
            url,
            tmp_path_factory.mktemp("guarded"),
            PUBLIC_URL="https://hooks.acme.example",
            METRICS_TOKEN=TOKEN,
            **STRONG,
        ) as running,
    ):
        yield running


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/webhooks/mindtickle"),
        ("GET", "/webhooks/mindtickle"),
        ("POST", "/webhooks/acme"),
        ("GET", "/healthz"),
        ("GET", "/readyz"),
        ("GET", "/metrics"),
        ("GET", "/docs"),
    ],
)
def test_the_security_headers_are_sent_with_every_answer(
    guarded: Receiver, method: str, path: str
) -> None:
    answer = guarded.client.request(method, path)
    assert {name: answer.headers.get(name) for name in HEADERS} == HEADERS
    assert "server" not in answer.headers


def test_a_receiver_without_a_public_https_address_promises_no_https(
    lasting_receiver: Receiver,
) -> None:
    assert "strict-transport-security" not in lasting_receiver.client.get("/healthz").headers


def test_there_are_no_other_routes(sqlite_url: str) -> None:
    settings = ReceiverSettings(database_url=sqlite_url, mindtickle_webhook_secret=SECRET)
    door = create_app(settings, trial_pass="unknown")
    assert isinstance(door, Door)
    assert isinstance(door._app, FastAPI)
    routes = {getattr(route, "path", "") for route in door._app.routes} | door._vendors.keys()
    assert routes == {"/healthz", "/readyz", "/metrics", "/webhooks/mindtickle"}


@pytest.mark.parametrize(
    "sent",
    [
        {},
        {"authorization": "Bearer another"},
        {"authorization": TOKEN},
        {"authorization": f"Basic {TOKEN}"},
        {"authorization": f"Bearer {TOKEN}x"},
        {"authorization": "Bearer \xff"},
    ],
)
def test_metrics_require_the_token(guarded: Receiver, sent: dict[str, str]) -> None:
    headers = [(name.encode(), value.encode("latin-1")) for name, value in sent.items()]
    answer = guarded.client.get("/metrics", headers=headers)
    assert (answer.status_code, answer.content) == (401, b"")


def test_the_token_opens_the_metrics(guarded: Receiver) -> None:
    answer = guarded.client.get("/metrics", headers={"authorization": f"Bearer {TOKEN}"})
    assert answer.status_code == 200
    assert b"repboard_" in answer.content


def warnings(receiver: Receiver) -> list[str]:
    lines = receiver.log_lines()
    return [line["problem"] for line in lines if line["event"] == "weak setting"]


SHORT = {
    "MINDTICKLE_WEBHOOK_SECRET": f"{SECRET},hunter2",
    "LESSONLY_AUTHORIZATION": f"{SECRET}, Bearer hunter2",
    "STANDARD_WEBHOOKS_SECRET": f"{playing.WHSEC},whsec_aHVudGVyMg==",
    "METRICS_TOKEN": "hunter2",
}


def test_the_start_warns_of_each_short_secret_without_showing_it(
    sqlite_url: str, tmp_path: Path
) -> None:
    with Receiver(sqlite_url, tmp_path, **SHORT) as receiver:
        said = warnings(receiver)
        shown = receiver.log.read_text()
    assert [line.split()[0] for line in said] == [
        "METRICS_TOKEN", "LESSONLY_AUTHORIZATION", "MINDTICKLE_WEBHOOK_SECRET",
        "STANDARD_WEBHOOKS_SECRET",
    ]  # fmt: skip
    assert all("could be guessed: " in line for line in said)
    assert all(one not in shown for one in ("hunter2", "aHVudGVyMg"))


def test_the_start_warns_of_a_misspelt_variable_and_does_not_show_its_value(
    sqlite_url: str, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text("LESSONLY_AUTHORISATION=hunter2\n")
    (tmp_path / ".env").chmod(0o600)
    with Receiver(sqlite_url, tmp_path, **STRONG, RECEIVER_PROT="hunter2") as receiver:
        assert warnings(receiver) == [
            "LESSONLY_AUTHORISATION is no setting and has no effect: "
            "is LESSONLY_AUTHORIZATION meant?",
            "RECEIVER_PROT is no setting and has no effect: is RECEIVER_PORT meant?",
        ]
        assert "hunter2" not in receiver.log.read_text()


def test_long_secrets_give_no_warning(guarded: Receiver) -> None:
    assert warnings(guarded) == []


@pytest.mark.parametrize(("mode", "warned"), [(0o644, True), (0o640, False), (0o600, False)])
def test_the_start_warns_of_a_world_readable_env_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: int, warned: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").touch()
    (tmp_path / ".env").chmod(mode)
    assert any("chmod 600" in line for line in ReceiverSettings().weaknesses()) is warned
