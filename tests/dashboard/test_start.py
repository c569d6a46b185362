"""`python -m dashboard`."""

import subprocess
import sys
from pathlib import Path

from receiver.vendors import ADAPTERS
from tests.running import environment, free_port, is_up, until


def start(folder: Path, **settings: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "dashboard"],
        env=environment(**settings),
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_wrong_setting_stops_the_start_with_one_line_that_names_it(tmp_path: Path) -> None:
    _, errors = start(tmp_path, DASHBOARD_PORT="many").communicate(timeout=30)
    assert errors.startswith("DASHBOARD_PORT: ")
    assert errors.count("\n") == 1


def test_the_dashboard_runs_without_the_vendors_secrets(tmp_path: Path) -> None:
    port = str(free_port())
    names = ["MINDTICKLE_API_TOKEN", *(one.setting.upper() for one in ADAPTERS.values())]
    process = start(tmp_path, DASHBOARD_PORT=port, **dict.fromkeys(names, "whsec-hidden"))
    try:
        until(lambda: is_up(f"http://127.0.0.1:{port}/_stcore/health"))
        running = Path(f"/proc/{process.pid}/environ").read_bytes()
    finally:
        process.terminate()
        process.wait(timeout=30)
    assert f"DASHBOARD_PORT={port}".encode() in running
    assert b"-hidden" not in running


def test_the_start_names_a_misspelt_variable_without_its_value(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("OIDC_CLIENTID=hidden\n")
    (tmp_path / ".env").chmod(0o600)
    port = str(free_port())
    process = start(tmp_path, DASHBOARD_PORT=port, DASHBOARD_ADMIN="hidden")
    try:
        until(lambda: is_up(f"http://127.0.0.1:{port}/_stcore/health"))
    finally:
        process.terminate()
        _, errors = process.communicate(timeout=30)
    assert errors.splitlines()[:2] == [
        "DASHBOARD_ADMIN is no setting and has no effect: is DASHBOARD_ADMINS meant?",
        "OIDC_CLIENTID is no setting and has no effect: is OIDC_CLIENT_ID meant?",
    ]
    assert "hidden" not in errors
