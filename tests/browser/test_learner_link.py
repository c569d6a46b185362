"""A link to a learner, opened by a viewer far from UTC."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from playwright.sync_api import Page, expect

from shared.facts import Expired, Provisioned
from tests import playing
from tests.running import Receiver
from tests.shared.tables import V, fold

NAME = "**Dana** <img src=x onerror=alert(1)> https://evil.example www.evil.example"


def test_a_link_opens_one_learner_live_with_hostile_names_as_text(
    browsed_store: str, dashboard: str, page: Page, tmp_path: Path
) -> None:
    joined = datetime(2025, 3, 3, 20, tzinfo=UTC)  # in Tokyo it is the next day
    deadline = datetime.now(ZoneInfo("Asia/Tokyo")) + timedelta(days=12)
    with Receiver(browsed_store, tmp_path) as receiver:
        assert receiver.deliver("module.progress", playing.progress()).status_code == 200
        fold(
            receiver.engine,
            [
                Provisioned(V, "u-1", "dana@acme.example", NAME, "rep", "west", joined),
                Expired(V, "u-1", "Expert", joined, deadline),
            ],
        )
        page.goto(f"{dashboard}/learner?id=mindtickle/u-1")
        heading = page.get_by_role("heading", level=1).first
        heading.wait_for()
        expect(heading).to_contain_text("**Dana** <img src=x onerror=alert(1)>")
        expect(heading.locator("a, img, strong")).to_have_count(0)
        expect(page.get_by_text("since 4 March 2025")).to_be_visible()
        expect(page.get_by_text("0 of 1 modules")).to_be_visible()
        cell = page.locator("[data-testid=stDataFrame] td", has_text="Due in 12 days")
        cell.wait_for(state="attached")

        done = playing.progress(progressPct=100)
        assert receiver.deliver("module.progress", done).status_code == 200
        page.get_by_text("1 of 1 modules").wait_for()
