"""The list of deliveries, by mouse."""

import re
from datetime import UTC, datetime
from pathlib import Path

from playwright.sync_api import FloatRect, Locator, Page, expect

from tests import playing
from tests.running import Receiver, until

TABLE = "[data-testid=stDataFrame]"
CHART = "[data-testid=stVegaLiteChart]"
SETTLED_MS = 500


def place(element: Locator) -> FloatRect:
    expect(element).to_be_visible()
    box = element.bounding_box()
    assert box is not None
    return box


def still(page: Page, element: Locator) -> bool:
    """Whether it looks the same for a moment."""
    before = element.screenshot()
    page.wait_for_timeout(SETTLED_MS)
    return element.screenshot() == before


def brush(page: Page, begin: float, end: float) -> None:
    """Drag over a part of the timeline, as shares of its width, once it is drawn."""
    chart = page.locator(CHART).first
    expect(chart.locator("svg").first).to_be_visible()
    until(lambda: still(page, chart))
    box = place(chart)
    height = box["y"] + 0.6 * box["height"]
    page.mouse.move(box["x"] + begin * box["width"], height)
    page.mouse.down()
    page.mouse.move(box["x"] + end * box["width"], height, steps=10)
    page.mouse.up()


def test_a_brush_over_the_timeline_limits_the_list_and_a_row_opens_its_delivery(
    browsed_store: str, dashboard: str, page: Page, tmp_path: Path
) -> None:
    with Receiver(browsed_store, tmp_path) as receiver:
        assert receiver.deliver("module.progress", playing.progress()).status_code == 200
        body = playing.body_of("module.progress", playing.progress())
        headers = playing.signed(body, datetime.now(UTC), "evt-refused", "another-secret")
        assert receiver.post(body, headers).status_code == 403
        page.goto(f"{dashboard}/deliveries?view=deliveries")
        expect(page.locator(TABLE)).to_be_visible()

        brush(page, 0.2, 0.6)
        expect(page.get_by_text("No matching deliveries in this period.")).to_be_visible()
        brush(page, 0.9, 0.995)
        expect(page.locator(TABLE)).to_be_visible()

        row = place(page.locator(TABLE))
        page.mouse.click(row["x"] + 35, row["y"] + 52)
        expect(page.get_by_text("Wrong signature, answered 403")).to_be_visible()
        expect(page).to_have_url(re.compile("delivery=2"))
        page.keyboard.press("Escape")
        expect(page.get_by_text("Wrong signature, answered 403")).not_to_be_visible()
        expect(page).not_to_have_url(re.compile("delivery="))
