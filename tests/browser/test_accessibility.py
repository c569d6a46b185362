"""Each page by axe-core, in both themes, on a desk and on a phone."""

from collections.abc import Iterator
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.browser.conftest import serving
from tests.conftest import FreshStore
from tests.demo import PAGES, settled, write_demo

LOOKS = (("light", 1440, 1000), ("dark", 1440, 1000), ("light", 390, 844))
"""A theme on a screen; a phone in the dark has the same colours and the same layout."""
SERIOUS = ("serious", "critical")


@pytest.fixture(scope="module")
def demo(fresh_store: FreshStore) -> Iterator[str]:
    """A dashboard on the demo's history."""
    with fresh_store("sqlite") as url:
        write_demo(url, learners=40)
        with serving(url) as address:
            yield address


def serious(page: Page) -> list[str]:
    """The rules that the page breaks seriously, each with the first element that does."""
    found: list[dict[str, Any]] = Axe().run(page).response["violations"]
    return [
        f"{one['id']}: {one['nodes'][0]['html'][:200]}" for one in found if one["impact"] in SERIOUS
    ]


@pytest.mark.parametrize("path", PAGES)
def test_a_page_breaks_no_serious_rule_of_accessibility(path: str, demo: str, page: Page) -> None:
    page.goto(f"{demo}/{path}")
    expect(page.locator("h1").first).to_be_visible()
    broken = []
    for theme, wide, tall in LOOKS:
        page.set_viewport_size({"width": wide, "height": tall})
        page.emulate_media(color_scheme=theme)
        settled(page)
        expect(page.get_by_test_id("stException")).to_have_count(0)
        broken += [f"{wide} px, {theme}: {one}" for one in serious(page)]
    assert not broken
