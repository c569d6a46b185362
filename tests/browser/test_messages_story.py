"""A person subscribes on the page, gets a message, follows its links, and pauses it."""

import re
from pathlib import Path

from playwright.sync_api import Page, expect

from shared.models import Subscription
from tests import playing, stores
from tests.browser.conftest import serving as dashboard_of
from tests.receiver.notify.hooks import serving, status
from tests.receiver.notify.test_delivered import fail
from tests.running import Receiver
from tests.waiting import until


def links(message: str) -> list[str]:
    """The paths of the links in a message."""
    return re.findall(r"https?://[^/\s]+(/\S+)", message)


def test_from_a_subscription_to_a_message_and_its_pause(
    browsed_store: str, page: Page, tmp_path: Path
) -> None:
    with serving(status(200)) as hook, dashboard_of(browsed_store) as dashboard:
        settings = {"NOTIFY_HOOK": hook.address, "NOTIFY_PRIVATE_ADDRESSES": "yes"}
        with Receiver(browsed_store, tmp_path, **settings) as receiver:
            receiver.deliver("module.progress", playing.progress())
            receiver.followed()
            page.goto(f"{dashboard}/preferences")
            expect(page.get_by_text("You get no messages yet")).to_be_visible()
            page.get_by_role("button", name="Subscribe").click()
            expect(page.get_by_text("You have 1 subscription")).to_be_visible()

            fail(receiver, "u-1")
            until(lambda: bool(hook.requests))
            ((_, message),) = hook.requests
            assert message["title"].startswith("u-1@acme.example scored 40 % at Pricing")
            learner, subscription = links(message["message"])
            page.goto(f"{dashboard}{learner}")
            heading = page.get_by_role("heading", level=1).first
            expect(heading).to_contain_text("u-1")
            expect(page.get_by_text("Messages about this learner")).to_be_visible()

            page.goto(f"{dashboard}{subscription}")
            page.get_by_role("button", name="Pause for a week").click()
            expect(page.get_by_text("paused until")).to_be_visible()
            assert stores.row(receiver.engine, Subscription).snoozed_until is not None
