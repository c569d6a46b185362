"""Filters and the address of the page."""

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from dashboard.base import filters
from shared.queries.windows import Calendar
from tests.dashboard.conftest import Open, Send, provision


def asked(page: AppTest) -> dict[str, object]:
    """The query of the address; AppTest gives a single value by itself."""
    return {key: one if isinstance(one, str) else one[-1] for key, one in page.query_params.items()}


pytestmark = pytest.mark.usefixtures("company")


def test_a_link_with_keys_shows_the_view_that_it_names(open_page: Open) -> None:
    page = open_page(window="30d", board="teams", metric="completed", leavers="true")
    assert page.selectbox("window").value == "30d"
    assert page.button_group("board").value == "teams"
    assert page.toggle("leavers").value
    assert "members" in page.dataframe[0].value


def test_a_choice_is_written_as_a_key_and_the_default_is_left_out(open_page: Open) -> None:
    page = open_page()
    page.selectbox("window").set_value("30d").run()
    page.selectbox("team").set_value("west").run()
    assert asked(page) == {"window": "30d", "team": "west"}
    assert page.code[0].value.endswith("?window=30d&team=west")
    page.selectbox("window").set_value("7d").run()
    assert asked(page) == {"team": "west"}


def test_another_address_moves_the_filters(open_page: Open) -> None:
    page = open_page(window="30d")
    page.selectbox("team").set_value("west").run()
    page.query_params.clear()  # as the back button does
    page.run()
    assert page.selectbox("window").value == "7d"
    assert page.selectbox("team").value is None
    page.query_params["window"] = ["all"]
    page.run()
    assert page.selectbox("window").value == "all"


@pytest.mark.parametrize(
    ("name", "query", "said"),
    [
        (
            "leaderboard",
            {"window": "90d"},
            "period “90d”, which does not exist here: showing 7 days",
        ),
        ("leaderboard", {"window": "30 days"}, "period “30 days”"),
        (
            "leaderboard",
            {"team": "north"},
            "team “north”, which does not exist here: showing All te",
        ),
        ("leaderboard", {"leavers": "yes"}, "with leavers “yes”"),
        ("leaderboard", {"window": "custom", "days": "2026-02-31"}, "days “2026"),
        ("leaderboard", {"board": "<b>x</b>"}, "board “<b>x"),
        ("deliveries", {"view": "Attempt chains"}, "view “Attempt chains”"),
        ("audit", {"action": "dance"}, "action “dance”"),
    ],
)
def test_a_link_that_asks_for_what_is_not_here_says_so(
    open_page: Open, name: str, query: dict[str, str], said: str
) -> None:
    page = open_page(name, **query)
    (warning,) = [one.value for one in page.warning if one.value.startswith("The link asks for")]
    assert said.replace("-", "\\-") in warning.replace("\\<", "<").replace("\\>", ">")
    assert asked(page) == query


@pytest.mark.parametrize("name", ["leaderboard", "audit", "scoring"])
def test_days_before_all_that_is_kept_are_not_here(open_page: Open, name: str) -> None:
    page = open_page(name, window="custom")
    page.query_params["days"] = ["0001-01-01", "0001-01-02"]
    page.run()
    assert not page.exception
    assert "days “0001" in page.warning[0].value.replace("\\-", "-")


def test_days_of_long_ago_can_be_asked_for(open_page: Open) -> None:
    page = open_page(window="custom")
    page.query_params["days"] = ["2001-01-01", "2001-01-02"]
    page.run()
    assert not page.exception
    assert not page.warning


def test_a_page_number_of_any_length_is_read(open_page: Open) -> None:
    page = open_page(page="9" * 5000)
    assert "showing page 1" in page.warning[0].value


def test_a_choice_ends_what_was_said_of_the_link(open_page: Open) -> None:
    page = open_page(window="90d")
    page.selectbox("window").set_value("month").run()
    assert not page.warning
    assert asked(page) == {"window": "month"}


def test_a_team_that_is_gone_is_no_longer_chosen_and_said(open_page: Open, send: Send) -> None:
    page = open_page(team="east")
    provision(send, "u-2", "ines@acme.example", "north")
    st.cache_data.clear()
    page.run()
    assert not page.exception
    assert page.selectbox("team").value is None
    assert "team “east”" in page.warning[0].value


def test_weeks_and_quarters_begin_as_the_company_counts(
    open_page: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert filters.calendar() == Calendar(week_begins=0, year_begins=1)
    monkeypatch.setenv("WEEK_BEGINS", "Sunday")
    monkeypatch.setenv("FISCAL_YEAR_BEGINS", "2")
    st.cache_resource.clear()
    assert filters.calendar() == Calendar(week_begins=6, year_begins=2)
    assert not open_page(window="quarter").exception
