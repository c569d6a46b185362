"""The leaderboard, as a browser is sent it."""

from datetime import UTC, date, datetime, timedelta
from urllib.parse import parse_qsl

import pytest
from sqlalchemy import Engine, insert
from streamlit.testing.v1 import AppTest

from dashboard.base.pieces import NO_LINK, plain
from shared.bulk import table_of
from shared.models import Heartbeat
from tests import playing
from tests.dashboard.conftest import Open, Send, provision

DANA, INES, PAUL = (f"{name}@acme.example" for name in ("dana", "ines", "paul"))


def said(page: AppTest) -> str:
    """The words of a page, as they were written."""
    return " ".join(one.value for one in page.markdown).replace("\\", "").replace(NO_LINK, "")


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
    board = open_page(window="today").dataframe[0].value
    assert board[["learner", "gained"]].values.tolist() == [["ines@acme.example", 15]]


@pytest.mark.usefixtures("company")
def test_the_team_filter_in_the_address_limits_the_board(open_page: Open) -> None:
    board = open_page(team="west").dataframe[0].value
    assert set(board["team_id"]) == {"west"}


@pytest.mark.usefixtures("company")
def test_the_board_of_teams_ranks_by_the_average_of_a_member(open_page: Open) -> None:
    board = open_page(board="teams").dataframe[0].value
    assert board[["place", "team_id", "average", "total", "members"]].values.tolist() == [
        ["1", "west", 75, 150, 2],
        ["2", "east", 60, 60, 1],
    ]


@pytest.mark.usefixtures("company")
@pytest.mark.parametrize("metric", ["completed", "average", "time"])
def test_the_chosen_metric_decides_the_order(open_page: Open, send: Send, metric: str) -> None:
    send("module.progress", playing.progress("u-3", progressPct=100, timeSpentSec=7200))
    board = open_page(metric=metric).dataframe[0].value
    assert board["learner"].iloc[0] == "paul@acme.example"
    assert board.columns.tolist()[4] == metric


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
    page = open_page(window="today")
    assert "Choose a longer window" in page.info[0].value


def test_only_refused_deliveries_lead_to_the_page_that_says_why(
    open_page: Open, send: Send
) -> None:
    send("module.progress", playing.progress(), secret="wrong")
    assert "The page Deliveries says why" in open_page().info[0].value


@pytest.mark.usefixtures("company")
def test_the_first_line_says_who_gained_most_and_in_what(open_page: Open, send: Send) -> None:
    send("module.progress", playing.progress("u-1", moduleId="m-2", moduleName="Pricing"))
    assert (
        f"**{DANA}** gained most in the last 7 days: 130 points, 90 of them in *Discovery calls*."
        in said(open_page())
    )


@pytest.mark.usefixtures("company")
def test_the_first_line_says_which_team_slipped(open_page: Open, send: Send) -> None:
    send("module.progress", playing.progress("u-2", moduleId="m-2", progressPct=80), days_ago=9)
    slipped = "Team **east** slipped: 60 points a member after 80 the period before."
    assert slipped in said(open_page())


@pytest.mark.usefixtures("company")
def test_a_day_that_is_not_over_is_not_called_a_slip(open_page: Open, send: Send) -> None:
    send("module.progress", playing.progress("u-3", progressPct=70))
    words = said(open_page(window="today"))
    assert "gained most today: 10 points" in words
    assert "slipped" not in words


@pytest.mark.usefixtures("company")
def test_the_first_line_says_who_is_one_module_from_passing_whom(open_page: Open) -> None:
    assert f"**{INES}** is one module from passing {DANA}." in said(open_page())


@pytest.mark.usefixtures("company")
def test_a_rank_is_compared_with_the_one_of_the_period_before(open_page: Open, send: Send) -> None:
    for user_id, pct in (("u-1", 30), ("u-2", 50)):
        more = playing.progress(user_id, moduleId="m-2", progressPct=pct)
        send("module.progress", more, days_ago=9)
    board = open_page().dataframe[0].value
    assert board[["learner", "move"]].values.tolist() == [
        [DANA, "▲ 1"],
        [INES, "▼ 1"],
        [PAUL, "new"],
    ]
    assert "▲ 1, now 1st" in [one.value for one in open_page().caption]


@pytest.mark.usefixtures("company")
def test_over_all_time_no_rank_is_compared(open_page: Open) -> None:
    page = open_page(window="all")
    assert "move" not in page.dataframe[0].value
    assert not any(figure.delta for figure in page.metric)


@pytest.mark.usefixtures("company")
def test_each_row_has_the_gains_of_eight_weeks(open_page: Open, send: Send) -> None:
    send("module.progress", playing.progress("u-1", moduleId="m-2", progressPct=20), days_ago=9)
    board = open_page().dataframe[0].value
    assert list(board["weeks"].iloc[0]) == [0, 0, 0, 0, 0, 0, 20, 90]


@pytest.mark.usefixtures("company")
def test_the_board_of_modules_says_what_was_gained_in_each(open_page: Open, send: Send) -> None:
    send("module.progress", playing.progress("u-1", moduleId="m-2", moduleName="Pricing"))
    board = open_page(board="modules").dataframe[0].value
    assert board[["place", "module_name", "gained", "people"]].values.tolist() == [
        ["1", "Discovery calls", 210, 3],
        ["2", "Pricing", 40, 1],
    ]


@pytest.mark.usefixtures("company")
def test_the_module_filter_in_the_address_limits_the_board(open_page: Open, send: Send) -> None:
    send("module.progress", playing.progress("u-2", moduleId="m-2", moduleName="Pricing"))
    board = open_page(module="mindtickle/m-2").dataframe[0].value
    assert board[["learner", "gained"]].values.tolist() == [[INES, 40]]


@pytest.mark.usefixtures("company")
def test_custom_days_in_the_address_limit_the_board(open_page: Open, send: Send) -> None:
    send("module.progress", playing.progress("u-3", moduleId="m-2", progressPct=35), days_ago=20)
    days = [str(_days_ago(22)), str(_days_ago(18))]
    board = open_page(window="custom", days=days).dataframe[0].value
    assert board[["learner", "gained"]].values.tolist() == [[PAUL, 35]]


def _days_ago(days: int) -> date:
    return (datetime.now(UTC) - timedelta(days=days)).date()


@pytest.mark.usefixtures("company")
def test_a_rank_is_explained_with_ties_and_what_it_takes_to_pass(open_page: Open) -> None:
    words = said(open_page(learner="mindtickle/u-2"))
    assert (
        f"**{INES}**: **2nd** with **60 points**, tied with {PAUL}. 30 points behind {DANA}"
        in words
    )
    assert "one module from passing them (*Discovery calls* has 40 points left)" in words


@pytest.mark.usefixtures("company")
def test_a_rank_is_explained_module_by_module_with_the_deliveries(
    open_page: Open, send: Send
) -> None:
    send("module.progress", playing.progress("u-2", moduleId="m-2", moduleName="Pricing"))
    page = open_page(learner="mindtickle/u-2")
    modules = page.dataframe[-1].value
    assert modules[["module_name", "gained", "pct_before", "pct"]].values.tolist() == [
        ["Discovery calls", 60, 0, 60],
        ["Pricing", 40, 0, 40],
    ]
    links = [link.proto for link in page.get("page_link") if " · " in link.proto.label]
    told = [(one.label.replace("\\", "").partition(" · ")[2], one.query_string) for one in links]
    assert told == [("Pricing: 40 %", "delivery=7"), ("Discovery calls: 60 %", "delivery=5")]


@pytest.mark.usefixtures("company")
@pytest.mark.parametrize(
    "key", ["mindtickle/nobody", "nonsense", "mindtickle/u-2' or 1=1 --", "/", "x/*bold*"]
)
def test_an_address_of_nobody_gets_a_plain_sentence(open_page: Open, key: str) -> None:
    page = open_page(learner=key)
    assert page.info[-1].value == "There is nobody of that id among those that are shown here."


@pytest.mark.usefixtures("company")
def test_somebody_outside_the_filters_is_not_explained(open_page: Open) -> None:
    page = open_page(learner="mindtickle/u-2", team="west")
    assert "There is nobody of that id" in page.info[-1].value


@pytest.mark.usefixtures("company")
def test_somebody_who_did_not_move_has_no_rank(open_page: Open, send: Send) -> None:
    provision(send, "u-4", "omar@acme.example", "east")
    page = open_page(learner="mindtickle/u-4")
    assert "made no progress in the last 7 days, so has no rank" in page.info[-1].value


@pytest.mark.usefixtures("company")
def test_failed_events_are_announced_with_a_link_to_them(open_page: Open, send: Send) -> None:
    send("module.progress", playing.progress("u-1"), secret="rotated")
    send("module.progress", playing.progress("u-2"), secret="rotated")
    page = open_page()
    assert page.warning[0].value.startswith("2 events failed since ")
    assert page.warning[0].value.endswith("; standings may lag.")
    (link,) = page.get("page_link")
    asked = dict(parse_qsl(link.proto.query_string))
    assert asked["list"] == "missing"
    listed = open_page("deliveries", **asked).dataframe[-1].value
    assert len(listed) == 2


@pytest.mark.usefixtures("company")
def test_where_nothing_failed_nothing_is_announced(open_page: Open) -> None:
    assert not open_page().warning


@pytest.mark.usefixtures("company")
def test_a_time_without_a_receiver_is_announced(open_page: Open, store: Engine) -> None:
    now = datetime.now(UTC)
    first = {"receiver": "a", "started_at": now - timedelta(hours=9)}
    runs = [
        first | {"seen_at": now - timedelta(hours=3)},
        {"receiver": "b", "started_at": now - timedelta(hours=1), "seen_at": now},
    ]
    with store.begin() as connection:
        connection.execute(insert(table_of(Heartbeat)), runs)
    assert "no receiver was up for 2 h from " in open_page().warning[0].value


def test_names_from_payloads_are_shown_as_they_are(open_page: Open, send: Send) -> None:
    hostile = "**x** [y](http://evil.example) www.evil.example <b>"
    provision(send, "u-1", hostile, hostile)
    send("module.progress", playing.progress("u-1", moduleName=hostile))
    page = open_page(learner="mindtickle/u-1")
    shown = " ".join([*(one.value for one in page.markdown), *(one.label for one in page.button)])
    assert plain(hostile) in shown
    assert "[y]" not in shown
    assert hostile not in shown


@pytest.mark.usefixtures("company")
def test_a_link_to_the_view_has_its_filters(open_page: Open) -> None:
    page = open_page(window="30d", team="west")
    assert page.code[0].value.endswith("?window=30d&team=west")


@pytest.mark.parametrize("text", ["https://evil.example", "WWW.evil.example", "a@evil.example"])
def test_markdown_is_given_no_address_that_it_would_make_a_link_of(text: str) -> None:
    assert NO_LINK in plain(text)
    assert plain(text).replace(NO_LINK, "").replace("\\", "") == text
