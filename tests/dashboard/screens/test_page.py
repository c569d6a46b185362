"""The page that pairs and revokes screens."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from sqlalchemy import Engine
from streamlit.testing.v1 import AppTest

from dashboard.audit import words
from shared.models import AuditLog, Screen
from shared.screens import TRIES, confirm, hash_of, wait
from tests import stores
from tests.dashboard.conftest import Open
from tests.dashboard.test_access import Visit, claims, login, visit
from tests.pages import written

__all__ = ["login", "visit"]

ADA, INES, PAUL = (f"{name}@acme.example" for name in ("ada", "ines", "paul"))
Ask = Callable[[str], str]


@pytest.fixture
def waiting(store: Engine) -> Ask:
    """`waiting("tv")`: the code of a screen."""

    def ask(token: str) -> str:
        with store.begin() as connection:
            code = wait(connection, hash_of(token), datetime.now(UTC))
        assert code
        return code

    return ask


@pytest.fixture
def paired(store: Engine, waiting: Ask) -> Callable[[str], None]:
    """`paired(INES)`: a screen that this person has paired."""

    def pair(by: str) -> None:
        code = waiting(by)
        with store.begin() as connection:
            confirm(connection, by, code, ("east",), datetime.now(UTC))

    return pair


def enter(app: AppTest, code: str) -> AppTest:
    app.text_input(key="screen_code").set_value(code)
    (button,) = [one for one in app.button if one.label == "Pair"]
    return button.click().run()


def said(store: Engine) -> list[str]:
    """The audit log in sentences."""
    return [words.sentence(row, None, {}) for row in stores.rows(store, AuditLog)]


@pytest.mark.usefixtures("company")
def test_a_manager_pairs_a_screen_for_their_teams(
    visit: Visit, store: Engine, waiting: Ask
) -> None:
    app = enter(visit("screens", claims("ines")), waiting("tv"))
    assert not app.exception
    assert [one.value[:6] for one in app.success] == ["Paired"]
    row = stores.row(store, Screen)
    assert (row.confirmed_by, row.teams) == (INES, '["east"]')
    assert f"Screen {row.id}" in written(app)
    assert app.text_input(key="screen_code").value == ""
    assert said(store) == [f"{INES} paired screen {row.id} for team east"]


@pytest.mark.usefixtures("company")
def test_after_five_wrong_codes_the_right_one_is_refused_too(
    visit: Visit, store: Engine, waiting: Ask
) -> None:
    right = waiting("tv")
    app = visit("screens", claims("ada"))
    for _ in range(TRIES):
        app = enter(app, "no code")
        assert [one.value[:9] for one in app.error] == ["No screen"]
    app = enter(app, right)
    assert [one.value[:8] for one in app.error] == ["Too many"]
    assert stores.row(store, Screen).confirmed_by is None
    assert said(store)[TRIES - 1 :] == [
        f"{ADA} entered a wrong code of a screen",
        f"{ADA} may enter no more codes of screens for now: 5 wrong codes in 10 minutes",
    ]


@pytest.mark.usefixtures("company")
def test_a_manager_sees_and_revokes_only_screens_that_they_paired(
    visit: Visit, store: Engine, paired: Callable[[str], None]
) -> None:
    for person in (INES, PAUL):
        paired(person)
    app = visit("screens", claims("ines"))
    text = written(app)
    assert "ines" in text
    assert "paul" not in text
    (revoke,) = [one for one in app.button if one.label == "Revoke"]
    app = revoke.click().run()
    assert not app.exception
    assert [row.confirmed_by for row in stores.rows(store, Screen)] == [PAUL]
    assert said(store)[-1].startswith(f"{INES} revoked screen")


@pytest.mark.usefixtures("company")
def test_an_admin_revokes_the_screen_of_another_person(
    visit: Visit, store: Engine, paired: Callable[[str], None]
) -> None:
    paired(INES)
    app = visit("screens", claims("ada"))
    (revoke,) = [one for one in app.button if one.label == "Revoke"]
    revoke.click().run()
    assert stores.count(store, Screen) == 0


@pytest.mark.usefixtures("company")
def test_without_a_login_there_is_nothing_to_pair(open_page: Open) -> None:
    app = open_page("screens")
    assert "Local mode: the wall needs no pairing" in written(app)
    assert not app.text_input
