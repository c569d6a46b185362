"""The commands and settings in the documentation work as written."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from receiver.__main__ import cli
from receiver.simulator import SCENARIOS
from receiver.vendors import ADAPTERS, adapters, vendor_facts
from receiver.vendors.base import Adapter
from receiver.vendors.mindtickle import CURL, MindTickleSettings
from shared.settings import ReceiverSettings
from tests import playing
from tests.conftest import FreshStore
from tests.running import ROOT, Receiver, environment

TRIES = (ROOT / "docs" / "try-each-vendor.md").read_text(encoding="utf-8")
CURLS = [block for block in re.findall(r"```sh\n(.*?)```", TRIES, re.DOTALL) if "curl" in block]
TABLE = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
SETTINGS = {
    "MINDTICKLE_WEBHOOK_SECRET": 'it\'s "secret" ${HOME} #1,secret-two',
    "MINDTICKLE_COMPANY_ID": playing.COMPANY,
    "INNOVATIVE_EDUCATORS_ALLOWED_IPS": "127.0.0.1",
    "LESSONLY_AUTHORIZATION": 'Bearer it\'s "one" ${HOME} #of %s \\them,another',
    "STANDARD_WEBHOOKS_SECRET": f"{playing.WHSEC},whsec_c29tZWJvZHk=",
    "V360LEARNING_SECRET": "a-secret ${HOME} #1,another",
}

FIRST_PAGE = SETTINGS | {
    "MINDTICKLE_WEBHOOK_SECRET": "a-secret ${HOME} #1,secret-two",
    "LESSONLY_AUTHORIZATION": 'Bearer "one" ${HOME} #of %s,another',
}
"""Secrets with a quote and a backslash need a real reader of `.env`, not `sed`."""


def quoted(value: str) -> str:
    """As the README says that a value is quoted in `.env`."""
    escaped = value.replace("\\", r"\\").replace("'", r"\'")
    return f"'{escaped}'"


def test_every_vendor_has_a_curl() -> None:
    shown = [slug for block in CURLS for slug in re.findall(r"/webhooks/([a-z-]+)", block)]
    assert sorted(shown) == sorted(ADAPTERS)


def test_each_curl_posts_a_sample_that_is_accepted(fresh_store: FreshStore, tmp_path: Path) -> None:
    (tmp_path / "tests").symlink_to(ROOT / "tests")
    (tmp_path / ".venv").symlink_to(sys.prefix)
    lines = (f"{name}={quoted(value)}\n" for name, value in SETTINGS.items())
    (tmp_path / ".env").write_text("".join(lines))
    with fresh_store("sqlite") as url, Receiver(url, tmp_path, **SETTINGS) as receiver:
        for block in CURLS:
            ended = subprocess.run(
                ["bash", "-euo", "pipefail", "-c",
                 block.replace("127.0.0.1:8000", f"127.0.0.1:{receiver.port}")],
                cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=30,
                check=False,
            )  # fmt: skip
            assert (ended.stdout, ended.stderr) == ('{"received":true}', ""), block


def test_each_curl_of_the_first_page_is_accepted(fresh_store: FreshStore, tmp_path: Path) -> None:
    lines = (f"{name}={quoted(value)}\n" for name, value in FIRST_PAGE.items())
    (tmp_path / ".env").write_text("".join(lines))
    facts = vendor_facts(ReceiverSettings(_env_file=None)).values()
    curls = {one.slug: one.set_up.curl for one in facts if one.set_up.curl}
    assert ADAPTERS.keys() - curls.keys() == {"innovative-educators"}  # known by its address only
    with fresh_store("sqlite") as url, Receiver(url, tmp_path, **FIRST_PAGE) as receiver:
        for slug, curl in curls.items():
            ended = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", f"url={receiver.url}/webhooks/{slug}\n{curl}"],
                cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=30,
                check=False,
            )  # fmt: skip
            assert (ended.stdout, ended.stderr) == ('{"received":true}', ""), slug


EVERY = adapters(ReceiverSettings(_env_file=None))


@pytest.mark.parametrize("adapter", EVERY.values(), ids=EVERY)
def test_the_setting_of_each_vendor_is_in_the_table_and_the_example(adapter: Adapter) -> None:
    name = adapter.setting.upper()
    assert f"| `{name}` |" in TABLE
    assert f"{name}=" in (ROOT / ".env.example").read_text(encoding="utf-8")


@pytest.mark.parametrize("quote", ["", "'", '"'])
def test_the_curl_of_the_first_page_reads_the_secret_as_the_receiver_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quote: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MINDTICKLE_WEBHOOK_SECRET", raising=False)
    line = f"MINDTICKLE_WEBHOOK_SECRET={quote}a${{HOME}}#b&c $d{quote}\n"
    (tmp_path / ".env").write_text(line)
    begin, _, _ = CURL.partition("company=")
    said = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", f'{begin}printf %s "$secret"'],
        cwd=tmp_path, env=environment(), capture_output=True, text=True, check=True,
    )  # fmt: skip
    (read,) = MindTickleSettings.load().mindtickle_webhook_secret
    assert said.stdout == read.get_secret_value() == "a${HOME}#b&c $d"


def test_every_link_between_documents_leads_to_a_file() -> None:
    for page in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")):
        for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            assert (page.parent / link).is_file(), f"{page.name}: {link}"


def test_every_command_in_the_documentation_exists() -> None:
    commands = typer.main.get_group(cli).commands
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]
    named = {
        name
        for page in pages
        for name in re.findall(r"\brepboard ([a-z]+)", page.read_text(encoding="utf-8"))
    }
    assert named <= set(commands)
    assert set(commands) <= named


def test_every_scenario_is_in_the_documentation() -> None:
    page = (ROOT / "docs" / "simulator.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `([a-z-]+)` \|", page, re.MULTILINE) == list(SCENARIOS)
