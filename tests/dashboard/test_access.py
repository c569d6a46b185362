"""Who may see and do what: the whole table, asked as pages and crafted requests ask it."""

import ast
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
import streamlit as st
from sqlalchemy import Connection, Engine
from sqlmodel import SQLModel
from streamlit.runtime.scriptrunner import RerunException
from streamlit.testing.v1 import AppTest

from dashboard import access
from dashboard.base import filters, store as data, trials
from dashboard.certifications import data as certifications
from dashboard.coaching import data as coaching
from dashboard.contests import data as contests
from dashboard.deliveries import data as deliveries
from dashboard.learner import data as learner
from dashboard.preferences import data as preferences, forwards
from dashboard.scoring import data as scoring
from dashboard.screens import data as screens
from dashboard.viewer import Role, Viewer, viewer
from receiver.vendors import note_vendors
from shared.certificates import Expiry
from shared.coaching import Taker
from shared.contests import Draft
from shared.facts import Expired
from shared.models import (
    AuditLog,
    CoachingCase,
    Notification,
    QuizThreshold,
    ReplayRequest,
    ScoreWeight,
    Trial,
)
from shared.queries import catalog
from shared.queries.missing import Missing
from shared.queries.people import Who
from shared.scoring import Weight, rules_of
from shared.settings import ReceiverSettings
from shared.subscriptions import Wanted
from shared.wording import number_of
from tests import playing, stores
from tests.dashboard.conftest import ROOT, Open, Send, provision
from tests.pages import PAGES, go_to
from tests.shared.tables import NOON, V, add, attempts, cases, fold, people

TODAY = datetime.now(UTC).date() + timedelta(days=1)
NOT_FOR_YOU = "is not for your role"
COOKIE_SECRET = "a-cookie-secret-of-the-tests-0123456789"
TEAMS = '{"ines@acme.example": ["east"], "paul@acme.example": ["west", "north"]}'

Ask = Callable[[dict[str, Any], Callable[[], Any]], Any]
Visit = Callable[..., AppTest]


def claims(name: str = "ada", **more: object) -> dict[str, Any]:
    """What a provider says of a person whose address it has verified."""
    now = int(time.time())
    return {
        "is_logged_in": True,
        "sub": name,
        "email": f"{name}@acme.example",
        "email_verified": True,
        "iat": now - 10,
        "exp": now + 3600,
    } | more


@pytest.fixture
def login(monkeypatch: pytest.MonkeyPatch, open_page: Open) -> None:
    """A login is configured: a role for each of three, two managers with teams of their own."""
    for name, value in {
        "DASHBOARD_URL": "https://repboard.acme.example",
        "DASHBOARD_COOKIE_SECRET": COOKIE_SECRET,
        "OIDC_CLIENT_ID": "repboard",
        "OIDC_CLIENT_SECRET": "a-client-secret",
        "OIDC_METADATA_URL": "https://id.acme.example/.well-known/openid-configuration",
        "OIDC_ROLE_CLAIM": "roles",
        "OIDC_TEAMS_CLAIM": "teams",
        "DASHBOARD_ADMINS": "Ada@acme.example",
        "DASHBOARD_MANAGERS": "ines@acme.example, paul@acme.example, tom@acme.example",
        "MANAGER_TEAMS": TEAMS,
    }.items():
        monkeypatch.setenv(name, value)
    st.cache_resource.clear()


@pytest.fixture
def visit(login: None) -> Visit:
    """`visit("deliveries", claims("ada"))`: the page as sent to a viewer with these claims."""

    def visit(name: str, user: dict[str, Any], **query: str) -> AppTest:
        app = AppTest.from_file(str(ROOT / "dashboard" / "app.py"), default_timeout=60)
        app.user = user
        app.query_params.update(query)
        if name != "leaderboard":
            go_to(app, name)
        return app.run()

    return visit


def said(app: AppTest) -> str:
    parts = [*app.title, *app.markdown, *app.caption, *app.warning, *app.info, *app.error]
    return "\n".join(str(part.value) for part in parts)


def shows_nothing(app: AppTest) -> bool:
    return not (app.dataframe or app.metric or app.selectbox or app.text_input or app.exception)


# The table


def test_each_page_has_its_line_in_the_table() -> None:
    assert sorted(access.PAGES) == PAGES


def test_no_page_and_action_share_a_name() -> None:
    assert access.PAGES.keys().isdisjoint(access.ACTIONS)


@pytest.mark.parametrize("role", list(Role))
def test_a_page_is_shown_to_its_roles_only(visit: Visit, company: None, role: Role) -> None:
    for page in PAGES:
        app = visit(page, claims("sam", roles=[role]))
        if role in access.PAGES[page]:
            assert NOT_FOR_YOU not in said(app), page
        else:
            assert NOT_FOR_YOU in said(app), page
            assert shows_nothing(app), page


def linked(app: AppTest) -> set[str]:
    """The pages that links of a page lead to, in its words and in its tables."""
    cells = [str(cell) for table in app.dataframe for cell in table.value.to_numpy().ravel()]
    in_cells = {page for page in PAGES if any(cell.startswith(f"{page}?") for cell in cells)}
    return {link.proto.page for link in app.get("page_link")} | in_cells


LINKS: list[tuple[str, dict[str, str], set[str]]] = [
    ("leaderboard", {}, {"contests", "deliveries"}),
    ("leaderboard", {"learner": "mindtickle/u-1"}, {"contests", "deliveries", "learner"}),
    ("learner", {"id": "mindtickle/u-1"}, {"deliveries", "learner"}),
]


@pytest.mark.parametrize("role", list(Role))
def test_a_link_is_shown_only_to_roles_that_may_open_its_page(
    visit: Visit, company: None, send: Send, role: Role
) -> None:
    send("module.progress", playing.progress("u-1"), secret="rotated")
    for page, query, leads_to in LINKS:
        app = visit(page, claims("sam", roles=[role], teams=["west"]), **query)
        assert linked(app) == {one for one in leads_to if role in access.PAGES[one]}, (page, query)


@pytest.mark.parametrize(("role", "says"), [(Role.ADMIN, "The page"), (Role.MANAGER, "An admin")])
def test_where_no_delivery_was_accepted_the_page_says_who_can_see_why(
    visit: Visit, send: Send, role: Role, says: str
) -> None:
    send("module.progress", {}, secret="rotated")
    app = visit("coaching", claims("sam", roles=[role]))
    assert f"none was accepted. {says}" in said(app)


@pytest.mark.parametrize("user", [{}, claims(), claims("eve")])
def test_without_a_role_no_page_is_shown(
    visit: Visit, company: None, user: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DASHBOARD_ADMINS", "sam@acme.example")
    st.cache_resource.clear()
    for page in set(PAGES) - {"wall"}:  # a screen has no sign-in, it shows a code
        app = visit(page, user)
        assert shows_nothing(app), page
        assert [one.label for one in app.button] == ["Sign out" if user else "Sign in"], page


def in_session(call, answers):  # AppTest copies it without what it would need for types
    """A script that does one thing and keeps what comes of it."""
    try:
        answers.append(call())
    except BaseException as error:  # Streamlit's way to start a page again is one, too
        answers.append(error)


@pytest.fixture
def ask(login: None) -> Ask:
    """`ask(claims("ada"), call)`: what a call gives or raises in the session of these claims."""

    def ask(user: dict[str, Any], call: Callable[[], Any]) -> Any:
        answers: list[Any] = []
        app = AppTest.from_function(in_session, args=(call, answers), default_timeout=60)
        app.user = user
        app.run()
        return answers[-1] if answers else None

    return ask


@pytest.mark.parametrize("role", list(Role))
def test_an_action_is_refused_to_other_roles(ask: Ask, role: Role) -> None:
    for action in access.ACTIONS:
        answer = ask(claims("sam", roles=[role]), partial(access.require, action))
        assert isinstance(answer, access.Refused) is (role not in access.ACTIONS[action]), action


MISSING = Missing(V, "e-1", "e-1", "module.progress", "bad_signature", None, 1, NOON, NOON, True, 1)

WRITES: dict[str, Callable[[], None]] = {
    "replay": lambda: deliveries.ask_for_dry_run("mindtickle", None),
    "test": lambda: trials.ask_for_test("mindtickle"),
    "coach": lambda: coaching.flag([Taker("mindtickle", "u-1", "q-1")], None, None, None),
    "take_case": lambda: coaching.take([Taker("mindtickle", "u-1", "q-1")]),
    "set_threshold": lambda: coaching.set_threshold("mindtickle/q-1", 50),
    "renew_certificate": lambda: certifications.mark_renewed(Expiry(V, "u-1", "Expert", NOON)),
    "dismiss": lambda: deliveries.dismiss([MISSING]),
    "set_weights": lambda: scoring.save(rules_of([Weight("course", "", 100)])),
    "export": lambda: data.note_export("learners", 12),
    "screen": lambda: screens.pair("no code"),
    "subscribe": lambda: preferences.save(Wanted("low-quiz", "sales", "UTC")),
    "forward": lambda: forwards.send_one_again(1),
    "contest": lambda: contests.create(Draft("Sprint", TODAY, TODAY, "UTC")),
}
"""What pages write, by its action."""
WRITTEN: tuple[type[SQLModel], ...] = (
    ReplayRequest,
    Trial,
    CoachingCase,
    QuizThreshold,
    ScoreWeight,
    AuditLog,
)


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("action", sorted(WRITES))
def test_a_write_is_refused_to_other_roles_and_leaves_nothing(
    ask: Ask, store: Engine, action: str, role: Role
) -> None:
    people(store, ("u-1", "west"))
    attempts(store, {})
    fold(store, [Expired(V, "u-1", "Expert", NOON, None)])
    add(store, Notification, [{
        "rule": "quiz.low", "subject": "s", "round": "r", "recipient": "forward lms",
        "subscription_id": 0, "channel": "forward lms", "urgent": False, "state": "failed",
        "attempts": 10, "caused_at": NOON, "next_try_at": NOON, "payload": "{}",
    }])  # fmt: skip
    answer = ask(claims("sam", roles=[role], teams=["west"]), WRITES[action])
    left = sum(stores.count(store, table) for table in WRITTEN)
    if role in access.ACTIONS[action]:
        assert not isinstance(answer, Exception)
        assert left > 0
    else:
        assert isinstance(answer, access.Refused)
        assert left == 0


@pytest.mark.parametrize(("name", "shown"), [("ada", True), ("ines", False)])
def test_the_first_page_has_the_button_that_sends_a_test_for_admins_only(
    visit: Visit, store: Engine, name: str, shown: bool
) -> None:
    note_vendors(store, ReceiverSettings(_env_file=None, lessonly_authorization="a-value"))
    page = visit("leaderboard", claims(name))
    assert "Waiting for the first delivery" in said(page)
    assert ("test_lessonly" in [one.key for one in page.button]) is shown


def test_what_is_written_names_who_did_it(ask: Ask, store: Engine) -> None:
    attempts(store, {})
    fold(store, [Expired(V, "u-1", "Expert", NOON, None)])
    for write in WRITES.values():
        ask(claims("sam", roles=[Role.ADMIN]), write)
    sam = "sam@acme.example"
    assert stores.row(store, ReplayRequest).requested_by == sam
    assert stores.row(store, Trial).asked_by == sam
    assert stores.row(store, CoachingCase).opened_by == sam
    assert {one.actor for one in stores.rows(store, AuditLog)} == {sam}


def calls(name: str) -> list[tuple[str, ast.Call]]:
    """Each call of a function of this name in the dashboard, with its file. `st.x` is none of
    ours, nor is a method of what has no name."""
    return [
        (path.name, node)
        for path in sorted((ROOT / "dashboard").rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in (name, f"store.{name}")
    ]


def test_whatever_writes_names_an_action_of_the_table_and_is_tried_above() -> None:
    # `write` of address.py writes the address of the page.
    written = [call for file, call in calls("write") if file != "address.py"]
    named = {ast.literal_eval(call.args[0]) for call in written}
    assert named == WRITES.keys() == access.ACTIONS.keys()


def test_only_the_store_opens_connections_and_only_kept_reads_are_cached() -> None:
    at_start = "__main__.py"  # checks the store before it serves any page
    assert {file for file, _ in calls("open_engine")} == {"store.py", at_start}
    assert {file for file, _ in calls("st.cache_data")} == {"store.py"}


# Who is asking


@pytest.mark.parametrize(
    "user",
    [
        {},
        claims(is_logged_in=False),
        claims(is_logged_in="true"),
        claims(exp=int(time.time()) - 1),
        claims(exp=None),
        claims(exp="tomorrow"),
        claims(iat=None),
        claims(iat=int(time.time()) - 12 * 3600),
    ],
)
def test_without_a_sign_in_that_still_holds_there_is_no_viewer(
    ask: Ask, user: dict[str, Any]
) -> None:
    assert ask(user, viewer) is None


@pytest.mark.parametrize(
    ("user", "roles"),
    [
        (claims("ada"), {Role.ADMIN}),
        (claims("ada", email="ADA@Acme.Example"), {Role.ADMIN}),
        (claims("ada", email_verified=False), set()),
        (claims("ada", email_verified=None), set()),
        (claims("ada", email_verified="false"), set()),
        (claims("ada", email="ada@acme.example.evil.example"), set()),
        (claims("ada", email=["ada@acme.example"]), set()),
        (claims("tim", email="ınes@acme.example"), set()),  # a dotless i
        (claims("kim", email="\u212aim@acme.example"), set()),  # the sign of kelvin
        (claims("eve", roles="lead"), {Role.LEAD}),
        (claims("eve", roles=["lead", "manager", "cook"]), {Role.LEAD, Role.MANAGER}),
        (claims("eve", roles=["Admin", "admin "]), set()),
        (claims("eve", roles={"admin": True}), set()),
        (claims("eve", roles=True), set()),
        (claims("eve", role="admin"), set()),
        (claims("ada", roles="lead"), {Role.ADMIN, Role.LEAD}),
    ],
)
def test_a_role_comes_from_the_claim_or_a_verified_address(
    ask: Ask, user: dict[str, Any], roles: set[Role]
) -> None:
    assert ask(user, viewer).roles == roles


@pytest.mark.parametrize(
    ("user", "teams"),
    [
        (claims("ines"), ("east",)),
        (claims("paul"), ("north", "west")),
        (claims("paul", email_verified=False, roles="manager"), ()),
        (claims("tom"), ()),
        (claims("tom", teams="south"), ("south",)),
        (claims("ines", teams=["south", 3]), ("east", "south")),
        (claims("ines", roles="lead"), None),
        (claims("ada"), None),
    ],
)
def test_a_manager_is_limited_to_named_teams_and_to_none_if_none_is_named(
    ask: Ask, user: dict[str, Any], teams: tuple[str, ...] | None
) -> None:
    assert ask(user, viewer).teams == teams


def test_without_any_named_teams_a_manager_sees_all(
    ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MANAGER_TEAMS", "")
    monkeypatch.setenv("OIDC_TEAMS_CLAIM", "")
    assert ask(claims("ines"), viewer).teams is None


def test_who_has_no_verified_address_is_written_down_by_the_providers_own_id(ask: Ask) -> None:
    user = claims("7f3a", email="ada@acme.example", email_verified=False, roles="admin")
    assert ask(user, data.actor) == "7f3a"
    assert ask(claims("ada"), data.actor) == "ada@acme.example"


def test_without_a_login_each_viewer_is_admin(open_page: Open, company: None) -> None:
    page = open_page("deliveries")
    assert "Local mode: no sign-in, full access. Only this machine is served." in said(page)
    assert viewer() == Viewer("dashboard", frozenset({Role.ADMIN}))


# The people that they see


@pytest.mark.parametrize(
    ("name", "asked", "seen"),
    [
        ("ines", None, ("east",)),
        ("ines", ("east",), ("east",)),
        ("ines", ("west",), ()),
        ("paul", ("east", "west"), ("west",)),
        ("tom", None, ()),
        ("ada", None, None),
        ("ada", ("west",), ("west",)),
    ],
)
def test_a_question_is_narrowed_to_people_that_the_viewer_may_see(
    ask: Ask, name: str, asked: tuple[str, ...] | None, seen: tuple[str, ...] | None
) -> None:
    narrowed = ask(claims(name), lambda: access.who(Who(teams=asked, vendor="mindtickle")))
    assert narrowed == Who(teams=seen, vendor="mindtickle")


def people_of_the_filters() -> Who:
    return filters.who(filters.by_team(), filters.by_vendor())


@pytest.mark.parametrize(
    ("name", "options", "people"), [("ines", ["east"], 1), ("paul", ["west"], 2), ("ada", None, 3)]
)
def test_two_managers_are_offered_and_told_of_their_own_teams_only(
    ask: Ask, store: Engine, company: None, name: str, options: list[str] | None, people: int
) -> None:
    assert ask(claims(name), data.teams) == (options or ["east", "west"])
    asked = ask(claims(name), people_of_the_filters)
    with store.connect() as connection:
        assert catalog.learners(connection, asked) == people


def test_a_team_in_the_address_that_is_not_the_managers_own_shows_no_learner(
    login: None, company: None
) -> None:
    answers: list[Any] = []
    asked = (people_of_the_filters, answers)
    app = AppTest.from_function(in_session, args=asked, default_timeout=60)
    app.user = claims("ines")
    app.query_params["team"] = "west"
    app.run()
    assert answers[-1].teams == ("east",)  # west is no option of theirs, so nothing is chosen


@pytest.mark.parametrize(("name", "shown"), [("ines", True), ("tom", True), ("ada", False)])
def test_who_is_limited_to_teams_is_told_that_failures_are_counted_over_all(
    visit: Visit, company: None, send: Send, name: str, shown: bool
) -> None:
    send("module.progress", playing.progress("u-1"), secret="rotated")
    app = visit("leaderboard", claims(name))
    notices = [*(one.value for one in app.markdown), *(one.label for one in app.get("page_link"))]
    (notice,) = [one for one in notices if "1 event missing since" in one]
    assert (", counted over all teams" in notice) is shown


@pytest.mark.parametrize(("name", "people"), [("ines", 1), ("paul", 2), ("tom", 0), ("ada", 3)])
def test_the_learners_are_counted_of_those_whom_the_viewer_may_see(
    visit: Visit, company: None, name: str, people: int
) -> None:
    assert f"· {number_of(people, 'learner')} ·" in said(visit("leaderboard", claims(name)))


@pytest.mark.parametrize("page", ["leaderboard", "learner"])
def test_a_rehired_person_is_shown_to_the_manager_of_the_new_team_only(
    visit: Visit, company: None, send: Send, page: str
) -> None:
    with send.at_once():
        send("user.deprovisioned", {"userId": "u-1", "email": "dana@acme.example"}, 30)
        provision(send, "u-9", "dana@acme.example", "east")
    query = {"leaderboard": {}, "learner": {"id": "mindtickle/u-1"}}[page]
    east, west = (everything(visit(page, claims(name), **query)) for name in ("ines", "paul"))
    assert "dana@" in east
    assert "dana@" not in west


# What outlasts a sign-in


OTHERS = {
    "ines": ("dana@", "paul@", "west"),
    "paul": ("ines@", "east"),
    "tom": ("dana@", "paul@", "ines@", "west", "east"),
}
"""What a manager is not to see of the company."""


def everything(app: AppTest) -> str:
    """Words, choices and cells of a page, without the viewer's name and what the link asks for."""
    own = ("Signed in as", "The link asks for team")
    lines = [line for line in said(app).splitlines() if not line.startswith(own)]
    lines += [one.value for one in app.header]
    lines += [str(one.options) for one in app.selectbox]
    return " ".join([*lines, *(one.value.to_csv() for one in app.dataframe)]).lower()


LIMITED: list[tuple[str, dict[str, str]]] = [
    ("leaderboard", {}),
    ("leaderboard", {"board": "teams"}),
    ("leaderboard", {"team": "west"}),
    ("leaderboard", {"learner": "mindtickle/u-1"}),
    ("certifications", {}),
    ("certifications", {"view": "courses"}),
    ("learner", {"find": "acme"}),
    ("learner", {"id": "mindtickle/u-1"}),
]


@pytest.mark.parametrize("manager", OTHERS)
def test_two_managers_see_different_teams_on_every_page_and_by_every_link(
    visit: Visit, company: None, send: Send, manager: str
) -> None:
    with send.at_once():
        for user in ("u-1", "u-2", "u-3"):
            send("certification.expired", {"userId": user, "certName": "Demo"})
            send(
                "course.completed", {"userId": user, "courseId": "c-1", "courseName": "Onboarding"}
            )
    for page, query in LIMITED:
        app = visit(page, claims(manager), **query)
        assert not app.exception, (page, query)
        seen = everything(app)
        assert not [word for word in OTHERS[manager] if word in seen], (page, query)


def test_an_admin_sees_what_is_kept_from_managers(visit: Visit, company: None) -> None:
    seen = everything(visit("leaderboard", claims("ada")))
    assert [word for word in OTHERS["tom"] if word not in seen] == []


def test_what_is_cached_is_given_only_to_signed_in_viewers(ask: Ask, company: None) -> None:
    assert ask(claims("ada"), lambda: data.query(catalog.newest_event_at)) is not None
    asked = (
        lambda: data.query(catalog.newest_event_at),
        lambda: data.query_now(catalog.newest_event_at),
        lambda: data.query_seldom(catalog.newest_event_at),
        lambda: data.query_fresh(catalog.newest_event_at),
        data.version,
        data.teams,
    )
    for read in asked:
        assert isinstance(ask({}, read), RerunException)  # to where one can sign in


def careless(connection: Connection) -> Who:
    return access.who(Who())


def test_what_is_kept_for_all_sessions_cannot_depend_on_who_asks_first(ask: Ask) -> None:
    answer = ask(claims("ines"), lambda: data.query(careless))
    assert isinstance(answer, RuntimeError)
    assert not isinstance(answer, access.Refused)


def test_the_documents_say_what_the_table_says() -> None:
    written = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (page|action) `(.+)` \|(.*)\|(.*)\|(.*)\|$", written, re.MULTILINE)
    said = {
        (kind, name): {role for role, cell in zip(Role, cells, strict=True) if cell.strip()}
        for kind, name, *cells in rows
    }
    pages = {("page", name): set(roles) for name, roles in access.PAGES.items()}
    actions = {("action", name): set(roles) for name, roles in access.ACTIONS.items()}
    assert said == pages | actions


@pytest.mark.parametrize(
    ("role", "shown"), [(Role.MANAGER, False), (Role.LEAD, True), (Role.ADMIN, True)]
)
def test_notes_and_owner_of_coaching_reach_only_roles_that_coach(
    ask: Ask, company: None, store: Engine, role: Role, shown: bool
) -> None:
    cases(store, {"owner": "Lea", "notes": "Struggles at home"})
    user = claims("sam", roles=[role], teams=["west"])
    frame = ask(user, lambda: learner.cases("dana@acme.example", "UTC"))
    assert frame["status"].tolist() == ["open"]
    assert ("Struggles at home" in frame.to_csv(), "Lea" in frame.to_csv()) == (shown, shown)


@pytest.mark.parametrize("role", list(Role))
def test_what_is_kept_for_one_role_of_coaching_is_not_given_to_another(
    visit: Visit, company: None, store: Engine, role: Role
) -> None:
    cases(store, {"owner": "Lea", "notes": "Struggles at home"})
    for one in (Role.LEAD, role):  # the lead first: what is kept for one is there for the next
        app = visit("learner", claims("x", roles=[one], teams=["west"]), id="mindtickle/u-1")
    assert not app.exception
    assert ("struggles" in everything(app)) is (role in access.ACTIONS["coach"])


def test_a_file_is_made_later_for_the_viewer_of_the_page_only_while_they_may(
    ask: Ask, store: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = claims("ada")
    later = ask(user, lambda: data.as_the_viewer(lambda: data.note_export("learners", 3)))
    assert stores.count(store, AuditLog) == 0  # drawing the page takes nothing out
    later()
    assert stores.row(store, AuditLog).actor == "ada@acme.example"
    monkeypatch.setenv("DASHBOARD_ADMINS", "someone-else@acme.example")
    st.cache_resource.clear()
    with pytest.raises(access.Refused):
        later()
