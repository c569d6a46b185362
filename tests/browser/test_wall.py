"""A wall display in a real Chromium: paired by its code for a manager's teams, and revoked."""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from receiver.pipeline import judge
from receiver.store import write_batch
from receiver.vendors.base import Incoming
from receiver.vendors.mindtickle import MindTickle
from shared.database import open_engine, write_transaction
from tests import playing
from tests.browser.conftest import PATIENCE_MS
from tests.conftest import FreshStore
from tests.identity import Provider, dashboard
from tests.stores import follow

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:authlib")
MANAGER = "mo@acme.example"
SCREEN = {"width": 1920, "height": 1080}


@pytest.fixture
def site(fresh_store: FreshStore, tmp_path: Path) -> Iterator[str]:
    """A dashboard where a manager of team west signs in; Dana is on it, Ines on another one."""
    with Provider().running() as provider, fresh_store("sqlite") as url:
        provider.knows("mo", email=MANAGER, email_verified=True)
        fill(url)
        teams = f'{{"{MANAGER}": ["west"]}}'
        with dashboard(
            provider, url, tmp_path / "log", DASHBOARD_MANAGERS=MANAGER, MANAGER_TEAMS=teams
        ) as address:
            yield address


def fill(url: str) -> None:
    at = datetime.now(UTC) - timedelta(days=1)
    people = (("dana", "west", 90), ("ines", "east", 95))
    bodies = [
        *(playing.body_of("user.provisioned", joined(*one[:2])) for one in people),
        *(
            playing.body_of("module.progress", playing.progress(user, progressPct=pct))
            for user, _, pct in people
        ),
    ]
    engine = open_engine(url)
    vendor = MindTickle([playing.SECRET.encode()], None, past=10**9, future=300)
    with write_transaction(engine) as connection:
        write_batch(connection, [judge(vendor, signed(body, at)) for body in bodies])
    follow(engine)
    engine.dispose()


def joined(user: str, team: str) -> Mapping[str, str]:
    return {"userId": user, "email": f"{user}@acme.example", "role": "rep", "teamId": team}


def signed(body: bytes, at: datetime) -> Incoming:
    headers = playing.signed(body, at, playing.new_id())
    return Incoming({name: value.encode() for name, value in headers.items()}, body, "192.0.2.7",
                    datetime.now(UTC))  # fmt: skip


@pytest.fixture
def screen(browser: Browser) -> Iterator[Page]:
    """The browser of a display, in which no person signs in."""
    page = browser.new_page(viewport=SCREEN)
    page.set_default_timeout(PATIENCE_MS)
    yield page
    page.close()


def sign_in(page: Page, site: str) -> None:
    page.route("https://**", lambda route: route.abort())  # looks of the provider's form
    page.goto(f"{site}/screens")
    page.get_by_role("button", name="Sign in").click()
    page.locator("input[name=sub]").first.fill("mo")
    page.get_by_role("button", name="Authorize").click()


def test_a_display_shows_the_teams_of_the_manager_who_enters_its_code_until_it_is_revoked(
    site: str, screen: Page, page: Page
) -> None:
    screen.goto(f"{site}/wall")
    code = screen.locator(".wall .code")
    expect(code).to_have_text(re.compile(r"\d{3} \d{3}"))

    sign_in(page, site)
    page.get_by_label("Code on the screen").fill(code.inner_text())
    page.get_by_role("button", name="Pair").click()
    expect(page.get_by_text("1 screen paired")).to_be_visible()

    wall = screen.locator(".wall")
    expect(wall).to_contain_text("board of team west")
    expect(wall.locator(".name").first).to_have_text(re.compile("dana|west"))  # as boards turn
    assert re.search("ines|east", wall.inner_text()) is None
    found = Axe().run(screen).response["violations"]
    assert [one["id"] for one in found if one["impact"] in ("serious", "critical")] == []

    page.get_by_role("button", name="Revoke").click()
    expect(page.get_by_text("No screen is paired")).to_be_visible()
    expect(code).to_be_visible()
    assert re.search("dana|west", wall.inner_text()) is None
