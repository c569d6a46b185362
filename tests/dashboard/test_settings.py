"""The dashboard's own settings, and what a start makes of them."""

from pathlib import Path

import pytest

from dashboard.settings import LOGIN, DashboardSettings
from shared.settings import SettingsError
from tests.running import environment, program

WHOLE = {
    "DASHBOARD_URL": "https://repboard.acme.example",
    "DASHBOARD_COOKIE_SECRET": "a-cookie-secret-of-the-tests-0123456789",
    "OIDC_CLIENT_ID": "repboard",
    "OIDC_CLIENT_SECRET": "hidden-client-secret",
    "OIDC_METADATA_URL": "https://id.acme.example/.well-known/openid-configuration",
    "DASHBOARD_ADMINS": "ada@acme.example",
}


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in DashboardSettings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


def given(monkeypatch: pytest.MonkeyPatch, **settings: str) -> None:
    for name, value in settings.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "localhost", "::1"])
def test_without_a_login_the_dashboard_serves_this_machine(
    monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    given(monkeypatch, DASHBOARD_HOST=host)
    assert not DashboardSettings.load().has_login


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "repboard.acme.example"])
def test_without_a_login_the_dashboard_starts_nowhere_else(tmp_path: Path, host: str) -> None:
    ended = program("dashboard", folder=tmp_path, env=environment(DASHBOARD_HOST=host))
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"DASHBOARD_HOST: {host} can be reached from other machines")
    assert ended.stderr.count("\n") == 1


def test_with_a_login_it_may_be_reached_from_anywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    given(monkeypatch, DASHBOARD_HOST="0.0.0.0", **WHOLE)
    assert DashboardSettings.load().has_login


@pytest.mark.parametrize("missing", [name.upper() for name in LOGIN])
def test_half_a_login_stops_the_start_and_names_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    given(monkeypatch, **{name: value for name, value in WHOLE.items() if name != missing})
    with pytest.raises(SettingsError, match=f"^{missing}: is not set") as stopped:
        DashboardSettings.load()
    assert "hidden" not in str(stopped.value)


def test_a_login_that_gives_nobody_a_role_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    given(monkeypatch, **WHOLE | {"DASHBOARD_ADMINS": ""})
    with pytest.raises(SettingsError, match="no person who signs in would have a role"):
        DashboardSettings.load()


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("DASHBOARD_URL", "http://repboard.acme.example"),
        ("DASHBOARD_URL", "https://acme.example/repboard"),
        ("DASHBOARD_URL", "repboard"),
        ("DASHBOARD_COOKIE_SECRET", "hidden-but-too-short"),
        ("OIDC_METADATA_URL", "http://id.acme.example/.well-known/openid-configuration"),
        ("MANAGER_TEAMS", "west"),
        ("MANAGER_TEAMS", '["west"]'),
        ("MANAGER_TEAMS", '{"mo@acme.example": "west"}'),
        ("DASHBOARD_SESSION_HOURS", "0"),
        ("DASHBOARD_COOKIE_SECRET", '"hidden-hidden-hidden-hidden-hidden-hidden"'),
        ("OIDC_CLIENT_SECRET", "'hidden'"),
        ("OIDC_CLIENT_SECRET", "hidden\u200b"),
        ("OIDC_CLIENT_ID", '"hidden"'),
    ],
)
def test_a_wrong_setting_is_named_and_its_value_is_not_shown(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    given(monkeypatch, **WHOLE | {variable: value})
    with pytest.raises(SettingsError, match=f"^{variable}") as stopped:
        DashboardSettings.load()
    assert "hidden" not in str(stopped.value)


def test_the_secrets_of_a_login_are_not_shown_when_settings_are_printed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given(monkeypatch, **WHOLE)
    settings = DashboardSettings.load()
    shown = f"{settings!r} {settings} {settings.model_dump()}"
    assert WHOLE["OIDC_CLIENT_SECRET"] not in shown
    assert WHOLE["DASHBOARD_COOKIE_SECRET"] not in shown
