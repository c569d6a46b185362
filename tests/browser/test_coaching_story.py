"""An enablement lead and a manager at work, by mouse, with a real receiver behind the page."""

import re
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from shared.models import AuditLog, CoachingCase
from tests import stores
from tests.browser.conftest import visitor
from tests.identity import Provider, dashboard as signing_in
from tests.running import Receiver, until

TABLE = "[data-testid=stDataFrame]"
HEAD, ROW, BOX = 36, 40, 17
ITEM = "item=mindtickle/u-1/q-1"


def submit(receiver: Receiver, score: float, at: timedelta, quiz_id: str = "q-1") -> None:
    data = {"userId": "u-1", "quizId": quiz_id, "quizName": f"Pricing {quiz_id}", "score": score,
            "maxScore": 20, "passed": score >= 14, "quizType": "graded"}  # fmt: skip
    answer = receiver.deliver("quiz.submitted", data, at=datetime.now(UTC) + at)
    assert answer.json() == {"received": True}


def learner(receiver: Receiver) -> None:
    data = {"userId": "u-1", "email": "dana@acme.example", "role": "rep", "teamId": "west"}
    assert receiver.deliver("user.provisioned", data).status_code == 200


def select_row(page: Page, row: int) -> None:
    table = page.locator(TABLE).first
    expect(table).to_be_visible()
    box = table.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + BOX, box["y"] + HEAD + ROW * row + ROW / 2)


def choose(within: Locator, page: Page, label: str, option: str) -> None:
    within.get_by_role("combobox", name=label).click()
    page.get_by_role("option", name=option, exact=True).click()


def case(receiver: Receiver) -> Any:
    return stores.row(receiver.engine, CoachingCase)


def test_a_lead_takes_an_item_from_flag_to_measured_improvement(
    browsed_store: str, dashboard: str, page: Page, tmp_path: Path
) -> None:
    with Receiver(browsed_store, tmp_path) as receiver:
        learner(receiver)
        submit(receiver, 8, -timedelta(hours=3))
        page.goto(f"{dashboard}/coaching")
        expect(page.get_by_text("Coach 1 person today")).to_be_visible()

        select_row(page, 0)
        page.get_by_role("button", name="Flag 1 selected").click()
        dialog = page.get_by_role("dialog")
        expect(dialog).to_contain_text("Pricing q-1")
        dialog.get_by_role("combobox", name="Owner").fill("Ines")
        page.keyboard.press("Enter")
        due = date.today() + timedelta(days=9)  # noqa: DTZ011 (any day will do)
        for part in ("year", "month", "day"):
            segment = dialog.locator(f"[data-type={part}]")
            segment.click()
            page.keyboard.type(f"{getattr(due, part):02}")
        dialog.get_by_label("Notes").fill("Listen to two calls")
        dialog.get_by_role("button", name="Flag 1").click()
        expect(page.get_by_text("1 case is open")).to_be_visible()
        assert (case(receiver).owner, case(receiver).due) == ("Ines", due)

        page.goto(f"{dashboard}/coaching?queue=progress&{ITEM}")
        choose(dialog, page, "Status", "In progress")
        dialog.get_by_role("button", name="Save").click()
        expect(dialog).not_to_be_visible()
        until(lambda: bool(case(receiver).status == "in_progress"))

        submit(receiver, 17, timedelta(minutes=2))
        expect(page.get_by_text("1 case passed since the flag")).to_be_visible()
        page.get_by_text("Ready to close 1", exact=True).click()
        page.goto(f"{dashboard}/coaching?queue=ready&{ITEM}")
        expect(dialog).to_contain_text("Passed with 85 %")
        expect(dialog).to_contain_text("after you flagged it (+45). Close?")
        dialog.get_by_role("button", name="Close as resolved").click()
        expect(page.get_by_text("All caught up")).to_be_visible()

        page.get_by_text("Closed 1", exact=True).click()
        figures = page.locator(TABLE).last
        expect(figures).to_contain_text(re.compile("Coached *1 *1 *45"))
        done = [row.action for row in stores.rows(receiver.engine, AuditLog)]
        assert done == ["flag", "start", "resolve"]


def test_of_two_who_edit_the_same_item_the_second_sees_the_change(
    browsed_store: str, dashboard: str, page: Page, browser: Browser, tmp_path: Path
) -> None:
    with Receiver(browsed_store, tmp_path) as receiver:
        learner(receiver)
        submit(receiver, 8, -timedelta(hours=3))
        page.goto(f"{dashboard}/coaching?{ITEM}")
        page.get_by_role("dialog").get_by_role("button", name="Flag").click()
        until(lambda: stores.count(receiver.engine, CoachingCase) == 1)

        second = visitor(browser)
        for one in (page, second):
            one.goto(f"{dashboard}/coaching?queue=progress&{ITEM}")
            expect(one.get_by_role("dialog").get_by_label("Notes")).to_be_visible()
        page.get_by_role("dialog").get_by_label("Notes").fill("from the first")
        page.get_by_role("dialog").get_by_role("button", name="Save").click()
        expect(page.get_by_role("dialog")).not_to_be_visible()

        dialog = second.get_by_role("dialog")
        dialog.get_by_label("Notes").fill("from the second")
        dialog.get_by_role("button", name="Save").click()
        expect(dialog).to_contain_text("This case has changed")
        expect(dialog).to_contain_text("notes none → from the first")
        expect(dialog.get_by_label("Notes")).to_have_value("from the second")
        assert case(receiver).notes == "from the first"

        dialog.get_by_role("button", name="Show the change").click()
        expect(dialog.get_by_text("This case has changed")).not_to_be_visible()
        # For a moment the form that goes and the one that comes stand side by side.
        expect(dialog.get_by_text("from the first", exact=True)).to_be_visible()
        expect(dialog.get_by_label("Notes")).to_have_count(1)
        expect(dialog.get_by_label("Notes")).to_have_value("from the first")
        dialog.get_by_label("Notes").fill("from both")
        dialog.get_by_role("button", name="Save").click()
        expect(dialog).not_to_be_visible()
        assert case(receiver).notes == "from both"


def test_a_selection_stays_on_its_rows_while_new_ones_come_in(
    browsed_store: str, dashboard: str, page: Page, tmp_path: Path
) -> None:
    with Receiver(browsed_store, tmp_path) as receiver:
        learner(receiver)
        submit(receiver, 8, -timedelta(hours=3))
        page.goto(f"{dashboard}/coaching")
        select_row(page, 0)
        expect(page.get_by_role("button", name="Flag 1 selected")).to_be_visible()
        submit(receiver, 2, -timedelta(hours=2), quiz_id="q-2")  # lower, so it comes first
        expect(page.get_by_text("2 low scores")).to_be_visible()
        expect(page.get_by_text("The list waits")).to_be_visible()
        page.get_by_role("button", name="Flag 1 selected").click()
        dialog = page.get_by_role("dialog")
        dialog.get_by_role("button", name="Flag 1").click()
        expect(page.get_by_text("1 case is open")).to_be_visible()
        assert case(receiver).quiz_id == "q-1"


@pytest.mark.filterwarnings("ignore::DeprecationWarning:authlib")
def test_a_manager_takes_a_case_of_their_team(
    browsed_store: str, page: Page, tmp_path: Path
) -> None:
    with (
        Receiver(browsed_store, tmp_path) as receiver,
        Provider().running() as provider,
        signing_in(
            provider,
            browsed_store,
            tmp_path / "log",
            DASHBOARD_MANAGERS="mo@acme.example",
            MANAGER_TEAMS='{"mo@acme.example": ["west"]}',
        ) as site,
    ):
        page.route("https://**", lambda route: route.abort())
        provider.knows("mo", email="mo@acme.example", email_verified=True)
        learner(receiver)
        submit(receiver, 8, -timedelta(hours=3))
        page.goto(f"{site}/coaching")
        page.get_by_role("button", name="Sign in").click()
        page.locator("input[name=sub]").first.fill("mo")
        page.get_by_role("button", name="Authorize").click()

        expect(page.get_by_text("Coach 1 person today")).to_be_visible()
        expect(page.get_by_role("button", name="Pass marks")).not_to_be_visible()
        select_row(page, 0)
        page.get_by_role("button", name="Take 1 selected").click()
        expect(page.get_by_text("1 case is yours.").first).to_be_visible()
        expect(page.get_by_text("1 case is open")).to_be_visible()
        until(lambda: stores.count(receiver.engine, CoachingCase) == 1)
        taken = case(receiver)
        assert (taken.owner, taken.status) == ("mo@acme.example", "open")
        assert taken.due is not None

        page.goto(f"{site}/coaching?queue=progress&{ITEM}")
        dialog = page.get_by_role("dialog")
        expect(dialog.get_by_role("button", name="Hand back")).to_be_visible()
        expect(dialog.get_by_label("Notes")).not_to_be_visible()
        choose(dialog, page, "Status", "In progress")
        dialog.get_by_role("button", name="Save").click()
        expect(dialog).not_to_be_visible()
        until(lambda: bool(case(receiver).status == "in_progress"))
        done = [(row.actor, row.action) for row in stores.rows(receiver.engine, AuditLog)]
        assert done == [("mo@acme.example", "flag"), ("mo@acme.example", "start")]
