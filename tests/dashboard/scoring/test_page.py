"""The page of scoring, as a browser is sent it."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine

from dashboard.scoring import data
from shared.models import AuditLog, ScoreWeight
from tests import stores
from tests.dashboard.conftest import Open, Send
from tests.pages import rows
from tests.shared.tables import progress

pytestmark = pytest.mark.usefixtures("company")


def completes(send: Send, user: str) -> None:
    course = {"userId": user, "courseId": "c-1", "courseName": "Onboarding"}
    send("course.completed", course, days_ago=1)


def test_a_weight_shows_the_board_that_it_would_make_and_changes_nothing(
    open_page: Open, send: Send, store: Engine
) -> None:
    completes(send, "u-2")
    page = open_page("scoring")
    assert rows(page, "rank_saved")[0]["learner"] == "dana@acme.example"
    page.number_input(key="points_course_").set_value(100).run()
    top = rows(page, "rank_saved")[0]
    assert (top["learner"], top["score"], top["score_saved"]) == ("ines@acme.example", 160, 60)
    assert (top["rank"], top["rank_saved"]) == (1, 2)
    assert stores.count(store, ScoreWeight) == 0


def test_the_preview_knows_the_saved_place_of_one_far_down_the_board(
    open_page: Open, send: Send, store: Engine
) -> None:
    ahead = 5 * data.SHOWN + 1
    day = (datetime.now(UTC) - timedelta(days=1)).date()
    progress(store, *((f"v-{n}", "m-1", day, 95, 0) for n in range(ahead)))
    completes(send, "u-2")
    page = open_page("scoring")
    page.number_input(key="points_course_").set_value(100).run()
    top = rows(page, "rank_saved")[0]
    assert (top["learner"], top["rank_saved"]) == ("ines@acme.example", ahead + 2)


def test_the_headline_says_what_points_come_from(open_page: Open, store: Engine) -> None:
    assert open_page("scoring").title[0].value == "Points come from progress"
    page = open_page("scoring")
    page.number_input(key="points_module_").set_value(100).run()
    page.button[-1].click().run()
    assert page.title[0].value == "Points come from progress and completed modules"


def test_saved_weights_are_in_the_audit_log(open_page: Open, store: Engine) -> None:
    page = open_page("scoring")
    page.number_input(key="points_progress_").set_value(2).run()
    page.button[-1].click().run()
    assert not page.exception
    assert "Saved" in page.success[0].value
    assert stores.row(store, ScoreWeight).points == 2
    assert stores.row(store, AuditLog).detail == "progress 1 → progress 2"


def test_an_event_type_that_never_came_can_have_a_weight(open_page: Open, store: Engine) -> None:
    page = open_page("scoring")
    page.text_input(key="other_type").input("deal.won").run()
    page.number_input(key="points_event_deal.won").set_value(50).run()
    page.button[-1].click().run()
    assert [one.event_type for one in stores.rows(store, ScoreWeight)] == ["deal.won", ""]


def test_another_event_type_that_is_listed_already_keeps_its_one_field(open_page: Open) -> None:
    page = open_page("scoring")
    page.text_input(key="other_type").input("deal.won").run()
    page.number_input(key="points_event_deal.won").set_value(50).run()
    page.button[-1].click().run()
    page.text_input(key="other_type").input("deal.won").run()
    assert not page.exception
    assert page.number_input(key="points_event_deal.won").value == 50


@pytest.mark.parametrize(("typed", "problem"), [(-1, "negative"), (2_000_000, "at most")])
def test_a_weight_that_makes_no_sense_is_refused_and_stays_in_its_field(
    open_page: Open, store: Engine, typed: float, problem: str
) -> None:
    page = open_page("scoring")
    page.number_input(key="points_quiz_").set_value(typed).run()
    assert problem in page.error[0].value
    assert page.number_input(key="points_quiz_").value == typed
    assert not page.button or not any(one.label == "Save" for one in page.button)
    assert stores.count(store, ScoreWeight) == 0
