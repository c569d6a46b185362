"""A sales manager in Tokyo asks the leaderboard who gained most and why, which team slipped, and
who is one module from passing the next."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Locator, Page, expect

from receiver.pipeline import judge
from receiver.store import write_batch
from receiver.vendors.base import Incoming
from receiver.vendors.mindtickle import MindTickle
from shared.database import open_engine, write_transaction
from tests import playing
from tests.browser.conftest import said, serving
from tests.conftest import FreshStore
from tests.stores import follow

TOKYO = ZoneInfo("Asia/Tokyo")
DAY = timedelta(days=1)
NEGOTIATING, PRICING, DEMOS = ("m-1", "Negotiating"), ("m-2", "Pricing"), ("m-3", "Demos")
ROW_PX = 40


@pytest.fixture(scope="module")
def dashboard(fresh_store: FreshStore) -> Iterator[str]:
    """The address of one dashboard for all tests, which only read."""
    with fresh_store("sqlite") as url:
        fill(url)
        with serving(url) as address:
            yield address


def fill(url: str) -> None:
    """Dana gained 160 points in these days, Ines 150; team central gained less than before. Paul's
    only event lies two hours before today began in Tokyo, and the latest one of Ines just after:
    UTC has its midnight either after both or before both."""
    now = datetime.now(UTC)
    midnight = datetime.combine(now.astimezone(TOKYO), time(), TOKYO)
    events = [
        *(joined(*one, at=now - 40 * DAY) for one in (("dana", "west"), ("ines", "west"))),
        *(joined(*one, at=now - 40 * DAY) for one in (("paul", "east"), ("omar", "central"))),
        moved("omar", DEMOS, 42, now - 9 * DAY),
        moved("omar", DEMOS, 48, now - 2 * DAY),
        moved("dana", NEGOTIATING, 100, now - 3 * DAY),
        moved("dana", PRICING, 60, now - 2 * DAY),
        moved("ines", NEGOTIATING, 100, now - 2 * DAY),
        moved("ines", PRICING, 40, now - 2 * DAY),
        moved("paul", DEMOS, 30, midnight - timedelta(hours=2)),
        moved("ines", DEMOS, 10, midnight + timedelta(seconds=1)),
    ]
    engine = open_engine(url)
    vendor = MindTickle([playing.SECRET.encode()], None, past=10**9, future=300)
    entries = [judge(vendor, Incoming(*sent, "192.0.2.7", now)) for sent in events]
    with write_transaction(engine) as connection:
        write_batch(connection, entries)
    follow(engine)
    engine.dispose()


def joined(user: str, team: str, at: datetime) -> tuple[dict[str, bytes], bytes]:
    email = f"{user}@acme.example"
    data = {"userId": user, "email": email, "role": "rep", "teamId": team}
    return sent("user.provisioned", data, at)


def moved(
    user: str, module: tuple[str, str], pct: int, at: datetime
) -> tuple[dict[str, bytes], bytes]:
    module_id, name = module
    data = playing.progress(user, moduleId=module_id, moduleName=name, progressPct=pct)
    return sent("module.progress", data, at)


def sent(event_type: str, data: object, at: datetime) -> tuple[dict[str, bytes], bytes]:
    body = playing.body_of(event_type, data)
    headers = playing.signed(body, at, playing.new_id())
    return {name: value.encode() for name, value in headers.items()}, body


def click_row(page: Page, number: int) -> None:
    board = page.locator("[data-testid=stDataFrame]").first
    expect(board).to_be_visible()
    board.scroll_into_view_if_needed()
    box = board.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + 180, box["y"] + (number + 0.5) * ROW_PX)


def heading(page: Page) -> Locator:
    return page.locator("h1")


def dialog(page: Page) -> Locator:
    return page.get_by_role("dialog")


def test_the_first_line_answers_and_a_row_leads_to_the_delivery_behind_it(
    dashboard: str, page: Page
) -> None:
    page.goto(dashboard)
    expect(heading(page)).to_have_text(said("dana@acme.example leads with 160 points"))
    answers = page.get_by_text("In the last 7 days, ")
    expect(answers).to_contain_text(said("10 points ahead of ines@acme.example"))
    expect(answers).to_contain_text("100 points of it from Negotiating")
    expect(answers).to_contain_text(
        "Team central slipped: 6 points a member, 42 on the same weekdays a week earlier, up to "
    )
    expect(answers).to_contain_text(
        said("ines@acme.example can pass dana@acme.example with one module")
    )

    click_row(page, 2)
    why = dialog(page)
    expect(why).to_contain_text(said("ines@acme.example: 2nd with 150 points"))
    expect(why).to_contain_text(
        said("10 points behind dana@acme.example: one module from passing them")
    )
    expect(why.locator("[data-testid=stVegaLiteChart]")).to_be_visible()
    cells = why.locator("[data-testid=stDataFrame] [role=gridcell]")
    expect(cells.filter(has_text="Negotiating")).to_have_count(1)
    page.wait_for_timeout(5500)  # while the page under it looks for news
    expect(why).to_be_visible()

    explained = page.url
    assert "learner=mindtickle%2Fines" in explained
    why.get_by_role("link", name="Pricing: 40 %").click()
    expect(page).to_have_url(re.compile(r"/deliveries\?delivery=10$"))
    expect(page.get_by_text("Accepted, answered 200")).to_be_visible()
    page.go_back()
    expect(page).to_have_url(explained)
    expect(dialog(page)).to_contain_text("2nd with 150 points")
    page.keyboard.press("Escape")
    expect(dialog(page)).not_to_be_visible()
    expect(page).not_to_have_url(re.compile("learner="))


def test_today_begins_at_the_viewers_midnight(dashboard: str, page: Page) -> None:
    page.goto(f"{dashboard}/?window=today")
    expect(heading(page)).to_contain_text(said("ines@acme.example leads with"))
    expect(page.get_by_text("Today so far, ")).to_be_visible()
    expect(page.locator("[data-testid=stMetric]").filter(has_text="1 of 4")).to_be_visible()


def test_custom_days_in_the_address_survive_its_reload(dashboard: str, page: Page) -> None:
    today = datetime.now(TOKYO).date()
    days = f"days={today - 10 * DAY}&days={today - 8 * DAY}"
    page.goto(f"{dashboard}/?window=custom&{days}")
    answer = said("omar@acme.example leads with 42 points")
    expect(heading(page)).to_have_text(answer)
    page.reload()
    expect(heading(page)).to_have_text(answer)
    expect(page.get_by_text("On these days, ")).to_be_visible()
    expect(page).to_have_url(re.compile(days))


def period(page: Page) -> Locator:
    return page.get_by_role("combobox", name="Period")


def test_the_back_button_brings_back_the_filters(dashboard: str, page: Page) -> None:
    page.goto(dashboard)
    period(page).click()
    page.get_by_role("option", name="30 days").click()
    expect(page).to_have_url(re.compile(r"\?window=30d$"))
    expect(page.get_by_text("In the last 30 days, ")).to_be_visible()
    page.get_by_role("radio", name="Teams").click()
    expect(page).to_have_url(re.compile(r"\?window=30d&board=teams$"))
    page.go_back()
    expect(page).to_have_url(re.compile(r"\?window=30d$"))
    expect(page.get_by_role("radio", name="Learners")).to_be_checked()
    page.go_back()
    expect(page.get_by_text("In the last 7 days, ")).to_be_visible()
    expect(page).not_to_have_url(re.compile("window"))
    page.go_forward()
    expect(page.get_by_text("In the last 30 days, ")).to_be_visible()


def test_a_link_that_asks_for_an_unknown_period_says_so(dashboard: str, page: Page) -> None:
    page.goto(f"{dashboard}/?window=90d")
    expect(page.get_by_text("The link asks for period “90d”")).to_be_visible()
    expect(page.get_by_text("In the last 7 days, ")).to_be_visible()


def test_a_key_figure_leads_to_the_board_behind_it(dashboard: str, page: Page) -> None:
    page.goto(f"{dashboard}/?board=teams")
    expect(heading(page)).to_contain_text("Team west leads with")
    page.get_by_role("button", name="Modules completed", exact=True).click()
    expect(page).to_have_url(re.compile(r"\?metric=completed$"))
    expect(heading(page)).to_contain_text("1 module")


def test_a_period_without_points_is_left_with_one_click(dashboard: str, page: Page) -> None:
    page.goto(f"{dashboard}/?window=today&team=central")
    expect(heading(page)).to_have_text("No points today yet")
    page.get_by_role("button", name="Show 7 days").click()
    expect(page).to_have_url(re.compile(r"window=7d&team=central"))
    expect(heading(page)).to_have_text(said("omar@acme.example leads central with 6 points"))
    page.goto(f"{dashboard}/?window=today&team=central")
    page.get_by_role("button", name="Clear filters").click()
    expect(heading(page)).to_contain_text(said("ines@acme.example leads with"))
    expect(page).to_have_url(re.compile(r"\?window=today$"))
