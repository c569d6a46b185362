"""Coaching as a manager has it: of their own teams, and cases that they take."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import pytest
from sqlalchemy import Engine
from streamlit.testing.v1 import AppTest

from dashboard import access
from dashboard.base.pieces import plain
from dashboard.coaching import data
from shared import coaching
from shared.models import AuditLog, CoachingCase, Notification
from shared.queries.coaching_states import OTHER_OWNER
from shared.queries.quiz_standings import Taker
from tests import stores
from tests.dashboard.coaching.test_page import flag, heading, listed, quiz, save
from tests.dashboard.conftest import Send
from tests.dashboard.test_access import Ask, Visit, ask, claims, everything, login, said, visit
from tests.shared.tables import add

__all__ = ["ask", "login", "visit"]

DANA = Taker("mindtickle", "u-1", "q-1")  # of west, as Paul manages
INES = Taker("mindtickle", "u-2", "q-1")
MO = "paul@acme.example"


@pytest.fixture(autouse=True)
def low(company: None, send: Send) -> None:
    """One learner of each team has failed; in east they have failed another quiz, too."""
    with send.at_once():
        for user, team in (("u-1", "west"), ("u-2", "east")):
            address = "dana" if user == "u-1" else "ines"
            send("user.provisioned", {"userId": user, "email": f"{address}@acme.example",
                                      "role": "rep", "teamId": team}, 30)  # fmt: skip
            send("quiz.submitted", quiz(user, 4), days_ago=2)
        send("quiz.submitted", quiz("u-2", 3, "q-2", quizName="Of east alone"), days_ago=2)


def case(store: Engine) -> Any:
    return stores.row(store, CoachingCase)


def log(store: Engine) -> list[tuple[str, str]]:
    return [(row.actor, row.action) for row in stores.rows(store, AuditLog)]


def test_a_manager_sees_who_needs_coaching_in_their_teams_only(visit: Visit) -> None:
    page = visit("coaching", claims("paul"))
    assert [row["learner"] for row in listed(page)] == ["dana@acme.example"]
    assert heading(page).startswith("Coach 1 person today, dana@")
    seen = everything(page)
    assert not [word for word in ("ines@", "east") if word in seen]
    assert len(listed(visit("coaching", claims("ada")))) == 3


def test_a_manager_without_teams_sees_no_learner_and_no_quiz(visit: Visit) -> None:
    page = visit("coaching", claims("tom"))
    assert "No graded quiz of your teams yet." in said(page)
    assert not page.dataframe


def test_a_manager_takes_a_case_with_a_due_date(visit: Visit, store: Engine) -> None:
    page = visit("coaching", claims("paul"), item="mindtickle/u-1/q-1")
    page.button(key="take_item").click().run()
    row = case(store)
    assert (row.owner, row.opened_by, row.user_id) == (MO, MO, "u-1")
    assert row.due == coaching.due_from(date.today())  # noqa: DTZ011 (the page's clock is UTC here)
    assert log(store) == [(MO, "flag")]
    (row,) = listed(visit("coaching", claims("paul"), queue="progress"))
    assert (row["owner"], row["stands"]) == ("you", "flagged")


def test_a_manager_closes_their_own_case_with_a_reason(
    visit: Visit, ask: Ask, store: Engine
) -> None:
    ask(claims("paul"), lambda: data.take([DANA]))
    page = visit("coaching", claims("paul"), item="mindtickle/u-1/q-1")
    assert not page.text_area  # no notes
    next(one for one in page.selectbox if one.label == "Status").select("dismissed")
    next(one for one in page.text_input if one.label == "Reason").set_value("on leave")
    save(page)
    row = case(store)
    assert (row.status, row.outcome, row.owner) == ("dismissed", "on leave", MO)
    assert log(store) == [(MO, "flag"), (MO, "dismiss")]


def test_a_lead_gives_a_case_to_a_configured_manager(visit: Visit, store: Engine) -> None:
    page = visit("coaching", claims("ada"), item="mindtickle/u-1/q-1")
    owner = next(one for one in page.selectbox if one.label == "Owner" and "owner_" in one.key)
    assert {MO, "ines@acme.example", "ada@acme.example"} <= set(owner.options)
    owner.select(MO)
    save(page)
    assert case(store).owner == MO
    (row,) = listed(visit("coaching", claims("paul"), queue="progress"))
    assert row["owner"] == "you"


@pytest.mark.parametrize(
    ("typed", "owner"),
    [(" Paul@Acme.example ", MO), ("Dana Brooks", "Dana Brooks"), (" ", None), (None, None)],
)
def test_the_address_of_an_owner_is_spelt_as_their_sign_in(
    typed: str | None, owner: str | None
) -> None:
    assert data.owner_of(typed) == owner


def test_a_manager_reads_that_a_case_was_closed(visit: Visit, ask: Ask) -> None:
    def dismiss() -> None:
        (case_id,) = data.flag([DANA], "ines@acme.example", None, None).new
        data.change(case_id, 1, {"status": "dismissed", "outcome": "on leave"})

    ask(claims("ada"), dismiss)
    assert "This case was closed." in said(
        visit("coaching", claims("paul"), item="mindtickle/u-1/q-1")
    )


def test_a_manager_hands_a_case_back(visit: Visit, ask: Ask, store: Engine) -> None:
    ask(claims("paul"), lambda: data.take([DANA]))
    page = visit("coaching", claims("paul"), item="mindtickle/u-1/q-1")
    next(one for one in page.button if one.label == "Hand back").click()
    page.run()
    assert (case(store).owner, case(store).status) == (None, "open")


def test_of_a_leads_case_a_manager_sees_its_state_and_neither_owner_nor_notes(
    visit: Visit, store: Engine
) -> None:
    flag(store, owner="Ines the lead", notes="private words")
    for query in ({"queue": "progress"}, {"item": "mindtickle/u-1/q-1"}):
        page = visit("coaching", claims("paul"), **query)
        assert not page.exception
        seen = everything(page) + str([one.value for one in page.text_area])
        assert not [word for word in ("ines the lead", "private") if word in seen.lower()]
    assert "A colleague owns this case." in said(page)
    (row,) = listed(visit("coaching", claims("paul"), queue="progress"))
    assert (row["owner"], row["stands"]) == (OTHER_OWNER, "flagged")


def test_an_item_of_another_team_opens_nothing(visit: Visit) -> None:
    page = visit("coaching", claims("paul"), item="mindtickle/u-2/q-1")
    assert not page.exception
    assert not [one for one in page.button if one.key == "take_item"]
    assert "ines" not in everything(page)


@pytest.mark.parametrize("asked", ["flag", "change", "thresholds"])
def test_a_dialog_of_leads_does_not_open_for_a_manager(visit: Visit, asked: str) -> None:
    page = visit("coaching", claims("paul"))
    page.session_state["coaching_asked"] = (asked, {INES: "Ines"})
    page.run()
    assert not page.exception
    assert not page.slider
    assert not [one for one in page.text_area if one.label == "Notes"]


CASE = 1
GUESSES: dict[str, Callable[[], Any]] = {
    "take": lambda: data.take([INES]),
    "status": lambda: data.change(CASE, 1, {"status": "resolved"}),
    "due": lambda: data.change(CASE, 1, {"due": date(2030, 1, 1)}),
    "owner": lambda: data.change(CASE, 1, {"owner": None}),
    "own": lambda: data.change_own(CASE, 1, {"status": "in_progress"}),
    "flag": lambda: data.flag([INES], MO, None, None),
    "several": lambda: data.change_all({CASE: 1}, {"status": "resolved"}),
    "threshold": lambda: data.set_threshold("mindtickle/q-1", 5),
    "read": lambda: data.item(INES, "UTC"),
}
"""What a manager of west may try with a case of east, whose id is easily guessed."""


@pytest.mark.parametrize("owner", [None, MO, "lead"])
@pytest.mark.parametrize("guess", GUESSES)
def test_no_action_reaches_another_teams_case_by_its_id(
    ask: Ask, store: Engine, guess: str, owner: str | None
) -> None:
    flag(store, INES, owner=owner)
    before = case(store), log(store)
    answer = ask(claims("paul"), GUESSES[guess])
    assert (case(store), log(store)) == before
    if guess in ("flag", "several", "threshold"):
        assert isinstance(answer, access.Refused)
    elif guess == "take":
        assert answer == ([], {INES: coaching.NOT_THERE})
    elif guess == "read":
        assert answer is None
    else:
        assert isinstance(answer, coaching.Impossible)
        assert str(answer) == coaching.NOT_THERE


def test_a_manager_of_all_teams_sees_them_all(
    visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MANAGER_TEAMS", "")
    monkeypatch.setenv("OIDC_TEAMS_CLAIM", "")
    page: AppTest = visit("coaching", claims("paul"))
    assert len(listed(page)) == 3


def test_beside_an_item_stands_who_got_a_message_about_it(visit: Visit, store: Engine) -> None:
    now = datetime.now(UTC)
    add(store, Notification, [{
        "rule": "low-quiz", "subject": "mindtickle/u-1/q-1", "round": "r", "channel": "sales",
        "recipient": f"{MO} via sales", "subscription_id": 1, "vendor": "mindtickle",
        "user_id": "u-1", "urgent": False, "state": "sent", "attempts": 1, "caused_at": now,
        "next_try_at": now, "sent_at": now,
    }])  # fmt: skip
    assert plain(f"Sent to {MO} via sales") in said(visit("coaching", claims("paul")))
