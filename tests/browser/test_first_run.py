"""Receiver and dashboard started as a user starts them, seen through a real Chromium."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, expect

from receiver.vendors.mindtickle import sign
from shared.database import migrate, open_engine
from tests import playing
from tests.running import ROOT, environment, free_port, is_up, until


class Installation:
    """A folder with an `.env`, and both processes of the Procfile on free ports."""

    def __init__(self, folder: Path) -> None:
        receiver, dashboard = free_port(), free_port()
        self.folder = folder
        self.receiver = f"http://127.0.0.1:{receiver}"
        self.dashboard = f"http://127.0.0.1:{dashboard}"
        settings = {
            "DATABASE_URL": f"sqlite:///{folder / 'repboard.db'}",
            "MINDTICKLE_WEBHOOK_SECRET": playing.SECRET,
            "RECEIVER_PORT": str(receiver),
            "DASHBOARD_PORT": str(dashboard),
        }
        (folder / ".env").write_text("".join(f"{key}={value}\n" for key, value in settings.items()))
        migrate(open_engine(settings["DATABASE_URL"]))
        bin_folder = str(Path(sys.executable).parent)
        self._processes = subprocess.Popen(
            [sys.executable, "-m", "honcho", "-e", os.devnull, "start"],
            cwd=ROOT,
            env=environment(**settings) | {"PATH": f"{bin_folder}{os.pathsep}{os.environ['PATH']}"},
            stdout=(folder / "log").open("wb"),
            stderr=subprocess.STDOUT,
        )

    def answers(self) -> bool:
        return is_up(f"{self.receiver}/healthz", f"{self.dashboard}/_stcore/health")

    def stop(self) -> None:
        self._processes.send_signal(signal.SIGTERM)
        self._processes.wait(timeout=30)


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    running = Installation(tmp_path)
    try:
        until(running.answers)
        yield running
    finally:
        running.stop()


def post(installation: Installation, body: bytes, at: str) -> httpx.Response:
    headers = {
        "x-mt-event-id": playing.new_id(),
        "x-mt-webhook-timestamp": at,
        "x-mt-webhook-signature": sign(playing.SECRET.encode(), at.encode(), body).decode(),
    }
    url = f"{installation.receiver}/webhooks/mindtickle"
    return httpx.post(url, content=body, headers=headers, verify=False)


def test_a_new_user_sends_the_shown_curl_and_watches_the_page_fill_without_a_reload(
    installation: Installation, page: Page
) -> None:
    requested: list[str] = []
    page.on("request", lambda request: requested.append(request.url))
    page.goto(installation.dashboard)
    expect(page.get_by_text("Waiting for the first delivery")).to_be_visible()
    page.evaluate("window.neverReloaded = true")

    page.get_by_text("Use curl instead").click()
    shown = page.locator("[data-testid=stCode]").nth(1).inner_text()
    answer = subprocess.run(
        ["bash", "-c", shown], cwd=installation.folder, capture_output=True, text=True, check=True
    )
    assert answer.stdout == '{"received":true}'
    figure = page.locator("[data-testid=stMetric]").nth(2)
    expect(figure).to_contain_text("40 pts")

    at = str(int(time.time()))
    body = playing.body_of("module.progress", playing.progress("u-1", progressPct=95))
    assert post(installation, body, at).json() == {"received": True}
    expect(figure).to_contain_text("95 pts")

    for name, sentence in (("Coaching", "No graded quiz"), ("Deliveries", "All well")):
        page.get_by_role("link", name=name).click()
        expect(page.get_by_text(sentence)).to_be_visible()
    assert page.evaluate("window.neverReloaded")
    elsewhere = [url for url in requested if not url.startswith((installation.dashboard, "data:"))]
    assert elsewhere == []
