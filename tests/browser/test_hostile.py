"""Hostile text of every vendor, on every page, in downloads, logs and metrics.

All pages are visited once; each test looks at one thing of what was seen there.
"""

import csv
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, expect
from prometheus_client.parser import text_string_to_metric_families

from receiver.vendors import ADAPTERS
from shared.models import DeliveryHourly
from shared.outcomes import Outcome
from tests import playing, stores
from tests.browser.conftest import PATIENCE_MS, serving
from tests.conftest import FreshStore
from tests.hostile import CORPUS, SENDERS
from tests.running import Receiver

NAVIGATION = "[data-testid=stTopNavLink], [data-testid=stSidebarNavLink]"
VIEWS = {
    "deliveries": (
        "view=chains",
        "view=deliveries&which=all",
        "view=quarantine",
        "delivery=14",
        "delivery={last}",
    ),
}
"""What else to open of a page, as it stands in its address; `last` is the newest delivery."""
SHOWN = ("formula", "SQL", "formula with at", "bold", "markdown link", "markdown image", "script",
         "image with a handler", "svg", "entity", "bare link", "template", "math", "icon", "colour",
         "vega")  # fmt: skip
"""What has to be seen as it is: these come last, two at a time, and so stand first in lists."""
PATIENCE = 40
CLICKS = 5
DROPPED = "Client Error: Download Button source error - 404"
AT_ONCE = 4
LOOK_MS = 1_200
INJECTED = """() => [...document.querySelectorAll(
  'a[href^="http"][href*="evil.example"], a[href^="javascript:"], a[href^="data:"],' +
  '[src*="evil.example"], img[src="x"], iframe[srcdoc], .katex,' +
  '[onload], [onerror], [onfocus], [onmouseover]')]
  .map(one => one.outerHTML.slice(0, 200))
  .concat([...document.querySelectorAll('[data-testid=stIconMaterial]')]
    .filter(one => one.textContent === 'delete')
    .map(one => one.outerHTML.slice(0, 200)))"""
TEXT = """() => [document.body.innerText,
  ...[...document.querySelectorAll('canvas')].map(one => one.textContent)]
  .join('\\n').replaceAll('\\u2060', '')"""
BUSY = "[data-testid=stStatusWidget], [data-testid=stSkeleton]"
WIDTH = """() => Math.max(document.documentElement.scrollWidth, document.body.scrollWidth,
  ...[...document.querySelectorAll('[data-testid=stMain]')].map(one => one.scrollWidth))"""


FORMULA = re.compile(r"[=@\t\r\n＝＋－＠]|[+-](?![0-9.]+$)")
"""The begin of a cell that a spreadsheet would run; a number may have a sign."""


@dataclass
class Seen:
    """What happened while a page was open."""

    text: str = ""
    hacked: Any = None
    injected: list[str] = field(default_factory=list)
    width: int = 0
    failed: bool = False
    dialogs: list[str] = field(default_factory=list)
    elsewhere: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    cells: list[str] = field(default_factory=list)


@dataclass
class Visit:
    """Everything there was to see."""

    pages: dict[str, Seen]
    posts: int
    log: bytes
    metrics: str
    deliveries: int

    def wrong(self, name: str) -> dict[str, Any]:
        """By page, what should be empty there and is not."""
        return {page: found for page, seen in self.pages.items() if (found := getattr(seen, name))}


@pytest.fixture(scope="module")
def visit(
    browser: Browser,
    fresh_store: FreshStore,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Visit]:
    folder = tmp_path_factory.mktemp("hostile")
    with (
        fresh_store("sqlite") as url,
        Receiver(url, folder, RECEIVER_LOG_ACCEPTED="yes") as receiver,
        serving(url) as dashboard,
    ):
        posts = send_all(receiver)
        pages = seen(browser, dashboard, posts)
        yield Visit(
            pages,
            posts,
            receiver.log.read_bytes(),
            receiver.client.get("/metrics").text,
            sum(hour.deliveries for hour in stores.rows(receiver.engine, DeliveryHourly)),
        )


def send_all(receiver: Receiver) -> int:
    """Have each vendor say each string; how many requests that took."""
    sent = 0
    for vendor, say in SENDERS.items():
        for name, text in CORPUS.items():
            for body, headers in say(name, text):
                answer = receiver.post(body, headers, vendor)
                assert answer.status_code in (200, 401, 403), (vendor, name, answer.text)
                sent += 1
    for pair in batched(SHOWN, 2):
        at_last = playing.body_of(" ".join(CORPUS[name] for name in pair), {})
        assert receiver.post(at_last, playing.signed(at_last, datetime.now(UTC))).is_success
        sent += 1
    return sent


def batched(names: Sequence[str], number: int) -> Iterator[Sequence[str]]:
    return (names[at : at + number] for at in range(0, len(names), number))


def settled(page: Page) -> None:
    """Wait until nothing is under way, and the page says the same twice but for its figures."""
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    before = ""
    for _ in range(PATIENCE):
        page.wait_for_timeout(LOOK_MS)
        now = re.sub("[0-9]+ (s|min)", "", page.evaluate(TEXT))
        if now == before and not page.locator(BUSY).count():
            return
        before = now


def addresses(browser: Browser, dashboard: str) -> list[str]:
    """Each page of the navigation, and what else of it VIEWS names."""
    page = browser.new_page(viewport={"width": 1360, "height": 1000})
    page.goto(dashboard)
    expect(page.locator(NAVIGATION).first).to_be_visible()
    links = [one.get_attribute("href") or "" for one in page.locator(NAVIGATION).all()]
    page.close()
    names = [link.rstrip("/").rpartition("/")[2] for link in links]
    found = [name if name not in dashboard else "" for name in names]
    return [*found, *(f"{name}?{view}" for name in found for view in VIEWS.get(name, ()))]


def seen(browser: Browser, dashboard: str, last: int) -> dict[str, Seen]:
    """What there is to see at each address. Some pages are open at once, as most of the time one
    waits for them to come to rest."""
    looks: dict[str, Seen] = {}
    for some in batched(addresses(browser, dashboard), AT_ONCE):
        opened = {one: opening(browser, dashboard, one.format(last=last)) for one in some}
        looks |= {address: look(*one) for address, one in opened.items()}
    return looks


def opening(browser: Browser, dashboard: str, address: str) -> tuple[Page, Seen]:
    page = browser.new_page(viewport={"width": 1360, "height": 1000}, timezone_id="Asia/Tokyo")
    page.set_default_timeout(PATIENCE_MS)
    seen = Seen()
    host = dashboard.partition("//")[2]
    own = (f"http://{host}/", f"ws://{host}/", "data:", f"blob:http://{host}/")
    page.on("dialog", lambda one: (seen.dialogs.append(one.message), one.dismiss()))
    page.on(
        "request",
        lambda one: None if one.url.startswith(own) else seen.elsewhere.append(one.url),
    )
    page.on("console", lambda one: seen.errors.append(one.text) if _is_error(one) else None)
    page.on("pageerror", lambda one: seen.errors.append(str(one)))
    page.goto(f"{dashboard}/{address}")
    return page, seen


def look(page: Page, seen: Seen) -> Seen:
    settled(page)
    seen.text, seen.width = page.evaluate(TEXT), page.evaluate(WIDTH)
    seen.hacked, seen.injected = page.evaluate("window.__hacked"), page.evaluate(INJECTED)
    seen.failed = page.locator("[data-testid=stException]").count() > 0
    seen.cells = download(page, seen.errors)
    page.close()
    return seen


def _is_error(message: ConsoleMessage) -> bool:
    """Streamlit asks for some files below a page first, and then where they are."""
    return message.type == "error" and not message.text.startswith("Failed to load resource")


def download(page: Page, errors: list[str]) -> list[str]:
    """The cells of what the page offers as CSV, where it is shared; not below an open dialog."""
    cells: list[str] = []
    if page.get_by_role("dialog").count():
        return cells
    for share in page.locator(".st-key-share button").all():
        share.click()
        expect(page.get_by_text("Anyone with access sees this view.")).to_be_visible()
    for button in page.get_by_role("button", name="CSV").all():
        cells += clicked(page, button, errors)
    return cells


def clicked(page: Page, button: Locator, errors: list[str]) -> list[str]:
    """The cells of the file behind a button. Streamlit drops a file that has not been fetched when
    two runs of any session have ended, so one may have to click again. Its error of that click is
    taken out of `errors`, and no other."""
    for _ in range(CLICKS):
        with page.expect_download() as downloaded:
            button.click()
        if downloaded.value.failure() is None:
            with downloaded.value.path().open(newline="", encoding="utf-8-sig") as file:
                return [cell for row in csv.reader(file) for cell in row]
        page.wait_for_timeout(LOOK_MS)
        if DROPPED in errors:
            errors.remove(DROPPED)
    raise AssertionError(f"no file at {page.url}")


def test_every_vendor_of_the_receiver_says_them() -> None:
    assert SENDERS.keys() == ADAPTERS.keys()


def test_every_page_comes_to_its_end(visit: Visit) -> None:
    assert len(visit.pages) > 3
    assert visit.wrong("failed") == {}


def test_no_script_runs_and_no_dialog_opens(visit: Visit) -> None:
    assert visit.wrong("hacked") == visit.wrong("dialogs") == {}


def test_no_element_is_made_of_text(visit: Visit) -> None:
    assert visit.wrong("injected") == {}


def test_nothing_is_asked_of_another_host(visit: Visit) -> None:
    assert visit.wrong("elsewhere") == {}


def test_the_console_shows_no_error(visit: Visit) -> None:
    assert visit.wrong("errors") == {}


def test_no_page_is_wider_than_the_window(visit: Visit) -> None:
    assert {page: seen.width for page, seen in visit.pages.items() if seen.width > 1360} == {}


@pytest.mark.parametrize("name", SHOWN)
def test_a_string_is_shown_as_it_is(visit: Visit, name: str) -> None:
    text = CORPUS[name]
    assert any(text in seen.text for seen in visit.pages.values())


def test_no_cell_of_a_download_is_a_formula(visit: Visit) -> None:
    cells = [cell for seen in visit.pages.values() for cell in seen.cells]
    assert {cell[:5] for cell in cells} >= {"'=HYP", "'@SUM"}
    assert [cell for cell in cells if FORMULA.match(cell)] == []


def test_the_log_has_one_line_for_each_delivery_and_no_control_character(visit: Visit) -> None:
    lines = visit.log.splitlines()
    assert visit.log.count(b"\n") == len(lines)
    events = [json.loads(line) for line in lines]
    assert len([one for one in events if one["event"] == "delivery"]) == visit.posts
    assert "forged" not in {one.get("outcome") for one in events}
    assert not re.search(rb"[^\x20-\x7e\n]", visit.log)
    assert visit.deliveries == visit.posts


def test_the_metrics_can_be_read_and_have_no_label_of_a_payload(visit: Visit) -> None:
    families = list(text_string_to_metric_families(visit.metrics))
    labels = [sample.labels for family in families for sample in family.samples]
    assert {one["outcome"] for one in labels if "outcome" in one} <= set(Outcome)
    assert {one["vendor"] for one in labels if "vendor" in one} <= set(ADAPTERS)
    assert not [family.name for family in families if "forged" in family.name]
