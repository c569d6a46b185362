"""The wall, as a screen with and without a pairing is sent it."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from html import escape

import pytest
import streamlit as st
from sqlalchemy import Engine
from streamlit.runtime.context import ContextProxy
from streamlit.testing.v1 import AppTest

from dashboard.base import screens
from dashboard.viewer import of_screen
from dashboard.wall import data, view
from dashboard.wall.data import Line, Shown, Trend, turn
from shared.models import Screen
from shared.screens import MOST_WAITING, confirm, hash_of, revoke, wait
from tests import playing, stores
from tests.dashboard.conftest import Open, Send, provision
from tests.dashboard.test_access import Visit, claims, login, visit
from tests.hostile import CORPUS

__all__ = ["login", "visit"]

ADA, INES = "ada@acme.example", "ines@acme.example"
TOKEN = "t" * 43
Teams = tuple[str, ...] | None
OneBoard = Callable[[str], None]


@pytest.fixture
def one_board(monkeypatch: pytest.MonkeyPatch) -> OneBoard:
    """`one_board("Teams")`: no other one turns up, whatever the time is."""

    def only(title: str) -> None:
        made = data.boards
        monkeypatch.setattr(data, "boards", lambda: [one for one in made() if one.title == title])

    return only


@pytest.fixture
def tv(visit: Visit, monkeypatch: pytest.MonkeyPatch) -> Callable[[], str]:
    """`tv()`: what a screen without a sign-in is sent, that holds the token."""
    monkeypatch.setattr(ContextProxy, "cookies", {screens.SCREEN: TOKEN})
    return lambda: shown(visit("wall", {}))


def shown(app: AppTest) -> str:
    """The screen as HTML without its stylesheet; a wall has nothing else on it."""
    assert not app.exception
    beside = (app.title, app.caption, app.button, app.markdown, app.dataframe)
    assert not any(beside)
    (screen,) = [one.value for one in app.get("html") if 'class="wall"' in one.value]
    return str(screen).partition("</style>")[2]


def pair(store: Engine, by: str = ADA, teams: Teams = None) -> int:
    now = datetime.now(UTC)
    with store.begin() as connection:
        code = wait(connection, hash_of(TOKEN), now)
        assert code
        confirm(connection, by, code, teams, now)
    number: int = stores.row(store, Screen, token_hash=hash_of(TOKEN)).id
    return number


@pytest.mark.usefixtures("company")
def test_an_unpaired_screen_shows_its_code_and_nothing_of_the_store(
    tv: Callable[[], str], store: Engine
) -> None:
    sent = tv()
    code = stores.row(store, Screen).code
    assert f"{code[:3]} {code[3:]}" in sent
    assert "https://repboard.acme.example/screens" in sent
    assert TOKEN not in sent
    assert not re.search("dana|paul|ines|west|east|event", sent, re.IGNORECASE)
    assert f"{code[:3]} {code[3:]}" in tv()
    assert stores.count(store, Screen) == 1


@pytest.mark.usefixtures("company")
def test_a_paired_screen_shows_the_board_without_a_sign_in(
    tv: Callable[[], str], store: Engine, one_board: OneBoard
) -> None:
    pair(store)
    one_board("Leaders")
    sent = tv()
    assert all(name in sent for name in ("dana@acme.example", "paul@", "ines@"))
    assert "Last event" in sent
    assert "board of" not in sent
    seen = stores.row(store, Screen).seen_at
    assert seen
    tv()
    assert stores.row(store, Screen).seen_at == seen  # once a minute


@pytest.mark.usefixtures("company")
@pytest.mark.parametrize("title", ["Leaders", "Teams", "Just passed"])
def test_a_screen_that_a_manager_paired_shows_only_their_teams(
    tv: Callable[[], str], store: Engine, send: Send, one_board: OneBoard, title: str
) -> None:
    with send.at_once():
        for user_id in ("u-1", "u-2"):
            course = {"userId": user_id, "courseId": "c-1", "courseName": "Onboarding"}
            send("course.completed", course)
    pair(store, INES, ("east",))
    one_board(title)
    sent = tv()
    assert ("east" if title == "Teams" else "ines@") in sent
    assert not re.search("dana|paul|west", sent)
    assert "board of team east" in sent


@pytest.mark.usefixtures("company")
def test_a_revoked_screen_shows_a_code_again(tv: Callable[[], str], store: Engine) -> None:
    number = pair(store)
    assert "dana" in tv() or "west" in tv()
    with store.begin() as connection:
        revoke(connection, ADA, number, of_all=True)
    sent = tv()
    assert "Pair this screen" in sent
    assert not re.search("dana|paul|ines|west|east", sent)


@pytest.mark.usefixtures("company")
def test_a_screen_names_people_as_managers_see_them(
    tv: Callable[[], str], store: Engine, one_board: OneBoard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NAMES_KEY", "a-key-of-this-installation")
    monkeypatch.setenv("NAMES_MANAGER", "initials")
    st.cache_resource.clear()
    pair(store)
    one_board("Leaders")
    sent = tv()
    assert ">D.<" in sent
    assert "dana" not in sent


@pytest.mark.usefixtures("company")
def test_no_code_is_given_where_too_many_screens_wait(tv: Callable[[], str], store: Engine) -> None:
    with store.begin() as connection:
        for number in range(MOST_WAITING):
            wait(connection, hash_of(f"tv {number}"), datetime.now(UTC))
    assert "No code can be given now" in tv()
    assert stores.count(store, Screen) == MOST_WAITING


@pytest.mark.usefixtures("company")
@pytest.mark.parametrize("cookies", [{}, {screens.SCREEN: "chosen"}])
def test_a_screen_without_a_token_gets_no_code(
    visit: Visit, store: Engine, monkeypatch: pytest.MonkeyPatch, cookies: dict[str, str]
) -> None:
    monkeypatch.setattr(ContextProxy, "cookies", cookies)
    assert "Reload this page" in shown(visit("wall", {}))
    assert stores.count(store, Screen) == 0


@pytest.mark.usefixtures("company")
@pytest.mark.parametrize(("name", "others"), [("ada", True), ("ines", False)])
def test_a_person_who_is_signed_in_sees_the_wall_of_their_own_teams(
    visit: Visit, one_board: OneBoard, name: str, others: bool
) -> None:
    one_board("Leaders")
    sent = shown(visit("wall", claims(name)))
    assert "ines@" in sent
    assert ("dana@" in sent) is others


@pytest.mark.usefixtures("company")
def test_without_a_login_this_machine_sees_the_wall_without_pairing(open_page: Open) -> None:
    sent = shown(open_page("wall"))
    assert "Board" in sent
    assert "Pair this screen" not in sent


def test_a_store_without_progress_says_so(open_page: Open, send: Send) -> None:
    provision(send, "u-1", "dana@acme.example", "west")
    assert "No progress in the last 7 days" in shown(open_page("wall"))


@pytest.mark.usefixtures("company")
def test_a_learner_without_a_name_is_no_user_id_on_a_wall(
    open_page: Open, send: Send, one_board: OneBoard
) -> None:
    one_board("Leaders")
    send("module.progress", playing.progress("u-77", progressPct=95))
    sent = shown(open_page("wall"))
    assert "u-77" not in sent
    assert "A learner without a name" in sent


@pytest.mark.usefixtures("company")
def test_a_team_without_points_stands_on_the_wall_with_zero(
    open_page: Open, send: Send, one_board: OneBoard
) -> None:
    one_board("Teams")
    provision(send, "u-5", "omar@acme.example", "north")
    sent = shown(open_page("wall"))
    assert re.search(r">north</div><div class=\"step\"><b>0</b>3rd", sent)


@pytest.mark.usefixtures("company")
def test_a_wall_says_since_when_it_counts_and_calls_no_one_new(
    open_page: Open, one_board: OneBoard
) -> None:
    one_board("Leaders")
    sent = shown(open_page("wall"))
    first = datetime.now(UTC) - timedelta(days=6)
    assert f"points gained in 7 days, since {first:%a %-d %b}" in sent
    assert "New" not in sent


@pytest.mark.parametrize("words", CORPUS.values(), ids=CORPUS)
def test_words_of_a_payload_stay_words(words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[str] = []
    monkeypatch.setattr(st, "html", sent.append)
    line = Line(1, words, words, words, Trend.UP, "5")
    for podium in (True, False):
        view.board(Shown("Leaders", "points", [line] * 5, podium), words, 0, 1)
    for html in sent:
        body = html.partition("</style>")[2]
        assert escape(words) in body
        assert words == escape(words) or words not in body


def test_all_boards_turn_by_the_clock() -> None:
    begin = datetime(2025, 11, 22, 12, tzinfo=UTC)
    turns = [turn(4, begin + timedelta(seconds=15 * step)) for step in range(5)]
    assert sorted(turns[:4]) == [0, 1, 2, 3]
    assert turns[4] == turns[0]


@pytest.mark.usefixtures("company")
def test_boards_without_rows_are_left_out(open_page: Open, send: Send) -> None:
    assert "of 2" in shown(open_page("wall"))  # leaders and teams
    send("course.completed", {"userId": "u-1", "courseId": "c-1", "courseName": "Onboarding"})
    st.cache_data.clear()
    assert "of 3" in shown(open_page("wall"))


@pytest.mark.usefixtures("login")
@pytest.mark.parametrize(
    ("by", "paired_for", "settings", "shows"),
    [
        (ADA, None, {}, None),
        (INES, ("east", "west"), {}, ("east",)),
        (INES, None, {}, ("east",)),
        ("gone@acme.example", None, {}, "nothing"),
        (ADA, ("west",), {"DASHBOARD_ADMINS": "sam@acme.example"}, "nothing"),
        ("gone@acme.example", ("west",), {"OIDC_ROLE_CLAIM": "roles"}, ()),
        (
            "gone@acme.example",
            ("west",),
            {"OIDC_ROLE_CLAIM": "roles", "OIDC_TEAMS_CLAIM": "teams"},
            ("west",),
        ),
    ],
)
def test_a_screen_has_no_more_than_the_settings_give_who_paired_it(
    monkeypatch: pytest.MonkeyPatch,
    by: str,
    paired_for: Teams,
    settings: dict[str, str],
    shows: object,
) -> None:
    for name in ("OIDC_ROLE_CLAIM", "OIDC_TEAMS_CLAIM"):
        monkeypatch.delenv(name)
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    found = of_screen(7, by, paired_for, data.settings())
    assert (found.teams if found else "nothing") == shows
    assert found is None or not found.roles


@pytest.mark.usefixtures("company")
def test_a_screen_goes_dark_once_who_paired_it_has_no_role(
    tv: Callable[[], str], store: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair(store)
    monkeypatch.delenv("OIDC_ROLE_CLAIM")
    monkeypatch.setenv("DASHBOARD_ADMINS", "sam@acme.example")
    st.cache_resource.clear()
    sent = tv()
    assert "shows nothing more" in sent
    assert not re.search("dana|paul|ines|west|east", sent)
