"""A real Chromium."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from dashboard.base.pieces import NO_LINK
from tests import running
from tests.conftest import FreshStore
from tests.running import free_port

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
VISITOR: Any = {"viewport": {"width": 1360, "height": 1000}, "timezone_id": "Asia/Tokyo"}
"""In a zone far from UTC, as most viewers are."""
PATIENCE_MS = 60_000

expect.set_options(timeout=PATIENCE_MS)  # a page may be slow to come next to a second worker


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """One for all tests of this folder; no longer, as asyncio.run fails while Playwright runs."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def window(browser: Browser) -> Iterator[BrowserContext]:
    """One for all tests of this folder: to open a window takes as long as to load a page. Its first
    tab stays, as it closes with the last one."""
    window = browser.new_context(**VISITOR)
    window.set_default_timeout(PATIENCE_MS)
    window.new_page()
    yield window
    window.close()


@pytest.fixture
def page(window: BrowserContext) -> Iterator[Page]:
    """A tab without cookies."""
    window.clear_cookies()
    page = window.new_page()
    yield page
    page.close()


def said(text: str) -> str:
    """Words of a page, as it shows them: an address in them is parted, so that it is no link."""
    return text.replace("@", f"@{NO_LINK}")


def visitor(browser: Browser) -> Page:
    """A page in a window of its own, without cookies."""
    page = browser.new_page(**VISITOR)
    page.set_default_timeout(PATIENCE_MS)
    return page


@pytest.fixture
def browsed_store(fresh_store: FreshStore) -> Iterator[str]:
    with fresh_store("sqlite") as url:
        yield url


@contextmanager
def serving(database_url: str) -> Iterator[str]:
    """The address of a dashboard on a store. It is given no secret at all."""
    port = str(free_port())
    with running.dashboard(port, Path(os.devnull), DATABASE_URL=database_url) as url:
        yield url


@pytest.fixture
def dashboard(browsed_store: str) -> Iterator[str]:
    """The dashboard's address."""
    with serving(browsed_store) as url:
        yield url
