"""`python -m tests.screenshots FOLDER`: pictures of the demo's pages, for the documents.

The company is always the same one; only dates move with the day on which the pictures are made.
"""

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from playwright.sync_api import Browser, sync_playwright

from shared.database import migrate, open_engine
from tests.browser.conftest import CHROMIUM, QUIET, serving
from tests.demo import settled, write_demo

LEARNERS = 120
TALLEST = 2400


class Look(NamedTuple):
    """How a page is looked at."""

    name: str
    width: int
    height: int
    dark: bool = False


DESK, NIGHT, PHONE, SCREEN = (
    Look("light", 1440, 1000),
    Look("dark", 1440, 1000, dark=True),
    Look("phone", 390, 844),
    Look("screen", 1920, 1080, dark=True),
)
PICTURES: Sequence[tuple[str, str, Look]] = (
    ("leaderboard", "", DESK),
    ("leaderboard", "", NIGHT),
    ("leaderboard", "", PHONE),
    ("coaching", "coaching", DESK),
    ("deliveries", "deliveries?span=90d", DESK),
    ("deliveries", "deliveries?span=90d", NIGHT),
    ("wall", "wall", SCREEN),
)
TURNS_MS = 90_000
"""A wall display shows each of its four boards for 15 s; the picture is of the leaders."""
"""The name of each picture, the address of its page, and the look."""


def take(folder: Path) -> None:
    """Write `<page>-<look>.png` into a folder."""
    with tempfile.TemporaryDirectory() as scratch:
        url = f"sqlite:///{scratch}/demo.db"
        engine = open_engine(url)
        migrate(engine)
        engine.dispose()
        write_demo(url, LEARNERS)
        with serving(url) as address, sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
            for name, path, look in PICTURES:
                _picture(browser, f"{address}/{path}", look, folder / f"{name}-{look.name}.png")
            browser.close()


def _picture(browser: Browser, address: str, look: Look, path: Path) -> None:
    page = browser.new_page(
        viewport={"width": look.width, "height": look.height},
        color_scheme="dark" if look.dark else "light",
        timezone_id="Europe/Berlin",
    )
    page.goto(address)
    page.get_by_role("heading", level=1).first.wait_for()
    if look is SCREEN:
        page.get_by_text("Leaders", exact=True).wait_for(timeout=TURNS_MS)
    settled(page)
    if look in (DESK, NIGHT):  # of the others only what is on the first screen
        tall = page.evaluate("document.querySelector('[data-testid=stMain]').scrollHeight")
        page.set_viewport_size({"width": look.width, "height": min(tall + 80, TALLEST)})
        settled(page)
    page.screenshot(path=path)
    page.close()


if __name__ == "__main__":
    take(Path(sys.argv[1] if len(sys.argv) > 1 else "docs"))
