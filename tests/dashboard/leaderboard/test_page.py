"""The leaderboard, as a browser is sent it."""

import csv
import io
from datetime import UTC, date, datetime, timedelta
from urllib.parse import parse_qsl

import pytest
from sqlalchemy import Engine, insert
from streamlit.testing.v1 import AppTest

from dashboard import viewer as dashboard_viewer
from dashboard.base import pieces
from dashboard.base.pieces import NO_LINK, plain
from dashboard.viewer import Role, Viewer
from receiver.vendors import note_vendors
from shared.bulk import table_of
from shared.models import Heartbeat
from shared.queries.scoring import set_rules
from shared.queries.team_boards import TEAM_RULES
from shared.scoring import Weight, rules_of
from shared.settings import ReceiverSettings
from tests import playing
from tests.dashboard.conftest import Open, Send, provision
from tests.shared import tables

DANA, INES, PAUL = (f"{name}@acme.example" for name in ("dana", "ines", "paul"))


def said(page: AppTest) -> str:
    """The words of a page, as they were written."""
    words = " ".join(one.value for one in [*page.title, *page.markdown])
    return words.replace("\\", "").replace(NO_LINK, "")


def test_an_empty_store_shows_the_address_to_register_and_a_signed_curl(
    open_page: Open, store: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINDTICKLE_WEBHOOK_SECRET", playing.SECRET)
    note_vendors(store, ReceiverSettings.load())  # as a receiver does when it starts
    page = open_page()
    address, curl = (block.value for block in page.code)
    assert address == "http://127.0.0.1:8000/webhooks/mindtickle"
    assert "openssl dgst -sha256 -hmac" in curl
    assert not page.dataframe


@pytest.mark.usefixtures("company")
def test_the_learner_with_the_largest_gain_stands_first_and_ties_share_a_place(
    open_page: Open,
) -> None:
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
    assert board.columns.tolist()[3] == metric


@pytest.mark.usefixtures("company")
def test_a_leaver_is_shown_only_when_asked_for(open_page: Open, send: Send) -> None:
    send("user.deprovisioned", {"userId": "u-1"})
    assert "dana@acme.example" not in set(open_page().dataframe[0].value["learner"])
    with_leavers = open_page(leavers="true").dataframe[0].value
    assert "dana@acme.example" in set(with_leavers["learner"])


def test_a_learner_without_a_roster_event_is_shown_as_unknown(open_page: Open, send: Send) -> None:
    send("module.progress", playing.progress("u-9"))
    assert open_page().dataframe[0].value["learner"].tolist() == ["Learner u-9 (no name)"]


@pytest.mark.usefixtures("company")
def test_key_figures_show_the_change_to_the_period_before(open_page: Open, send: Send) -> None:
    send("module.progress", playing.progress("u-1", moduleId="m-2", progressPct=100), days_ago=9)
    figures = {figure.label: figure for figure in open_page().metric}
    assert figures["Progress gained"].value == "210 pts"
    assert figures["Progress gained"].delta == "+110 %"


@pytest.mark.usefixtures("company")
def test_a_window_without_progress_says_what_to_do(open_page: Open) -> None:
    page = open_page(window="today")
    assert page.title[0].value == "No points today yet"
    (info,) = [one.value for one in page.info]
    assert info == f"No activity since {datetime.now(UTC):%a %-d %b}, 00:00 UTC."
    assert "Show 7 days" in labels(page)


def labels(page: AppTest) -> list[str]:
    return [one.label for one in page.button]


@pytest.mark.usefixtures("company")
@pytest.mark.parametrize(
    "view", [{}, {"board": "teams"}, {"metric": "time"}, {"leavers": "false"}, {"team": "absent"}]
)
def test_where_no_filter_is_set_none_can_be_cleared(open_page: Open, view: dict[str, str]) -> None:
    assert "Clear filters" not in labels(open_page(window="today", **view))


@pytest.mark.usefixtures("company")
@pytest.mark.parametrize("set_filter", [{"team": "west"}, {"leavers": "true"}, {"find": "dana"}])
def test_filters_are_cleared_and_the_rest_of_the_view_stays(
    open_page: Open, set_filter: dict[str, str]
) -> None:
    page = open_page(window="today", board="learners", metric="time", **set_filter)
    next(one for one in page.button if one.label == "Clear filters").click().run()
    assert set(page.query_params) == {"window", "board", "metric"}
    assert "Clear filters" not in labels(page)


@pytest.mark.usefixtures("company")
def test_the_heading_says_who_leads_and_the_next_line_by_how_much_and_through_what(
    open_page: Open, send: Send
) -> None:
    send("module.progress", playing.progress("u-1", moduleId="m-2", moduleName="Pricing"))
    words = said(open_page())
    assert words.startswith(f"{DANA} leads with 130 points")
    assert f"In the last 7 days, 70 points ahead of {INES}, 90 points of it from" in words
    assert "of it from *Discovery calls*." in words


@pytest.mark.usefixtures("company")
def test_several_who_lead_together_are_counted(open_page: Open, send: Send) -> None:
    send("user.deprovisioned", {"userId": "u-1"})
    words = said(open_page())
    assert words.startswith(f"{INES} and 1 more lead with 60 points each")
    assert "In the last 7 days, 2 learners share the first place." in words


@pytest.mark.usefixtures("company")
def test_the_heading_names_the_only_team_of_the_board(open_page: Open) -> None:
    assert said(open_page(team="west")).startswith(f"{DANA} leads west with 90 points")


@pytest.mark.usefixtures("company")
def test_the_heading_answers_for_the_board_that_is_chosen(open_page: Open) -> None:
    teams = said(open_page(board="teams"))
    assert teams.startswith("Team west leads with 75 points a member")
    assert "In the last 7 days, 2 of its 2 members active." in teams
    modules = said(open_page(board="modules"))
    assert modules.startswith("Most was gained in Discovery calls: 210 points")
    assert "In the last 7 days, by 3 learners." in modules


@pytest.mark.usefixtures("company")
def test_the_first_three_stand_above_the_board_each_with_what_puts_them_there(
    open_page: Open,
) -> None:
    words = said(open_page())
    assert f"**1 · {DANA}**" in words
    assert "west · 90 from *Discovery calls*" in words
    assert f"**2= · {INES}**" in words
    assert f"east · 30 behind {DANA}" in words
    assert f"west · tied with {INES}" in words


@pytest.mark.usefixtures("company")
def test_a_figure_leads_to_the_board_by_what_it_counts(open_page: Open) -> None:
    page = open_page(board="teams")
    page.button(key="figure_Learning time").click().run()
    assert page.query_params["metric"] in ("time", ["time"])
    assert "board" not in page.query_params


@pytest.mark.usefixtures("company")
def test_the_first_line_says_which_team_slipped_and_against_what(
    open_page: Open, send: Send
) -> None:
    send("module.progress", playing.progress("u-2", moduleId="m-2", progressPct=80), days_ago=9)
    slipped = "Team **east** slipped: 60 points a member, 80 on the same weekdays a week earlier"
    assert slipped in said(open_page())


@pytest.mark.usefixtures("company")
def test_the_first_line_says_who_is_one_module_from_passing_the_next(open_page: Open) -> None:
    assert f"**{INES}** can pass {DANA} with one module." in said(open_page())


@pytest.mark.usefixtures("company")
def test_beside_the_board_stands_who_does_not_move(open_page: Open, send: Send) -> None:
    with send.at_once():
        send("module.progress", playing.progress("u-3", progressPct=30), days_ago=10)
        send("module.progress", playing.progress("u-4", progressPct=30), days_ago=10)
        provision(send, "u-4", "rosa@acme.example", "west")
    assert "1 learner with earlier progress, none in the last 7 days." in said(open_page())


@pytest.mark.usefixtures("company")
def test_in_a_period_that_is_over_no_one_is_about_to_pass(open_page: Open, send: Send) -> None:
    with send.at_once():
        for user_id, pct in (("u-1", 90), ("u-2", 60)):
            more = playing.progress(user_id, moduleId="m-2", progressPct=pct)
            send("module.progress", more, days_ago=9)
    over = {"window": "custom", "days": [str(_days_ago(10)), str(_days_ago(8))]}
    words = said(open_page(**over, learner="mindtickle/u-2"))
    assert words.startswith(f"{DANA} leads with 90 points")
    assert f"30 points behind {DANA}." in words
    assert "with one module" not in words
    assert "left" not in words


@pytest.mark.usefixtures("company")
def test_a_rank_is_compared_with_the_one_of_the_period_before(open_page: Open, send: Send) -> None:
    with send.at_once():
        for user_id, pct in (("u-1", 30), ("u-2", 50)):
            more = playing.progress(user_id, moduleId="m-2", progressPct=pct)
            send("module.progress", more, days_ago=9)
    board = open_page().dataframe[0].value
    assert board[["learner", "move"]].values.tolist() == [
        [DANA, "▲ 1"],
        [INES, "▼ 1"],
        [PAUL, "none before"],
    ]
    assert ":green[▲ 1] :small[:gray[now 1st]]" in said(open_page())


@pytest.mark.usefixtures("company")
def test_where_all_had_nothing_before_no_place_was_lost(open_page: Open, send: Send) -> None:
    with send.at_once():
        for user_id in ("u-1", "u-2", "u-3"):
            begun = playing.progress(user_id, moduleId="m-2", progressPct=30)
            send("module.progress", begun, days_ago=9)
        send("module.progress", playing.progress("u-3", progressPct=100))
    people = open_page(metric="completed").dataframe[0].value
    assert people[["place", "move"]].values.tolist() == [
        ["1", "none before"],
        ["2=", "none before"],
        ["2=", "none before"],
    ]
    teams = open_page(window="today", board="teams")
    assert teams.dataframe[0].value[["team_id", "move"]].values.tolist() == [
        ["west", "none before"],
        ["east", "none before"],
    ]
    against = "the same weekday a week earlier, up to"
    assert f"No activity on {against}" in " ".join(one.value for one in teams.caption)


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
    linked = [(one.label.replace("\\", "").partition(" · ")[2], one.query_string) for one in links]
    assert linked == [("Pricing: 40 %", "delivery=7"), ("Discovery calls: 60 %", "delivery=5")]


@pytest.mark.usefixtures("company")
@pytest.mark.parametrize(
    "key", ["mindtickle/absent", "nonsense", "mindtickle/u-2' or 1=1 --", "/", "x/*bold*"]
)
def test_an_address_of_no_learner_gets_a_plain_sentence(open_page: Open, key: str) -> None:
    page = open_page(learner=key)
    assert page.info[-1].value == "No learner with this ID here, or not on your teams."


@pytest.mark.usefixtures("company")
def test_a_learner_outside_the_filters_is_not_explained(open_page: Open) -> None:
    page = open_page(learner="mindtickle/u-2", team="west")
    assert "No learner with this ID here" in page.info[-1].value


@pytest.mark.usefixtures("company")
def test_a_learner_without_activity_has_no_rank(open_page: Open, send: Send) -> None:
    provision(send, "u-4", "omar@acme.example", "east")
    page = open_page(learner="mindtickle/u-4")
    assert "made no progress in the last 7 days, so has no rank" in page.info[-1].value


@pytest.mark.usefixtures("company")
def test_failed_events_are_announced_with_a_link_to_them(open_page: Open, send: Send) -> None:
    with send.at_once():
        send("module.progress", playing.progress("u-1"), secret="rotated")
        send("module.progress", playing.progress("u-2"), secret="rotated")
    page = open_page()
    (link,) = [one for one in page.get("page_link") if one.proto.query_string]
    assert link.label.startswith(":orange[2 events missing since ")
    asked = dict(parse_qsl(link.proto.query_string))
    assert asked["list"] == "missing"
    listed = open_page("deliveries", **asked).dataframe[-1].value
    assert len(listed) == 2


@pytest.mark.usefixtures("company")
def test_where_nothing_failed_nothing_is_announced(open_page: Open) -> None:
    page = open_page()
    assert not page.warning
    assert not [one for one in page.get("page_link") if "missing" in one.label]


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
    labels = [one.label for one in open_page().get("page_link")]
    assert any("no receiver was up for 2 h from " in label for label in labels)


def test_names_from_payloads_are_shown_as_they_are(open_page: Open, send: Send) -> None:
    hostile = "**x** [y](http://evil.example) www.evil.example <b>"
    with send.at_once():
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


@pytest.mark.usefixtures("company")
def test_points_stay_with_the_team_or_move_with_the_learner_as_chosen(
    open_page: Open, send: Send
) -> None:
    provisioned = {"userId": "u-1", "email": DANA, "role": "rep", "teamId": "east"}
    send("user.provisioned", provisioned)
    totals = {}
    for credit in ("then", "today"):
        page = open_page(board="teams", credit=credit)
        board = page.dataframe[0].value
        totals[credit] = dict(zip(board["team_id"], board["total"], strict=True))
        assert TEAM_RULES[credit] in [one.value for one in page.caption]
    assert totals == {"then": {"west": 150, "east": 60}, "today": {"west": 60, "east": 150}}


@pytest.mark.usefixtures("company")
def test_a_score_counts_completions_and_is_explained_one_by_one(
    open_page: Open, send: Send, store: Engine
) -> None:
    with store.begin() as connection:
        weights = [Weight("progress", "", 1), Weight("course", "", 200)]
        set_rules(connection, "ada", rules_of(weights))
    completed = {"userId": "u-2", "courseId": "c-1", "courseName": "Onboarding"}
    send("course.completed", completed, days_ago=0.01)
    page = open_page(metric="score", learner="mindtickle/u-2")
    words = said(page)
    assert words.startswith(f"{INES} leads with 260 points")
    assert f"In the last 7 days, 170 points ahead of {DANA}" in words
    assert "with one module" not in words
    board = page.dataframe[0].value
    assert board[["learner", "score"]].values.tolist() == [[INES, 260], [DANA, 90], [PAUL, 60]]
    assert f"**{INES}**: **1st** with **260 points**" in said(page)
    labels = [link.label.replace("\\", "") for link in page.get("page_link")]
    links = [label.partition(" · ")[2] for label in labels if " · " in label]
    assert links[:2] == [
        "Course completed · Onboarding: 200 points",
        "Progress · Discovery calls: 60 points",
    ]


@pytest.fixture
def crowd(store: Engine, send: Send) -> None:
    """120 learners, each gained less than the one before, and one without activity."""
    provision(send, "u-x", "idle@x.com", "west")
    today = datetime.now(UTC).date()
    tables.people(store, *((f"u-{n:03}", "west") for n in range(120)))
    tables.progress(store, *((f"u-{n:03}", "m-1", today, 100 - n / 2, 60) for n in range(120)))


def addresses(page: AppTest) -> list[str]:
    return list(page.dataframe[0].value["learner"]) if page.dataframe else []


@pytest.mark.usefixtures("crowd")
def test_every_learner_is_on_one_of_the_pages(open_page: Open) -> None:
    pages = [open_page(page=str(number)) for number in range(1, 11)]
    listed = [addresses(one) for one in pages]
    assert [len(one) for one in listed] == [12] * 10
    assert len({name for one in listed for name in one}) == 120
    assert "13–24 of 120" in [one.value for one in pages[1].caption]


@pytest.mark.usefixtures("crowd")
@pytest.mark.parametrize("number", ["11", "0", "x", "-1"])
def test_a_page_that_is_not_there_is_said(open_page: Open, number: str) -> None:
    page = open_page(page=number)
    assert f"page “{plain(number)}”, which does not exist here: showing page 1" in (
        page.warning[0].value
    )
    assert len(addresses(page)) == 12


@pytest.mark.usefixtures("crowd")
def test_a_filter_leads_back_to_the_first_page(open_page: Open) -> None:
    page = open_page(page="3")
    page.selectbox("window").set_value("30d").run()
    assert set(page.query_params) == {"window"}
    assert addresses(page)[0] == "u-000@x.com"


@pytest.mark.usefixtures("crowd")
def test_a_learner_is_found_by_name_with_the_rank_among_all(open_page: Open) -> None:
    page = open_page(find="U-07")
    assert addresses(page) == [f"u-07{n}@x.com" for n in range(10)]
    assert page.dataframe[0].value["place"].iloc[0] == "71"
    assert "No learner on this board has that" in open_page(find="absent").info[-1].value


@pytest.mark.usefixtures("crowd")
def test_the_file_holds_all_that_the_filter_matches(
    open_page: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    files: dict[str, str] = {}
    made = pieces.as_csv
    monkeypatch.setattr(pieces, "_download", lambda tables, name: files.update(
        {name: made(tables[name][0](), tables[name][1]).decode("utf-8-sig")}))  # fmt: skip
    open_page()
    head, first, *rest = csv.reader(io.StringIO(files["learners"]))
    assert head == [
        "Rank by Progress gained", "Rank before", "Learner", "E-mail", "Vendor and user ID", "Team",
        "Progress gained (points)", "Modules completed", "Average progress (%)",
        "Time spent (hours)", "Vendors",
    ]  # fmt: skip
    assert first[2:7] == ["u-000@x.com", "u-000@x.com", "mindtickle/u-000", "west", "100.0"]
    assert len(rest) == 119


@pytest.fixture
def as_dana(monkeypatch: pytest.MonkeyPatch) -> None:
    """Dana has signed in, as an admin."""
    viewer = Viewer(DANA, frozenset({Role.ADMIN}), address=DANA)
    monkeypatch.setattr(dashboard_viewer, "viewer", lambda: viewer)


@pytest.mark.usefixtures("company", "as_dana")
def test_a_viewer_who_is_a_learner_sees_which_row_is_theirs(open_page: Open) -> None:
    page = open_page()
    assert f"{DANA} (you)" in addresses(page)
    next(one for one in page.button if one.label == "My team").click().run()
    assert page.selectbox("team").value == "west"
    assert [one.removesuffix(" (you)") for one in addresses(page)] == [DANA, PAUL]


@pytest.mark.usefixtures("crowd", "as_dana")
def test_show_me_leads_to_the_page_with_ones_own_row(
    open_page: Open, send: Send, store: Engine
) -> None:
    provision(send, "dana", DANA, "west")
    tables.progress(store, ("dana", "m-1", datetime.now(UTC).date(), 10, 60))
    page = open_page(find="u-0")
    next(one for one in page.button if one.label == "Show me").click().run()
    assert page.query_params["page"] in ("11", ["11"])
    assert "find" not in page.query_params
    assert f"{DANA} (you)" in addresses(page)


@pytest.mark.usefixtures("company")
def test_a_viewer_who_is_no_learner_has_no_row_of_their_own(open_page: Open) -> None:
    page = open_page()
    assert not [one for one in page.button if one.label in ("Show me", "My team")]
