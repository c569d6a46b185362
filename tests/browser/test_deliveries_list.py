"""The list of deliveries, by mouse, and its download."""

import csv
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import count

import pytest
from playwright.sync_api import Error, FloatRect, Locator, Page, expect

from shared.models import AuditLog
from tests import playing, stores
from tests.browser.conftest import serving
from tests.conftest import FreshStore
from tests.running import Receiver, until

CHART = "[data-testid=stVegaLiteChart]"
FOLLOWS_MS = 5_000


@pytest.fixture(scope="module")
def receiver(
    fresh_store: FreshStore, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Receiver]:
    """It accepted one delivery and then refused three."""
    folder = tmp_path_factory.mktemp("receiver")
    with fresh_store("sqlite") as url, Receiver(url, folder) as receiver:
        assert receiver.deliver("module.progress", playing.progress()).status_code == 200
        for number in range(3):
            body = playing.body_of("module.progress", playing.progress(f"u-{number}"))
            headers = playing.signed(body, datetime.now(UTC), secret="another-secret")
            assert receiver.post(body, headers).status_code == 403
        yield receiver


@pytest.fixture(scope="module")
def dashboard(receiver: Receiver) -> Iterator[str]:
    with serving(receiver.engine.url.render_as_string(hide_password=False)) as url:
        yield url


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
    dashboard: str, page: Page
) -> None:
    page.goto(f"{dashboard}/deliveries?view=deliveries")
    expect(deliveries(page)).to_be_visible()

    brush(page, 0.3, 0.6, page.get_by_text("No failed deliveries in this period."))
    brush(page, 0.75, 0.995, deliveries(page))

    deliveries(page).click(position={"x": 35, "y": 52})
    expect(page.get_by_text("Wrong signature, answered 403")).to_be_visible()
    expect(page).to_have_url(re.compile("delivery=4"))
    page.keyboard.press("Escape")
    expect(page.get_by_text("Wrong signature, answered 403")).not_to_be_visible()
    expect(page).not_to_have_url(re.compile("delivery="))


def test_a_download_is_noted_and_the_page_stays_where_it_is(
    receiver: Receiver, dashboard: str, page: Page
) -> None:
    page.set_viewport_size({"width": 1360, "height": 500})
    page.goto(f"{dashboard}/deliveries?view=deliveries")
    page.get_by_role("button", name="Share").click()
    button = page.get_by_role("button", name="CSV: deliveries")
    button.scroll_into_view_if_needed()
    top = button.evaluate("element => element.getBoundingClientRect().top")

    with page.expect_download() as download:
        button.click()
    rows = list(csv.DictReader(download.value.path().open(newline="", encoding="utf-8-sig")))
    assert len(rows) == 3
    assert {row["Outcome"] for row in rows} == {"Wrong signature"}

    until(lambda: stores.count(receiver.engine, AuditLog) == 1)
    entry = stores.row(receiver.engine, AuditLog)
    assert (entry.actor, entry.action) == ("dashboard", "export")
    assert (entry.subject, entry.detail) == ("deliveries.csv", "3 rows")
    expect(button).to_be_visible()
    page.wait_for_timeout(5500)  # a live part is drawn again in this time
    assert button.evaluate("element => element.getBoundingClientRect().top") == top
