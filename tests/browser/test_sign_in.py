"""Signing in at a real identity provider, in a real Chromium."""

import re
import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import said
from tests.conftest import FreshStore
from tests.identity import Provider, dashboard

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:authlib")


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with Provider().running() as provider:
        for name in ("ada", "mo"):
            provider.knows(name, email=f"{name}@acme.example", email_verified=True)
        provider.knows("eve", email="ada@acme.example", email_verified=False)
        yield provider


@pytest.fixture(scope="module")
def site(
    provider: Provider, fresh_store: FreshStore, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    log = tmp_path_factory.mktemp("dashboard") / "log"
    with (
        fresh_store("sqlite") as url,
        dashboard(
            provider,
            url,
            log,
            DASHBOARD_ADMINS="ada@acme.example",
            DASHBOARD_MANAGERS="mo@acme.example",
            MANAGER_TEAMS='{"mo@acme.example": ["west"]}',
        ) as address,
    ):
        yield address


@pytest.fixture(autouse=True)
def own_styles(page: Page) -> None:
    """The provider's form asks the Internet for its looks."""
    page.route("https://**", lambda route: route.abort())


def begin(page: Page, name: str) -> None:
    page.get_by_role("button", name="Sign in").click()
    page.locator("input[name=sub]").first.fill(name)


def sign_in(page: Page, name: str) -> None:
    begin(page, name)
    page.get_by_role("button", name="Authorize").click()


def test_a_deep_link_survives_the_sign_in_and_the_page_breaks_no_rule_of_its_headers(
    site: str, page: Page
) -> None:
    broken: list[str] = []
    page.on("console", lambda line: broken.append(line.text) if "policy" in line.text else None)
    page.goto(f"{site}/deliveries?view=deliveries&span=7d&elsewhere=https://evil.example")
    expect(page.get_by_text("Sign in to see this page")).to_be_visible()
    sign_in(page, "ada")
    expect(page.get_by_text(said("Signed in as ada@acme.example · admin"))).to_be_visible()
    expect(page).to_have_url(f"{site}/deliveries?view=deliveries&span=7d")
    expect(page.get_by_role("link", name="Deliveries")).to_be_visible()
    assert broken == []


def test_a_page_of_another_role_is_not_in_the_menu_and_not_behind_its_address(
    site: str, page: Page
) -> None:
    page.goto(f"{site}/deliveries")
    sign_in(page, "mo")
    expect(page.get_by_text("The page Deliveries is not for your role")).to_be_visible()
    expect(page.get_by_text(said("mo@acme.example · manager · only of west"))).to_be_visible()
    expect(page.get_by_role("link", name="Deliveries")).not_to_be_visible()


def test_a_person_without_a_role_is_told_so_and_can_sign_out(site: str, page: Page) -> None:
    page.goto(site)
    sign_in(page, "eve")  # with the address of an admin, which is not verified
    expect(page.get_by_text("You are signed in as eve.")).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("button", name="End session").click()
    expect(page.get_by_text("Sign in to see this page")).to_be_visible()


def test_after_signing_out_the_page_asks_to_sign_in_and_the_cookie_is_gone(
    site: str, page: Page
) -> None:
    page.goto(site)
    sign_in(page, "ada")
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("button", name="End session").click()
    expect(page.get_by_text("Sign in to see this page")).to_be_visible()
    left = {cookie["name"] for cookie in page.context.cookies(site)}
    assert not {name for name in left if name.startswith("_streamlit_user")}


def test_a_page_that_is_open_when_the_token_ends_asks_to_sign_in_again(
    provider: Provider, site: str, page: Page
) -> None:
    page.goto(f"{site}/deliveries?view=quarantine")
    begin(page, "ben")
    ends = int(time.time()) + 10  # from here, however long the pages before took to come
    provider.knows("ben", email="ada@acme.example", email_verified=True, exp=ends)
    page.get_by_role("button", name="Authorize").click()
    expect(page.get_by_text("Your sign-in has ended")).to_be_visible()
    expect(page.get_by_text("Signed in as")).not_to_be_visible()

    sign_in(page, "ada")
    expect(page.get_by_text(said("Signed in as ada@acme.example"))).to_be_visible()
    expect(page).to_have_url(f"{site}/deliveries?view=quarantine")


def test_a_token_that_says_it_needs_no_signature_signs_no_one_in(
    provider: Provider, site: str, page: Page
) -> None:
    page.goto(site)
    provider.unsigned = True
    try:
        sign_in(page, "ada")
        expect(page.get_by_text("Sign in to see this page")).to_be_visible()
    finally:
        provider.unsigned = False
    assert not [one for one in page.context.cookies(site) if one["name"] == "_streamlit_user"]


def test_a_wall_keeps_its_code_in_a_browser_without_a_sign_in(site: str, page: Page) -> None:
    page.goto(f"{site}/wall")
    code = page.locator(".wall .code")
    expect(code).to_have_text(re.compile(r"\d{3} \d{3}"))
    shown = code.inner_text()
    (cookie,) = [one for one in page.context.cookies() if one["name"] == "repboard_screen"]
    assert cookie["httpOnly"]
    expect(page.get_by_test_id("stHeader")).to_be_hidden()
    page.reload()
    expect(code).to_have_text(shown)
