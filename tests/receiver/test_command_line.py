"""The command line: one clear line and a non-zero exit for every error."""

import socket
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import typer
from sqlalchemy import Engine
from typer.testing import CliRunner

from receiver.__main__ import cli
from receiver.commands.replay import moment
from receiver.vendors import ADAPTERS
from shared.models import AuditLog
from tests.conftest import FreshStore
from tests.holding import V
from tests.running import command
from tests.stores import row

SECRET = "whsec-hidden"


def complaint(*arguments: str, folder: Path, **settings: str) -> str:
    """The one line that a failing command prints."""
    ended = command(*arguments, folder=folder, **settings)
    assert ended.returncode != 0
    assert ended.stdout == ""
    assert SECRET not in ended.stderr
    (line,) = ended.stderr.splitlines()
    return line


def test_serve_with_a_wrong_setting_names_it_and_exits(tmp_path: Path) -> None:
    line = complaint(
        "serve", folder=tmp_path, MINDTICKLE_WEBHOOK_SECRET=SECRET, RECEIVER_PORT="http"
    )
    assert line.startswith("RECEIVER_PORT: ")


def test_serve_without_a_secret_says_so_and_exits(tmp_path: Path) -> None:
    line = complaint("serve", folder=tmp_path)
    assert line.startswith("No vendor has its credential set. Set ")
    assert all(adapter.setting.upper() in line for adapter in ADAPTERS.values())


def test_serve_on_a_store_that_is_not_migrated_says_what_to_run(
    empty_store_url: str, tmp_path: Path
) -> None:
    line = complaint(
        "serve", folder=tmp_path, DATABASE_URL=empty_store_url, MINDTICKLE_WEBHOOK_SECRET=SECRET
    )
    assert "repboard migrate" in line


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("migrate", "sqlite:////nowhere/at/all.db"),
        ("serve", f"postgresql://me:{SECRET}@127.0.0.1:1/nowhere"),
    ],
)
def test_a_store_that_cannot_be_reached_is_one_line(name: str, url: str, tmp_path: Path) -> None:
    line = complaint(name, folder=tmp_path, DATABASE_URL=url, MINDTICKLE_WEBHOOK_SECRET=SECRET)
    assert line.startswith("DATABASE_URL: ")


def test_serve_on_a_port_in_use_names_it_and_exits(fresh_store: FreshStore, tmp_path: Path) -> None:
    with fresh_store("sqlite") as url, socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        ended = command(
            "serve",
            folder=tmp_path,
            DATABASE_URL=url,
            RECEIVER_PORT=port,
            MINDTICKLE_WEBHOOK_SECRET=SECRET,
        )
    said = ended.stdout + ended.stderr
    assert ended.returncode != 0
    assert port in said
    assert "Traceback" not in said


def test_rebuild_prints_the_number_of_events_and_is_in_the_audit_log(
    store: Engine, store_url: str, tmp_path: Path
) -> None:
    ended = command("rebuild", folder=tmp_path, DATABASE_URL=store_url)
    assert (ended.returncode, ended.stdout) == (0, "Rebuilt from 0 events.\n")
    note = row(store, AuditLog)
    assert (note.action, note.detail) == ("rebuild", "0 events")


def test_each_command_explains_itself() -> None:
    names = typer.main.get_group(cli).commands
    assert {"serve", "migrate", "rebuild", "simulate", "replay", "prune", "erase"} <= set(names)
    for name in names:
        shown = CliRunner().invoke(cli, [name, "--help"])
        assert shown.exit_code == 0
        assert f"{name} [OPTIONS]" in shown.stdout


def test_the_help_of_replay_names_every_vendor() -> None:
    shown = CliRunner().invoke(cli, ["replay", "--help"], env={"COLUMNS": "200"}).stdout
    assert all(slug in shown for slug in ADAPTERS)


def test_an_unknown_option_is_refused_without_a_traceback(tmp_path: Path) -> None:
    ended = command("serve", "--port", "1", folder=tmp_path)
    assert ended.returncode != 0
    assert "--port" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--vendor", "acme"], "Vendor 'acme' is not served here. Use one of mindtickle."),
        (["--vendor", V, "--reason", "bad"], "No delivery is quarantined as 'bad'. Use one of "),
        (["--vendor", V, "--since", "yesterday"], "--since: 'yesterday' is not a time. Use "),
        (["--vendor", V, "--since", "9999999999d"], "--since: '9999999999d' is not a time. Use "),
        (["--vendor", V, "--since", "0001-01-01T00:00:00+10:00"], "--since: "),
    ],
)
def test_a_wrong_option_of_replay_is_one_line(
    sqlite_url: str, tmp_path: Path, arguments: Sequence[str], said: str
) -> None:
    ended = command(
        "replay", *arguments,
        folder=tmp_path, DATABASE_URL=sqlite_url, MINDTICKLE_WEBHOOK_SECRET=SECRET,
    )  # fmt: skip
    assert (ended.returncode, ended.stdout) == (1, "")
    (line,) = ended.stderr.splitlines()
    assert line.startswith(said)


def test_without_a_secret_nothing_can_be_replayed(sqlite_url: str, tmp_path: Path) -> None:
    ended = command("replay", "--vendor", V, folder=tmp_path, DATABASE_URL=sqlite_url)
    assert ended.returncode == 1
    assert ended.stderr.startswith("No vendor has its credential set. Set ")


NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("45m", NOW - timedelta(minutes=45)),
        ("2h", NOW - timedelta(hours=2)),
        ("3d", NOW - timedelta(days=3)),
        ("2026-03-01T00:00:00Z", datetime(2026, 3, 1, tzinfo=UTC)),
        ("2026-03-01T02:00:00+02:00", datetime(2026, 3, 1, tzinfo=UTC)),
        ("2026-03-01", datetime(2026, 3, 1, tzinfo=UTC)),
    ],
)
def test_since_is_a_moment_or_a_time_ago(text: str, at: datetime) -> None:
    assert moment(text, NOW) == at
