"""An admin fixes a rotated secret by clicking, and nothing is lost."""

from datetime import UTC, datetime
from pathlib import Path

import httpx
from playwright.sync_api import Page, expect

from shared.models import AuditLog, Event
from tests import playing, stores
from tests.running import Receiver

OLD, NEW = "the-old-secret", "the-new-secret"
EVENTS = 6
BEFORE = 3
"""Accepted events, without which failures need not be the vendor's."""


def deliver(receiver: Receiver, number: int, secret: str) -> httpx.Response:
    """The event of one learner, with the same event ID each time; each with a new signature."""
    body = playing.body_of("module.progress", playing.progress(f"u-{number}", progressPct=50))
    return receiver.post(body, playing.signed(body, datetime.now(UTC), f"evt-{number}", secret))


def test_a_rotated_secret_is_seen_fixed_and_replayed_by_clicking(
    browsed_store: str, dashboard: str, page: Page, tmp_path: Path
) -> None:
    with Receiver(browsed_store, tmp_path, MINDTICKLE_WEBHOOK_SECRET=OLD) as receiver:
        for number in range(EVENTS + 1, EVENTS + 1 + BEFORE):
            assert deliver(receiver, number, OLD).status_code == 200
        for number in range(1, EVENTS + 1):
            assert deliver(receiver, number, NEW).status_code == 403

        page.goto(f"{dashboard}/deliveries")
        answer = page.get_by_role("heading", level=1)
        expect(answer).to_contain_text("Failing, nothing lost yet: MindTickle has failed for")
        expect(page.get_by_text("the signing secret was probably rotated").first).to_be_visible()
        expect(page.get_by_text(f"All {EVENTS} are in quarantine")).to_be_visible()
        page.get_by_role("button", name="Fix it: set the new secret").click()
        cure = page.get_by_text("Copy the new secret from Admin > Integrations")
        expect(cure.locator("visible=true").first).to_be_visible()
        page.keyboard.press("Escape")
        assert receiver.stop() == 0

    both = f"{OLD},{NEW}"
    with Receiver(browsed_store, tmp_path, MINDTICKLE_WEBHOOK_SECRET=both) as receiver:
        expect(page.get_by_text("Restart the receiver: restarted at")).to_be_visible()
        expect(page.get_by_role("button", name="Replay", exact=True)).to_be_disabled()
        page.get_by_role("button", name="Dry run").click()
        expect(page.get_by_text(f"Dry run: {EVENTS} events would be accepted")).to_be_visible()
        assert stores.count(receiver.engine, Event) == BEFORE

        page.get_by_role("button", name=f"Replay {EVENTS} events").click()
        expect(answer).to_contain_text(f"Catching up: {EVENTS} events of MindTickle replayed")
        fixed = f"{EVENTS} events replayed, waiting for MindTickle's next delivery"
        expect(page.get_by_text(fixed)).to_be_visible()

        page.get_by_role("link", name="Leaderboard").click()
        figure = page.locator("[data-testid=stMetric]").filter(has_text="Progress gained")
        expect(figure).to_contain_text(f"{50 * (EVENTS + BEFORE)} pts")

        assert deliver(receiver, 1, NEW).json() == {"duplicate": True}
        assert stores.count(receiver.engine, Event) == EVENTS + BEFORE
        page.get_by_role("link", name="Deliveries").click()
        expect(answer).to_contain_text("All well: no event is missing")
        page.get_by_test_id("stButtonGroup").get_by_text("Attempts").click()
        expect(page.get_by_text("All refused events are recovered.")).to_be_visible()
        done = [(row.action, row.detail) for row in stores.rows(receiver.engine, AuditLog)]
        assert [action for action, _ in done] == [
            "ask for replay dry run",
            "replay dry run",
            "ask for replay",
            "replay",
        ]
        assert done[2][1] == f"bad_signature; {EVENTS} confirmed after a dry run"
