"""Settings from the environment: what is taken, and how a wrong one is reported."""

import itertools
import re
import shutil
from pathlib import Path

import pytest

from dashboard.settings import DashboardSettings
from receiver.vendors import ADAPTERS, configured, known_variables
from receiver.vendors.lessonly import LessonlySettings
from receiver.vendors.mindtickle import MindTickleSettings
from shared.settings import (
    OF_THE_DASHBOARD,
    ReceiverSettings,
    Settings,
    SettingsError,
    misspelt,
)
from tests.running import ROOT


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing set, and no `.env`."""
    monkeypatch.chdir(tmp_path)
    names, _ = known_variables()
    for name in (*ReceiverSettings.model_fields, *names):
        monkeypatch.delenv(name.upper(), raising=False)


def value_of(variable: str) -> object:
    """What a setting of the receiver or of one of its vendors is read as."""
    kinds = (ReceiverSettings, *(adapter.settings for adapter in ADAPTERS.values()))
    (kind,) = (kind for kind in kinds if variable.lower() in kind.model_fields)
    return getattr(kind.load(), variable.lower())


def test_without_any_setting_the_defaults_serve_this_machine_only() -> None:
    settings = ReceiverSettings.load()
    assert settings.database_url == "sqlite:///repboard.db"
    assert (settings.receiver_host, settings.receiver_port) == ("127.0.0.1", 8000)
    assert (settings.dashboard_host, settings.dashboard_port) == ("127.0.0.1", 8501)
    assert configured(settings) == {}
    assert settings.max_body_bytes == 1024 * 1024
    assert settings.trusted_proxy_hops == 0
    assert settings.timestamp_tolerance_past == 24 * 3600
    assert settings.timestamp_tolerance_future == 5 * 60
    assert settings.coaching_threshold_pct == 70
    assert (settings.names_manager, settings.names_lead, settings.names_admin) == ("full",) * 3
    assert (settings.names_key, settings.smallest_group) == (None, 5)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("DATABASE_URL", "not a url"),
        ("DATABASE_URL", "mysql://user:hunter2@host/db"),
        ("DATABASE_URL", "postgresql+asyncpg://user:hunter2@host/db"),
        ("RECEIVER_PORT", "0"),
        ("RECEIVER_PORT", "65536"),
        ("RECEIVER_PORT", "http"),
        ("DASHBOARD_PORT", "-1"),
        ("PUBLIC_URL", "hooks.example.com"),
        ("COACHING_THRESHOLD_PCT", "101"),
        ("COACHING_THRESHOLD_PCT", "nan"),
        ("COACHING_THRESHOLD_PCT", "seventy"),
        ("COACHING_RULE", "strict"),
        ("TIMESTAMP_TOLERANCE_PAST", "-1"),
        ("TIMESTAMP_TOLERANCE_FUTURE", "soon"),
        ("MAX_BODY_BYTES", "0"),
        ("MAX_WAITING_DELIVERIES", "0"),
        ("MAX_WAITING_BYTES", "much"),
        ("TRUSTED_PROXY_HOPS", "-1"),
        ("QUARANTINE_MAX_DELIVERIES", "-1"),
        ("QUARANTINE_MAX_DELIVERIES", "0"),
        ("QUARANTINE_MAX_BYTES", "0"),
        ("QUARANTINE_MAX_BYTES", "1048576"),
        ("QUARANTINE_MAX_BYTES", "1 GB"),
        ("RETENTION_DAYS", "-1"),
        ("RETENTION_DAYS", "40000"),
        ("NAMES_LEAD", "none"),
        ("NAMES_KEY", "hunter2"),
        ("SMALLEST_GROUP", "0"),
        ("MINDTICKLE_API_URL", "api.mindtickle.example"),
        ("MINDTICKLE_API_URL", "ftp://api.mindtickle.example"),
        ("MINDTICKLE_API_URL", "http://api.mindtickle.example"),
        ("MINDTICKLE_API_URL", "http://127.0.0.1.mindtickle.example"),
        ("MINDTICKLE_API_URL", "http://localhost:hunter2@mindtickle.example"),
        ("MINDTICKLE_API_URL", "https://me:hunter2@mindtickle.example"),
        ("MINDTICKLE_API_URL", "https://mindtickle.example?key=hunter2"),
        ("MINDTICKLE_API_URL", "https://mindtickle.example:99999"),
        ("MINDTICKLE_API_URL", "https://mindtickle..example"),
        ("MINDTICKLE_API_TOKEN", "hunter2\nX-Other: 1"),
        ("MINDTICKLE_API_TOKEN", "hunter2 hunter2"),
        ("MINDTICKLE_API_TOKEN", "hunter2ü"),
        ("MINDTICKLE_API_TOKEN", '"hunter2"'),
        ("INNOVATIVE_EDUCATORS_ALLOWED_IPS", "54.243.7.71,whsec-hidden"),
        ("INNOVATIVE_EDUCATORS_ALLOWED_IPS", "0.0.0.0/0"),
        ("INNOVATIVE_EDUCATORS_RETRY_DELAYS", "20,soon"),
        ("LESSONLY_RETRY_DELAYS", "0"),
    ],
)
def test_a_wrong_setting_is_one_line_that_names_the_variable(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv("MINDTICKLE_WEBHOOK_SECRET", "whsec-hidden")
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError) as wrong:
        configured(ReceiverSettings.load())
    line = str(wrong.value)
    assert line.startswith(f"{variable}: ")
    assert "\n" not in line
    assert "hunter2" not in line
    assert "whsec-hidden" not in line


@pytest.mark.parametrize(
    ("variable", "value"),
    [("WEEK_BEGINS", "friday"), ("FISCAL_YEAR_BEGINS", "0"), ("FISCAL_YEAR_BEGINS", "13"),
     ("FISCAL_YEAR_BEGINS", "April")],
)  # fmt: skip
def test_a_calendar_that_is_none_stops_the_start(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError, match=f"^{variable}: "):
        Settings.load()


def test_the_quarantine_must_have_room_for_the_largest_body(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MAX_BODY_BYTES", "1000")
    monkeypatch.setenv("QUARANTINE_MAX_BYTES", "66536")
    assert ReceiverSettings.load().quarantine_max_bytes == 66_536
    monkeypatch.setenv("MAX_BODY_BYTES", "1001")
    with pytest.raises(SettingsError, match=r"^QUARANTINE_MAX_BYTES: must be at least 66537"):
        ReceiverSettings.load()


def test_anonymous_names_need_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAMES_MANAGER", "anonymous")
    with pytest.raises(SettingsError, match=r"^NAMES_KEY: is not set"):
        Settings.load()
    monkeypatch.setenv("NAMES_KEY", "0123456789abcdef")
    assert Settings.load().names_manager == "anonymous"


def test_all_that_is_wrong_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECEIVER_PORT", "x")
    monkeypatch.setenv("MAX_BODY_BYTES", "y")
    with pytest.raises(SettingsError, match=r"^RECEIVER_PORT: .*; MAX_BODY_BYTES: "):
        ReceiverSettings.load()


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_a_postgres_url_of_any_usual_spelling_uses_our_driver_and_keeps_the_password(
    monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    monkeypatch.setenv("DATABASE_URL", f"{scheme}://me:p%40ss@db.example:5433/reps?sslmode=require")
    assert Settings.load().database_url == (
        "postgresql+psycopg://me:p%40ss@db.example:5433/reps?sslmode=require"
    )


@pytest.mark.parametrize("url", ["sqlite:///reps.db", "sqlite:////var/lib/reps.db"])
def test_a_sqlite_url_is_taken_as_it_is(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("DATABASE_URL", url)
    assert Settings.load().database_url == url


@pytest.mark.parametrize(
    ("value", "secrets"),
    [
        ("one", ["one"]),
        ("one,two", ["one", "two"]),
        (" one , two ,", ["one", "two"]),
        ("", []),
        (",", []),
        ('["one"]', ['["one"]']),
        ("12345", ["12345"]),
    ],
)
def test_several_secrets_are_separated_by_commas(
    monkeypatch: pytest.MonkeyPatch, value: str, secrets: list[str]
) -> None:
    monkeypatch.setenv("MINDTICKLE_WEBHOOK_SECRET", value)
    found = MindTickleSettings.load().mindtickle_webhook_secret
    assert [secret.get_secret_value() for secret in found] == secrets


OF_OTHERS = ("MINDTICKLE_WEBHOOK_SECRET", "LESSONLY_AUTHORIZATION", "STANDARD_WEBHOOKS_SECRET",
             "MINDTICKLE_COMPANY_ID", "MINDTICKLE_API_TOKEN", "METRICS_TOKEN",
             "NAMES_KEY")  # fmt: skip
GOOD = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.mark.parametrize("variable", OF_OTHERS)
@pytest.mark.parametrize(
    ("value", "said"),
    [
        (f'"{GOOD}"', "stands in quotes"),
        (f" '{GOOD}'\r", "stands in quotes"),
        (f"`{GOOD}`", "stands in quotes"),
        (f"\u201c{GOOD}\u201d", "stands in quotes"),
        (f"{GOOD}\u200b", "U+200B"),
        (f"\ufeff{GOOD}", "U+FEFF"),
        (f"{GOOD}\u00a0", "U+00A0"),
        (f"{GOOD[:9]}\r{GOOD[9:]}", "U+000D"),
        (f"{GOOD[:9]}\u00ad{GOOD[9:]}", "U+00AD"),
        (f"{GOOD}\udcff", "U+DCFF"),
        (" \t ", "only blanks"),
    ],
)
def test_quotes_and_unseen_signs_in_what_others_gave_stop_the_start_by_name(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, said: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError) as wrong:
        configured(ReceiverSettings.load())
    assert str(wrong.value).startswith(f"{variable}: ")
    assert said in str(wrong.value)
    assert GOOD[9:] not in str(wrong.value)


def test_one_of_several_secrets_in_quotes_is_named_by_its_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LESSONLY_AUTHORIZATION", 'Bearer one, "hunter2"')
    with pytest.raises(SettingsError, match=r"^LESSONLY_AUTHORIZATION: value 2 stands in quotes"):
        configured(ReceiverSettings.load())


@pytest.mark.parametrize("variable", OF_OTHERS)
def test_blanks_around_what_others_gave_are_dropped(
    monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, f" {GOOD}\t\r\n")
    spaced = value_of(variable)
    monkeypatch.setenv(variable, GOOD)
    assert spaced == value_of(variable)


@pytest.mark.parametrize("value", ['it\'s "one" $of %s \\them', "ab'cd'", "schl\u00fcssel", 'a"'])
def test_quotes_and_blanks_inside_a_secret_belong_to_it(
    monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("LESSONLY_AUTHORIZATION", value)
    (found,) = LessonlySettings.load().lessonly_authorization
    assert found.get_secret_value() == value


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("abc${HOME}def", "abc${HOME}def"),
        ("'abc${HOME}def'", "abc${HOME}def"),
        ("'Basic abc #def'", "Basic abc #def"),
        ("Basic abc #def", "Basic abc"),
        ("Basic abc#def", "Basic abc#def"),
        ("'$one $(two) %s'", "$one $(two) %s"),
        (r"'it\'s \\ one'", "it's \\ one"),
        ('"Basic abc #def ${HOME}"', "Basic abc #def ${HOME}"),
        ("plain\r", "plain"),
    ],
)
def test_a_value_in_the_env_file_is_read_as_the_example_says(
    tmp_path: Path, written: str, read: str
) -> None:
    (tmp_path / ".env").write_text(f"\ufeffLESSONLY_AUTHORIZATION={written}\n", newline="")
    (found,) = LessonlySettings.load().lessonly_authorization
    assert found.get_secret_value() == read


def test_an_env_file_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"A=\xff\xfe\n")
    with pytest.raises(SettingsError, match=r"^\.env: is not UTF-8$"):
        ReceiverSettings.load()


@pytest.mark.parametrize(
    ("variable", "meant"),
    [
        ("MINDTICKLE_WEBHOK_SECRET", "MINDTICKLE_WEBHOOK_SECRET"),
        ("MINDTICKEL_COMPANY_ID", "MINDTICKLE_COMPANY_ID"),
        ("LESSONLY_AUTHORISATION", "LESSONLY_AUTHORIZATION"),
        ("RECEIVER_PROT", "RECEIVER_PORT"),
        ("DASHBOARD_ADMIN", "DASHBOARD_ADMINS"),
        ("OIDC_CLIENTID", "OIDC_CLIENT_ID"),
        ("metrics_tokn", "METRICS_TOKEN"),
        ("MINDTICKLE_REGION", None),
        ("STANDARD_WEBHOOKS_TOLERANCE", None),
    ],
)
def test_a_variable_that_looks_like_a_setting_and_is_none_is_named(
    variable: str, meant: str | None
) -> None:
    others = ("RECEIVER_PORT", "database_url", "PATH", "PYTHONPATH", "HOME")
    (line,) = misspelt([variable, *others], *known_variables())
    assert line.startswith(f"{variable} is no setting and has no effect")
    assert line.endswith(f": is {meant} meant?") is (meant is not None)


def test_no_setting_of_ours_is_taken_for_a_misspelt_one() -> None:
    known = {*ReceiverSettings.model_fields, *DashboardSettings.model_fields}
    names, prefixes = known_variables()
    assert list(misspelt([one.upper() for one in {*known, *names}], names, prefixes)) == []
    assert known == ReceiverSettings.model_fields.keys() | OF_THE_DASHBOARD


def test_the_example_names_each_variable_once_and_only_settings(tmp_path: Path) -> None:
    example = (ROOT / ".env.example").read_text(encoding="utf-8")
    names = re.findall(r"^#?([A-Z_]+)=", example, re.MULTILINE)
    assert len(names) == len(set(names))
    assert list(misspelt(names, *known_variables())) == []
    shutil.copy(ROOT / ".env.example", tmp_path / ".env")
    for kind in (ReceiverSettings, *(adapter.settings for adapter in ADAPTERS.values())):
        assert kind.load().model_dump() == kind(_env_file=None).model_dump()


def test_a_secret_is_not_shown_when_settings_are_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINDTICKLE_WEBHOOK_SECRET", "whsec-hidden")
    monkeypatch.setenv("MINDTICKLE_API_TOKEN", "api-hidden")
    settings = MindTickleSettings.load()
    shown = itertools.chain(
        (repr(settings), str(settings)), map(str, settings.model_dump().items())
    )
    assert not any("-hidden" in text for text in shown)


@pytest.mark.parametrize(
    ("url", "taken"),
    [
        ("https://api.eu.mindtickle.example/", "https://api.eu.mindtickle.example"),
        ("https://gateway.example/mindtickle", "https://gateway.example/mindtickle"),
        ("http://127.0.0.1:9000", "http://127.0.0.1:9000"),
        ("http://localhost:9000/", "http://localhost:9000"),
        ("http://[::1]:9000", "http://[::1]:9000"),
        ("http://127.0.0.1\\@mindtickle.example", "http://127.0.0.1/@mindtickle.example"),
    ],
)
def test_the_api_is_asked_over_https_or_on_this_machine(
    monkeypatch: pytest.MonkeyPatch, url: str, taken: str
) -> None:
    monkeypatch.setenv("MINDTICKLE_API_URL", url)
    assert MindTickleSettings.load().mindtickle_api_url == taken


def test_without_an_address_the_api_is_mindtickles_own() -> None:
    settings = MindTickleSettings.load()
    assert settings.mindtickle_api_url == "https://api.mindtickle.com"
    assert settings.mindtickle_api_token is None


def test_the_settings_of_the_dashboard_hold_no_secret_of_a_vendor() -> None:
    words = ("secret", "token", "authorization", "allowed")
    assert not [name for name in Settings.model_fields if any(word in name for word in words)]


def test_an_env_file_is_read_and_the_environment_goes_before_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text("RECEIVER_PORT=9001\nDASHBOARD_PORT=9002\nUNKNOWN=1\n")
    monkeypatch.setenv("RECEIVER_PORT", "9003")
    settings = Settings.load()
    assert (settings.receiver_port, settings.dashboard_port) == (9003, 9002)


@pytest.mark.parametrize(
    ("public", "shown"),
    [
        (None, "http://127.0.0.1:8000"),
        ("", "http://127.0.0.1:8000"),
        ("https://hooks.example.com/", "https://hooks.example.com"),
    ],
)
def test_the_address_to_register_is_the_public_one_where_there_is_one(
    monkeypatch: pytest.MonkeyPatch, public: str | None, shown: str
) -> None:
    if public is not None:
        monkeypatch.setenv("PUBLIC_URL", public)
    assert Settings.load().receiver_url == shown
