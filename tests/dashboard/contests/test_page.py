"""The page of contests, as a browser is sent it."""

import json
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

import pytest
import streamlit as st
from sqlalchemy import Engine
from streamlit.testing.v1 import AppTest

from dashboard.base.pieces import plain
from dashboard.viewer import Role
from shared import contests
from shared.contests import Draft
from shared.models import AuditLog, Contest, ContestTeam
from tests import playing, stores
from tests.dashboard.conftest import Open, Send
from tests.dashboard.test_access import Visit, claims, login, visit
from tests.hostile import HOSTILE
from tests.pages import rows, written

__all__ = ["login", "visit"]

NOW = datetime.now(UTC)
DAY = timedelta(days=1)
TODAY = NOW.date()


def make(store: Engine, now: datetime, first: date, last: date, **more: object) -> int:
    draft = Draft("Sprint", first, last, "UTC")._replace(**more)  # type: ignore[arg-type]
    with store.begin() as connection:
        made = contests.create(connection, "lead", draft, now, None)
    assert isinstance(made, int), made
    st.cache_data.clear()  # pages look once a second whether the store has changed
    return made


def running(store: Engine, **more: object) -> int:
    return make(store, NOW, TODAY - 9 * DAY, TODAY + DAY, **more)


def ended(store: Engine, **more: object) -> int:
    """Since two days ago; its result is due."""
    return make(store, NOW - 9 * DAY, TODAY - 9 * DAY, TODAY - 2 * DAY, **more)


def press(page: AppTest, label: str) -> AppTest:
    return next(one for one in page.button if one.label == label).click().run()


def places(page: AppTest) -> Sequence[tuple[object, object]]:
    return [(row["rank"], row["learner"]) for row in rows(page, "rank")]


@pytest.mark.usefixtures("company")
def test_a_contest_is_made_in_two_clicks_and_opens(open_page: Open, store: Engine) -> None:
    page = press(press(open_page("contests"), "New contest"), "Create")
    assert not page.exception
    made = stores.row(store, Contest)
    first = next(TODAY + ahead * DAY for ahead in range(7) if not (TODAY + ahead * DAY).weekday())
    last = first + 27 * DAY
    assert (made.first_day, made.last_day, made.metric, made.all_teams) == (
        first, last, "gained", True,
    )  # fmt: skip
    assert f"Contest from {first:%-d %b %Y}" in page.title[0].value
    assert ("Running until" if first == TODAY else "Starts on") in written(page)


@pytest.mark.usefixtures("company")
def test_the_suggested_name_follows_the_first_day_and_a_typed_one_stays(open_page: Open) -> None:
    page = press(open_page("contests"), "New contest")
    later = TODAY + 20 * DAY
    page.date_input[0].set_value(later).run()
    assert page.text_input[0].value == f"Contest from {later:%-d %b %Y}"
    page.text_input[0].set_value("Winter sprint").run()
    page.date_input[0].set_value(later + DAY).run()
    assert page.text_input[0].value == "Winter sprint"


@pytest.mark.usefixtures("company")
def test_a_start_in_the_past_says_that_earlier_gains_count(open_page: Open) -> None:
    page = press(open_page("contests"), "New contest")
    page.date_input[0].set_value(TODAY - 9 * DAY).run()
    since = f"Counts from {TODAY - 9 * DAY:%-d %b %Y}, 00:00: what was gained since counts too."
    assert since in written(page)


@pytest.mark.usefixtures("company")
def test_a_mistake_is_named_beside_its_field_and_what_was_typed_stays(
    open_page: Open, store: Engine
) -> None:
    page = press(open_page("contests"), "New contest")
    page.text_input[0].set_value("")
    page.date_input[1].set_value(TODAY - 40 * DAY)
    page = press(page, "Create")
    assert "Enter a name" in written(page)
    assert "The end is before the start" in written(page)
    assert page.date_input[1].value == TODAY - 40 * DAY
    assert stores.count(store, Contest) == stores.count(store, AuditLog) == 0


@pytest.mark.usefixtures("company")
def test_the_places_of_a_running_contest_are_those_of_the_board(
    open_page: Open, store: Engine
) -> None:
    page = open_page("contests", contest=str(running(store)))
    assert [place[0] for place in places(page)] == [1, 2, 2]
    assert " leads Sprint with 90 points, " in page.title[0].value
    assert "becomes final 8 h after the end" in written(page)


@pytest.mark.usefixtures("company")
def test_who_stands_at_zero_neither_leads_nor_wins(open_page: Open, store: Engine) -> None:
    page = open_page("contests", contest=str(running(store, board="teams", metric="completed")))
    assert {row["value"] for row in rows(page, "members")} == {0}
    assert page.title[0].value == "No progress in Sprint yet"
    page = open_page("contests", contest=str(ended(store, board="teams")))
    assert page.title[0].value == "No one made progress in Sprint"


@pytest.mark.usefixtures("company")
def test_the_points_of_a_team_are_said_to_be_per_member(open_page: Open, store: Engine) -> None:
    table = open_page("contests", contest=str(running(store, board="teams"))).dataframe[0]
    columns = json.loads(table.proto.columns)
    assert columns["value"]["label"] == "Progress gained, per member"


@pytest.mark.usefixtures("company")
def test_the_first_place_is_on_another_team_only_where_another_team_made_progress(
    visit: Visit, store: Engine
) -> None:
    def headline(**more: object) -> str:
        made = running(store, board="teams", **more)
        return visit("contests", claims("ines"), contest=str(made)).title[0].value

    assert headline() == "The first place in Sprint is on another team"
    assert headline(metric="completed") == "No progress in Sprint yet"


@pytest.mark.usefixtures("company")
def test_a_hidden_contest_shows_its_places_when_the_result_is_final(
    open_page: Open, store: Engine, send: Send
) -> None:
    page = open_page("contests", contest=str(running(store, hidden=True)))
    assert page.title[0].value == "The places of Sprint are hidden until its result is final"
    assert not rows(page, "rank")
    send("module.progress", playing.progress("u-1", progressPct=95), days_ago=4)
    page = open_page("contests", contest=str(ended(store, hidden=True)))
    assert places(page) == [(1, "dana@acme.example")]
    assert page.title[0].value == f"{plain('dana@acme.example')} won Sprint with 95 points"


@pytest.mark.usefixtures("company")
def test_any_page_stores_a_due_result_and_late_events_are_listed_apart(
    open_page: Open, store: Engine, send: Send
) -> None:
    send("module.progress", playing.progress("u-2", progressPct=30), days_ago=5)
    made = ended(store)
    open_page("leaderboard")
    assert stores.row(store, Contest).stored_at is not None
    send("module.progress", playing.progress("u-2", progressPct=35), days_ago=5)
    page = open_page("contests", contest=str(made))
    assert places(page) == [(1, "ines@acme.example")]
    (late,) = rows(page, "value_now")
    assert (late["learner"], late["value"], late["value_now"], late["events"]) == (
        "ines@acme.example", 30, 35, 1,
    )  # fmt: skip


@pytest.mark.usefixtures("company")
def test_a_manager_makes_one_for_own_teams_and_sees_their_people(
    visit: Visit, store: Engine
) -> None:
    page = visit("contests", claims("ines"))
    page = press(press(page, "New contest"), "Create")
    assert [row.team_id for row in stores.rows(store, ContestTeam)] == ["east"]
    assert stores.row(store, Contest).created_by == "ines@acme.example"
    for_all = running(store)
    page = visit("contests", claims("ines"), contest=str(for_all))
    assert "dana" not in written(page)
    assert [name for _, name in places(page)] == ["ines@acme.example"]
    for_west = running(store, teams=("west",))
    page = visit("contests", claims("ines"), contest=str(for_west))
    both = "2 contests run" if TODAY.weekday() == 0 else "1 contest runs, 1 is to come"
    assert page.title[0].value == both


@pytest.mark.usefixtures("company")
def test_a_contest_is_removed_by_a_lead_and_not_by_another_manager(
    visit: Visit, store: Engine
) -> None:
    made = str(running(store))
    page = visit("contests", claims("ines"), contest=made)
    assert "Remove this contest" not in [one.label for one in page.button]
    page = visit("contests", claims("x", roles=[Role.LEAD]), contest=made)
    page = press(page, "Remove this contest")
    assert page.title[0].value == "No contest yet"
    assert "No contest yet" in written(page)


@pytest.mark.usefixtures("company")
@pytest.mark.parametrize("asked", ["7", "x", "", HOSTILE, "\0"])
def test_an_unknown_contest_in_the_address_shows_the_list(
    open_page: Open, store: Engine, asked: str
) -> None:
    running(store, name=HOSTILE[:80])
    page = open_page("contests", contest=asked)
    assert [row["name"] for row in rows(page, "state")] == [HOSTILE[:80].strip()]
    assert ("No contest with this ID" in written(page)) is bool(asked)
    assert not any("onerror" in one.body for one in page.html)
