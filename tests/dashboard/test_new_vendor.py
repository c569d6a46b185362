"""A vendor is one file: in a copy of the receiver it is added as such, and found everywhere. The
dashboard is the one of this project, which does not know it."""

import hmac
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import streamlit as st

from shared.models import Delivery
from shared.queries.vendors import configured
from tests.conftest import FreshStore
from tests.dashboard.conftest import Open
from tests.pages import rows, written
from tests.running import ROOT, Receiver, command, environment, until
from tests.stores import rows as stored

SECRET = "acme-secret-of-some-length"
BODY = json.dumps({"viewer": "u-5", "video": "v-1", "watched": 40}).encode()
WITHOUT = dict.fromkeys(
    ("MINDTICKLE_WEBHOOK_SECRET", "INNOVATIVE_EDUCATORS_ALLOWED_IPS", "LESSONLY_AUTHORIZATION",
     "STANDARD_WEBHOOKS_SECRET"), "",
)  # fmt: skip


def headers(event_id: str, secret: str = SECRET) -> dict[str, str]:
    signature = hmac.digest(secret.encode(), event_id.encode() + BODY, "sha256").hex()
    return {"x-acme-id": event_id, "x-acme-signature": signature}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the receiver with one file more."""
    folder = tmp_path_factory.mktemp("house")
    for package in ("receiver", "shared"):
        shutil.copytree(ROOT / package, folder / package)
    shutil.copy(ROOT / "tests" / "new_vendor.py", folder / "receiver" / "vendors" / "acme.py")
    return folder


@pytest.fixture(scope="module")
def serving(
    house: Path, fresh_store: FreshStore, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Receiver]:
    """A receiver of that copy that serves only this vendor and refused six of its deliveries."""
    settings = {**WITHOUT, "PYTHONPATH": str(house), "ACME_SECRET": SECRET, "ACME_SECRT": "x"}
    folder = tmp_path_factory.mktemp("acme")
    with fresh_store("sqlite") as url, Receiver(url, folder, **settings) as receiver:
        for number in range(6):
            sent = headers(f"e-{number}", secret="rotated")
            assert receiver.post(BODY, sent, "acme").status_code == 403
        until(lambda: len(stored(receiver.engine, Delivery)) == 6)
        yield receiver


@pytest.fixture
def store_url(serving: Receiver) -> str:
    return serving.engine.url.render_as_string(hide_password=False)


def test_only_the_configured_vendor_is_served_and_noted_as_such(serving: Receiver) -> None:
    assert serving.post(b"{}", {}, "mindtickle").status_code == 404
    assert serving.post(BODY, {}, "acme").status_code == 401
    with serving.engine.connect() as connection:
        assert [one.slug for one in configured(connection)] == ["acme"]


def test_its_signature_is_masked_on_the_page_and_its_retries_are_known(open_page: Open) -> None:
    page = open_page("deliveries", delivery="1")
    shown = next(block.value for block in page.code if "x-acme" in block.value)
    assert json.loads(shown) == {"x-acme-signature": "••••", "x-acme-id": "e-0"}
    assert "Attempt 1 of 3 by Acme Video" in written(page)


def test_the_diagnosis_has_its_name_and_its_cure(open_page: Open) -> None:
    page = open_page("deliveries")
    assert "Acme Video" in written(page)
    tables = "".join(one.value.to_csv() for one in page.table)
    assert re.search(r"Copy Acme's new secret into ACME.+SECRET, then replay", tables), tables


def test_commands_and_warnings_know_it(serving: Receiver, house: Path, store_url: str) -> None:
    assert "ACME_SECRT is no setting and has no effect: is ACME_SECRET meant?" in [
        line.get("problem") for line in serving.log_lines()
    ]
    ended = command(
        "replay", "--vendor", "acme", "--dry-run", folder=house, DATABASE_URL=store_url,
        PYTHONPATH=str(house), ACME_SECRET="rotated",
    )  # fmt: skip
    assert (ended.returncode, ended.stderr) == (0, "")
    assert re.search(r"Dry run: 6\b", ended.stdout), ended.stdout


def test_its_first_event_is_sent_from_the_first_page_and_explains_a_rank(
    house: Path,
    fresh_store: FreshStore,
    tmp_path: Path,
    open_page: Open,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = {**WITHOUT, "PYTHONPATH": str(house), "ACME_SECRET": SECRET}
    with fresh_store("sqlite") as url, Receiver(url, tmp_path, **settings) as receiver:
        monkeypatch.setenv("DATABASE_URL", url)
        monkeypatch.setenv("RECEIVER_PORT", str(receiver.port))
        page = open_page()
        address, curl = (block.value for block in page.code)
        assert address == f"{receiver.url}/webhooks/acme"
        assert "Acme Video" in written(page)
        assert "MindTickle" not in written(page)
        (tmp_path / ".env").write_text(f"ACME_SECRET={SECRET}\n")
        sent = subprocess.run(
            ["bash", "-c", curl], cwd=tmp_path, env=environment(), capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        assert sent.stdout == '{"received":true}'
        receiver.followed()
        st.cache_data.clear()
        page = open_page(learner="acme/u-5")
        assert any(row.get("module_name") == "The first call" for row in rows(page, "module_name"))
        links = [one.label for one in page.get("page_link")]
        assert any("The first call: 35" in one for one in links), links
