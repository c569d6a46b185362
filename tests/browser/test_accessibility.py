"""Each page by axe-core, in both themes, on a desk and on a phone."""

from collections.abc import Iterator
from typing import Any, Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.conftest import serving
from tests.conftest import FreshStore
from tests.demo import PAGES, settled, write_demo

LOOKS: tuple[tuple[Literal["light", "dark"], int, int], ...] = (
    ("light", 1440, 1000),
    ("dark", 1440, 1000),
    ("light", 390, 844),
)
"""A theme on a screen; a phone in the dark has the same colours and the same layout."""
SERIOUS = ("serious", "critical")


@pytest.fixture(scope="module")
def demo(fresh_store: FreshStore) -> Iterator[str]:
    """A dashboard on the demo's history."""
    with fresh_store("sqlite") as url:
        write_demo(url, learners=40)
        with serving(url) as address:
            yield address


@pytest.fixture(scope="module")
def tab(window: BrowserContext) -> Iterator[Page]:
    """One for all pages: a new one takes longer to show its first page than to load another."""
    tab = window.new_page()
    yield tab
    tab.close()


def serious(page: Page) -> list[str]:
    """The rules that the page breaks seriously, each with the first element that does."""
    found: list[dict[str, Any]] = Axe().run(page).response["violations"]
    return [
        f"{one['id']}: {one['nodes'][0]['html'][:200]}" for one in found if one["impact"] in SERIOUS
    ]


def look(tab: Page, theme: Literal["light", "dark"], wide: int, tall: int) -> None:
    tab.set_viewport_size({"width": wide, "height": tall})
    tab.emulate_media(color_scheme=theme)


@pytest.mark.parametrize("path", PAGES)
def test_a_page_breaks_no_serious_rule_of_accessibility(path: str, demo: str, tab: Page) -> None:
    look(tab, *LOOKS[0])
    tab.goto(f"{demo}/{path}")
    expect(tab.locator("h1").first).to_be_visible()
    broken = []
    for theme, wide, tall in LOOKS:
        look(tab, theme, wide, tall)
        settled(tab)
        expect(tab.get_by_test_id("stException")).to_have_count(0)
        broken += [f"{wide} px, {theme}: {one}" for one in serious(tab)]
    assert not broken
