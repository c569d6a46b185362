"""A download, and that it is noted."""

import csv
from datetime import UTC, datetime
from pathlib import Path

from playwright.sync_api import Page, expect

from shared.models import AuditLog
from tests import playing, stores
from tests.running import Receiver, until


def test_a_download_is_noted_and_the_page_stays_where_it_is(
    browsed_store: str, dashboard: str, page: Page, tmp_path: Path
) -> None:
    with Receiver(browsed_store, tmp_path) as receiver:
        for number in range(3):
            body = playing.body_of("module.progress", playing.progress(f"u-{number}"))
            receiver.post(body, playing.signed(body, datetime.now(UTC), secret="rotated"))
        page.set_viewport_size({"width": 1360, "height": 500})
        page.goto(f"{dashboard}/deliveries?view=deliveries")
        button = page.get_by_role("button", name="CSV")
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
        page.wait_for_timeout(1500)  # a live part is drawn again each second
        assert button.evaluate("element => element.getBoundingClientRect().top") == top
