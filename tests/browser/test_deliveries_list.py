"""The list of deliveries, by mouse."""

import re
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

from playwright.sync_api import Error, FloatRect, Locator, Page, expect

from tests import playing
from tests.running import Receiver, until

CHART = "[data-testid=stVegaLiteChart]"
FOLLOWS_MS = 5_000


def deliveries(page: Page) -> Locator:
    """The list, which alone says when each was received."""
    return page.locator("[data-testid=stDataFrame]").filter(has_text="Received")


def place(element: Locator) -> FloatRect:
    expect(element).to_be_visible()
    box = element.bounding_box()
    assert box is not None
    return box


def brush(page: Page, begin: float, end: float, then: Locator) -> None:
    """Drag over a part of the timeline, as shares of its width, until the list has followed. Where
    the chart is drawn while the mouse is down, as on a slow machine, it knows of no drag; the next
    one begins left of it, as a press within a brush would move that."""
    starts = count(begin, -0.02)

    def followed() -> bool:
        _drag(page, next(starts), end)
        try:
            then.wait_for(timeout=FOLLOWS_MS)
        except Error:
            return False
        return True

    until(followed)


def _drag(page: Page, begin: float, end: float) -> None:
    chart = page.locator(CHART).first
    expect(chart.locator("svg").first).to_be_visible()
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
        expect(deliveries(page)).to_be_visible()

        brush(page, 0.3, 0.6, page.get_by_text("No failed deliveries in this period."))
        brush(page, 0.75, 0.995, deliveries(page))

        deliveries(page).click(position={"x": 35, "y": 52})
        expect(page.get_by_text("Wrong signature, answered 403")).to_be_visible()
        expect(page).to_have_url(re.compile("delivery=2"))
        page.keyboard.press("Escape")
        expect(page.get_by_text("Wrong signature, answered 403")).not_to_be_visible()
        expect(page).not_to_have_url(re.compile("delivery="))
