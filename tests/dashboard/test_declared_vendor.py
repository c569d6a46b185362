"""A newcomer declares a vendor as `docs/declaring-a-vendor.md` says: its commands and files are the
ones of that page, and all pages know the vendor."""

import hmac
import json
import re
import subprocess
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest
import streamlit as st

from receiver.vendors import adapters
from shared.models import Delivery, ModuleProgress
from shared.settings import VendorsFile
from shared.vendors import ProgressFields
from tests.conftest import FreshStore
from tests.dashboard.conftest import Open
from tests.pages import rows, written
from tests.running import ROOT, Receiver, command, environment, until
from tests.stores import rows as stored

PAGE = (ROOT / "docs" / "declaring-a-vendor.md").read_text(encoding="utf-8")
BODY, HEADERS, FILE, ENV, CHECK, SAID, RENAMED = (
    text for _, text in re.findall(r"```(json|text|toml|sh)\n(.*?)```", PAGE, re.DOTALL)
)
VARIABLES = dict(line.split("=", 1) for line in ENV.splitlines())
WITHOUT = dict.fromkeys(
    ("MINDTICKLE_WEBHOOK_SECRET", "INNOVATIVE_EDUCATORS_ALLOWED_IPS", "LESSONLY_AUTHORIZATION",
     "STANDARD_WEBHOOKS_SECRET"), "",
)  # fmt: skip


def body() -> str:
    """The body of the page, as if it was sent now."""
    return json.dumps(json.loads(BODY) | {"sent_at": datetime.now(UTC).isoformat()})


def headers(body: str, event_id: str, secret: str = VARIABLES["ACME_SECRET"]) -> Mapping[str, str]:
    at = str(int(datetime.now(UTC).timestamp()))
    text = f"{at}.{body}".encode()
    signature = hmac.new(secret.encode(), text, "sha256").hexdigest()
    return {
        "x-acme-id": event_id,
        "x-acme-timestamp": at,
        "x-acme-signature": f"sha256={signature}",
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With the files of the page."""
    made = tmp_path_factory.mktemp("acme")
    (made / "body.json").write_text(BODY.rstrip("\n"))
    (made / "headers.txt").write_text(HEADERS)
    (made / "vendors.toml").write_text(FILE)
    (made / ".env").write_text(ENV)
    return made


@pytest.fixture(scope="module")
def serving(folder: Path, fresh_store: FreshStore) -> Iterator[Receiver]:
    """Serves only this vendor, whose secret was rotated: it refused six of its deliveries."""
    with fresh_store("sqlite") as url, Receiver(url, folder, **WITHOUT) as receiver:
        for number in range(6):
            sent = body()
            head = headers(sent, f"e-{number}", secret="rotated")
            assert receiver.post(sent, head, "acme").status_code == 403
        until(lambda: len(stored(receiver.engine, Delivery)) == 6)
        yield receiver


@pytest.fixture
def store_url(serving: Receiver) -> str:
    return serving.engine.url.render_as_string(hide_password=False)


def test_the_check_says_what_the_page_says_and_shows_no_secret(folder: Path) -> None:
    program, *arguments = CHECK.split()
    ended = command(*arguments, folder=folder)
    assert (program, ended.returncode, ended.stderr) == ("repboard", 0, "")
    assert ended.stdout.startswith(SAID)
    for line in ("Event ID: evt-1001", "Event type: video.watched", "Counts as progressed:"):
        assert f"✓ {line}" in ended.stdout
    assert VARIABLES["ACME_SECRET"] not in ended.stdout


@pytest.mark.parametrize(
    ("old", "new", "hint"),
    [
        ('prefix = "sha256="', 'prefix = "sha256="\nalgorithm = "sha1"',
         'It fits with algorithm = "sha256".'),
        ('prefix = "sha256="', 'prefix = "sha256="\nkey_encoding = "base64"', "ACME_SECRET"),
        ("", "", "It fits with the sample without its last line end."),
    ],
)  # fmt: skip
def test_the_check_says_what_would_make_a_signature_fit(
    folder: Path, tmp_path: Path, old: str, new: str, hint: str
) -> None:
    (tmp_path / "vendors.toml").write_text(FILE.replace(old, new) if old else FILE)
    (tmp_path / "body.json").write_text(BODY.rstrip() + ("" if old else "\n"))
    (tmp_path / "headers.txt").write_text(HEADERS)
    ended = command(*CHECK.split()[1:], folder=tmp_path, ACME_SECRET=VARIABLES["ACME_SECRET"])
    assert ended.returncode == 1
    assert hint in ended.stdout + ended.stderr
    assert VARIABLES["ACME_SECRET"] not in ended.stdout + ended.stderr


def test_the_names_of_mindtickle_can_be_changed_as_the_page_says(tmp_path: Path) -> None:
    (tmp_path / "vendors.toml").write_text(RENAMED)
    changed = adapters(VendorsFile(vendors_file=tmp_path / "vendors.toml"))["mindtickle"]
    facts = changed.settings.load().facts()
    assert facts.secret_headers == ("x-tickle-signature",)
    assert facts.progress == ProgressFields(
        "progress", "data.moduleId", "data.moduleName", "data.percent"
    )


def test_a_wrong_file_stops_check_and_start_with_a_line_for_each_mistake(tmp_path: Path) -> None:
    (tmp_path / "vendors.toml").write_text(FILE.replace("module_id", "modul_id"))
    for arguments in (("vendors", "check", "vendors.toml"), ("serve",)):
        ended = command(*arguments, folder=tmp_path, VENDORS_FILE="vendors.toml")
        assert (ended.returncode, ended.stdout) == (1, "")
        assert ended.stderr == (
            "vendors.toml: acme: events.1.facts.1: progressed has no modul_id; it has module_id, "
            "progress_pct, module_name, time_spent_sec\n"
        )


def test_its_signature_is_masked_on_the_page_and_its_retries_are_known(open_page: Open) -> None:
    page = open_page("deliveries", delivery="1")
    shown = json.loads(next(block.value for block in page.code if "x-acme" in block.value))
    assert (shown["x-acme-signature"], shown["x-acme-id"]) == ("••••", "e-0")
    assert "Attempt 1 of 4 by Acme Video" in written(page)


def test_the_diagnosis_has_its_name_and_its_cure(open_page: Open) -> None:
    page = open_page("deliveries")
    assert "Acme Video" in written(page)
    tables = "".join(one.value.to_csv() for one in page.table)
    assert re.search(r"Copy the new secret from Acme Video into ACME.+SECRET", tables), tables


def test_a_replay_and_a_warning_at_the_start_know_it(folder: Path, store_url: str) -> None:
    ended = command(
        "replay", "--vendor", "acme", "--dry-run", folder=folder, DATABASE_URL=store_url,
        ACME_SECRET="rotated",
    )  # fmt: skip
    assert (ended.returncode, ended.stderr) == (0, "")
    assert re.search(r"Dry run: 6\b", ended.stdout), ended.stdout


def test_its_first_event_is_sent_from_the_first_page_and_explains_a_rank(
    folder: Path,
    fresh_store: FreshStore,
    open_page: Open,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with fresh_store("sqlite") as url, Receiver(url, folder, **WITHOUT) as receiver:
        monkeypatch.setenv("DATABASE_URL", url)
        monkeypatch.setenv("RECEIVER_PORT", str(receiver.port))
        page = open_page()
        address, curl = (block.value for block in page.code)
        assert address == f"{receiver.url}/webhooks/acme"
        assert "Acme Video" in written(page)
        sent = subprocess.run(
            ["bash", "-c", curl], cwd=folder, env=environment(), capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        assert sent.stdout == '{"received":true}'
        watched = body()
        signed = headers(watched, "e-1")
        assert receiver.post(watched, signed, "acme").json() == {"received": True}
        assert receiver.post(watched, signed, "acme").json() == {"duplicate": True}
        until(lambda: bool(stored(receiver.engine, ModuleProgress, user_id="u-5")))
        st.cache_data.clear()
        page = open_page(learner="acme/u-5")
        assert any(row.get("module_name") == "The first call" for row in rows(page, "module_name"))
        links = [one.label for one in page.get("page_link")]
        assert any("The first call: 35" in one for one in links), links
