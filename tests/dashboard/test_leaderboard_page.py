"""The leaderboard, as a browser is sent it."""

import pytest

from tests import playing
from tests.dashboard.conftest import Open, Send


def test_an_empty_store_shows_the_address_to_register_and_a_signed_curl(open_page: Open) -> None:
    page = open_page()
    address, curl = (block.value for block in page.code)
    assert address == "http://127.0.0.1:8000/webhooks/mindtickle"
    assert "openssl dgst -sha256 -hmac" in curl
    assert not page.dataframe


@pytest.mark.usefixtures("company")
def test_the_one_who_gained_most_stands_first_and_ties_share_a_place(open_page: Open) -> None:
    board = open_page().dataframe[0].value
    assert board["place"].tolist() == ["1", "2=", "2="]
    assert board["learner"].tolist() == [
        "dana@acme.example",
        "ines@acme.example",
        "paul@acme.example",
    ]
    assert board["gained"].tolist() == [90, 60, 60]


@pytest.mark.usefixtures("company")
def test_a_window_shows_what_was_gained_in_it(open_page: Open, send: Send) -> None:
    send("module.progress", playing.progress("u-2", progressPct=75))
    board = open_page(window="Today").dataframe[0].value
    assert board[["learner", "gained"]].values.tolist() == [["ines@acme.example", 15]]


@pytest.mark.usefixtures("company")
def test_the_team_filter_in_the_address_limits_the_board(open_page: Open) -> None:
    board = open_page(team="west").dataframe[0].value
    assert set(board["team_id"]) == {"west"}


@pytest.mark.usefixtures("company")
def test_the_board_of_teams_ranks_by_the_average_of_a_member(open_page: Open) -> None:
    board = open_page(board="Teams").dataframe[0].value
    assert board[["place", "team_id", "average", "total", "members"]].values.tolist() == [
        ["1", "west", 75, 150, 2],
        ["2", "east", 60, 60, 1],
    ]


@pytest.mark.usefixtures("company")
@pytest.mark.parametrize(
    ("metric", "column"),
    [("Modules completed", "completed"), ("Average progress", "average"), ("Time spent", "hours")],
)
def test_the_chosen_metric_decides_the_order(
    open_page: Open, send: Send, metric: str, column: str
) -> None:
    send("module.progress", playing.progress("u-3", progressPct=100, timeSpentSec=7200))
    board = open_page(metric=metric).dataframe[0].value
    assert board["learner"].iloc[0] == "paul@acme.example"
    assert board.columns.tolist()[3] == column


@pytest.mark.usefixtures("company")
def test_a_leaver_is_shown_only_when_asked_for(open_page: Open, send: Send) -> None:
    send("user.deprovisioned", {"userId": "u-1"})
    assert "dana@acme.example" not in set(open_page().dataframe[0].value["learner"])
    with_leavers = open_page(leavers="true").dataframe[0].value
    assert "dana@acme.example" in set(with_leavers["learner"])


def test_somebody_without_a_roster_event_is_shown_as_unknown(open_page: Open, send: Send) -> None:
    send("module.progress", playing.progress("u-9"))
    assert open_page().dataframe[0].value["learner"].tolist() == ["unknown (u-9)"]


@pytest.mark.usefixtures("company")
def test_key_figures_show_the_change_to_the_period_before(open_page: Open, send: Send) -> None:
    send("module.progress", playing.progress("u-1", moduleId="m-2", progressPct=100), days_ago=9)
    figures = {figure.label: figure for figure in open_page().metric}
    assert figures["Progress gained"].value == "210 pts"
    assert figures["Progress gained"].delta == "+110 %"


@pytest.mark.usefixtures("company")
def test_a_window_without_progress_says_what_to_do(open_page: Open) -> None:
    page = open_page(window="Today")
    assert "Choose a longer window" in page.info[0].value


def test_only_refused_deliveries_lead_to_the_page_that_says_why(
    open_page: Open, send: Send
) -> None:
    send("module.progress", playing.progress(), secret="wrong")
    assert "The page Deliveries says why" in open_page().info[0].value
