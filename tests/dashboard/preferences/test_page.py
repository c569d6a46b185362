"""The page on which each person chooses what they are told."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Engine
from streamlit.testing.v1 import AppTest

from dashboard.audit import words
from shared.models import AuditLog, Channel, Forwarding, Notification, Subscription
from shared.subscriptions import Wanted, save
from tests import stores
from tests.dashboard.test_access import Visit, claims, login, visit
from tests.pages import rows, written
from tests.shared.tables import add

__all__ = ["login", "visit"]

AT = datetime(2025, 11, 24, 9, tzinfo=UTC)
INES = "ines@acme.example"


@pytest.fixture
def channel(store: Engine) -> None:
    add(store, Channel, [{"name": "sales_west", "kind": "Slack", "removed": False}])


def subscribe(store: Engine, person: str = INES, role: str = "manager") -> Any:
    with store.begin() as connection:
        save(connection, person, role, ("east",), Wanted("weekly", "sales_west", "Europe/Berlin"))
    return stores.row(store, Subscription, person=person)


def click(app: AppTest, label: str) -> AppTest:
    (button,) = [one for one in app.button if one.label == label]
    return button.click().run()


def offered(app: AppTest) -> Sequence[str]:
    return app.selectbox(key="rule").options


def said(store: Engine) -> list[str]:
    return [words.sentence(row, None, {}) for row in stores.rows(store, AuditLog)]


@pytest.mark.usefixtures("company")
def test_without_a_channel_the_page_says_what_to_set(visit: Visit) -> None:
    app = visit("preferences", claims("ines"))
    assert "No channel is set up" in written(app)
    assert not app.selectbox


@pytest.mark.usefixtures("channel")
def test_before_the_first_event_a_manager_can_subscribe(visit: Visit) -> None:
    assert "Weekly digest" in offered(visit("preferences", claims("ines")))


@pytest.mark.usefixtures("company", "channel")
def test_a_manager_subscribes_for_their_teams_and_sees_the_next_run(
    visit: Visit, store: Engine
) -> None:
    app = visit("preferences", claims("ines"))
    app.selectbox(key="rule").set_value("weekly").run()
    app.selectbox(key="hour").set_value(8).run()
    assert app.selectbox(key="numbers").options == ["1,234.5", "1.234,5", "1\u202f234,5"]
    app.selectbox(key="numbers").set_value("point").run()
    app = click(app, "Subscribe")
    assert not app.exception
    row = stores.row(store, Subscription)
    assert (row.person, row.role, row.teams, row.hour) == (INES, "manager", '["east"]', 8)
    assert row.numbers == "point"
    assert "Mon " in written(app)
    assert "08\\:00 UTC" in written(app)
    assert said(store) == [f"{INES} subscribed to Weekly digest: sales_west, 8:00 UTC"]


@pytest.mark.usefixtures("company", "channel")
@pytest.mark.parametrize(("name", "may"), [("ines", False), ("ada", True)])
def test_a_role_is_offered_its_own_rules(visit: Visit, name: str, may: bool) -> None:
    assert ("Deliveries" in offered(visit("preferences", claims(name)))) is may


@pytest.mark.usefixtures("company", "channel")
def test_a_person_sees_tests_and_ends_only_their_own_subscriptions(
    visit: Visit, store: Engine
) -> None:
    subscribe(store, "paul@acme.example")
    subscribe(store)
    app = click(visit("preferences", claims("ines")), "Send a test")
    row = stores.row(store, Notification)
    assert (row.rule, row.state) == ("test", "waiting")
    assert [one["shown"] for one in rows(app, "shown")] == ["Waiting"]
    click(app, "Stop")
    assert [row.person for row in stores.rows(store, Subscription)] == ["paul@acme.example"]


@pytest.mark.usefixtures("company", "channel")
def test_a_channel_that_refuses_messages_says_so(visit: Visit, store: Engine) -> None:
    add(
        store,
        Channel,
        [{"name": "old", "kind": "JSON", "removed": False, "problem": "the server answered 410"}],
    )
    assert "the server answered 410" in written(visit("preferences", claims("ines")))


@pytest.mark.usefixtures("company", "channel")
@pytest.mark.parametrize(("label", "left"), [("Stop these messages", 0), ("Pause for a week", 1)])
def test_a_link_of_a_message_works_with_a_click_and_without_a_sign_in(
    visit: Visit, store: Engine, label: str, left: int
) -> None:
    token = subscribe(store).token
    app = visit("preferences", {"is_logged_in": False}, subscription=token)
    assert stores.row(store, Subscription).snoozed_until is None  # a preview of a link does nothing
    app = click(app, label)
    assert not app.exception
    kept = stores.rows(store, Subscription)
    assert len(kept) == left
    assert all(row.snoozed_until is not None for row in kept)
    assert ("has ended" in written(app)) is (not left)


@pytest.mark.usefixtures("company", "channel")
def test_a_guessed_link_shows_nothing(visit: Visit, store: Engine) -> None:
    subscribe(store)
    app = visit("preferences", {"is_logged_in": False}, subscription="guess")
    assert "has ended" in written(app)
    assert "Weekly" not in written(app)


def forward(store: Engine, **more: Any) -> None:
    add(store, Forwarding, [{"target": "lms", "type": "quiz.low", "since": AT}])
    usual = {"rule": "quiz.low", "subject": "s", "round": "r", "recipient": "forward lms",
             "subscription_id": 0, "channel": "forward lms", "urgent": False, "state": "failed",
             "attempts": 10, "caused_at": AT, "next_try_at": AT, "payload": "{}",
             "error": "the server answered 500"}  # fmt: skip
    add(store, Notification, [usual | more])


@pytest.mark.usefixtures("company", "channel")
def test_an_admin_sees_forwards_and_sends_one_again(visit: Visit, store: Engine) -> None:
    forward(store)
    app = visit("preferences", claims("ada"))
    (row,) = rows(app, "what")
    assert (row["shown"], row["attempts"], row["to"]) == ("Failed", 10, "lms")
    app = click(app, "Send again")
    assert not app.exception
    found = stores.row(store, Notification)
    assert (found.state, found.attempts) == ("waiting", 0)
    assert said(store) == ["ada@acme.example sent forward 1 again: quiz.low, forward lms"]


@pytest.mark.usefixtures("company", "channel")
def test_a_manager_sees_no_forwards(visit: Visit, store: Engine) -> None:
    forward(store)
    assert "Forwards" not in written(visit("preferences", claims("ines")))


def low_quiz(store: Engine, person: str) -> None:
    """A message about u-1 was sent to this person."""
    add(store, Notification, [{
        "rule": "low-quiz", "subject": "mindtickle/u-1/q-1", "round": "r",
        "recipient": f"{person} via sales_west", "subscription_id": 1, "channel": "sales_west",
        "vendor": "mindtickle", "user_id": "u-1", "urgent": False, "state": "sent",
        "attempts": 1, "caused_at": AT, "next_try_at": AT, "sent_at": AT,
    }])  # fmt: skip


@pytest.mark.usefixtures("company")
@pytest.mark.parametrize(
    ("name", "to"),
    [
        ("ada", ["lea@acme.example via sales_west"]),
        ("paul", ["a colleague via sales_west"]),
        ("ines", []),
    ],
)
def test_on_a_learner_stands_what_was_sent_about_them_to_whom_by_role(
    visit: Visit, store: Engine, name: str, to: list[str]
) -> None:
    low_quiz(store, "lea@acme.example")
    app = visit("learner", claims(name), id="mindtickle/u-1")
    assert [row["to"] for row in rows(app, "what")] == to


@pytest.mark.usefixtures("company")
def test_on_deliveries_stand_the_alerts(visit: Visit, store: Engine) -> None:
    now = datetime.now(UTC)
    low_quiz(store, "ada@acme.example")
    add(store, Notification, [{
        "rule": "deliveries", "subject": "mindtickle", "round": "r", "channel": "sales_west",
        "recipient": "ada@acme.example via sales_west", "subscription_id": 1, "urgent": True,
        "state": "sent", "attempts": 1, "caused_at": now, "next_try_at": now, "sent_at": now,
    }])  # fmt: skip
    app = visit("deliveries", claims("ada"), view="alerts")
    (row,) = rows(app, "what")
    assert (row["what"], row["to"]) == ("Deliveries", "ada@acme.example via sales_west")
