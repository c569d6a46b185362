"""People by name, by initials, or anonymously."""

from pathlib import Path

import pandas as pd
import pytest
import streamlit as st
from sqlalchemy import Engine

from dashboard.base import people
from dashboard.base.people import shown_as
from shared import coaching
from shared.facts import Provisioned
from shared.naming import initials
from shared.queries.quiz_standings import Taker
from tests import playing
from tests.dashboard.conftest import Open, Send
from tests.hostile import CORPUS
from tests.shared.tables import LONG_AGO, V, fold

DANA = ("Dana Brooks", "dana@acme.example", "mindtickle/u-1")
INES = (None, "ines.ko@acme.example", "mindtickle/u-2")
UNNAMED = (None, None, "mindtickle/u-9")
EVERYONE = (DANA, INES, UNNAMED)


@pytest.fixture(autouse=True)
def keyed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NAMES_KEY", "a-key-of-this-installation")
    st.cache_resource.clear()


def test_in_full_a_person_has_a_name_or_an_address_or_is_unknown_by_id() -> None:
    seen = [shown_as(*one, "full") for one in EVERYONE]
    assert seen == ["Dana Brooks", "ines.ko@acme.example", "Learner u-9 (no name)"]


def test_initials_are_of_the_name_or_else_of_the_address() -> None:
    assert [shown_as(*one, "initials") for one in EVERYONE] == ["D. B.", "I. K.", "no name"]


def test_anonymous_names_are_stable_and_one_for_each_person() -> None:
    seen = [shown_as(*one, "anonymous") for one in EVERYONE]
    assert len(set(seen)) == 3
    assert seen == [shown_as(*one, "anonymous") for one in EVERYONE]


def test_another_installation_gives_other_anonymous_names(monkeypatch: pytest.MonkeyPatch) -> None:
    before = shown_as(*DANA, "anonymous")
    monkeypatch.setenv("NAMES_KEY", "another-key-of-another")
    st.cache_resource.clear()
    assert shown_as(*DANA, "anonymous") != before


@pytest.mark.parametrize("how", ["initials", "anonymous"])
@pytest.mark.parametrize("name", CORPUS.values(), ids=CORPUS)
def test_whatever_a_name_is_it_is_shown_as_something_short(how: people.Names, name: str) -> None:
    seen = shown_as(name, None, f"mindtickle/{name}", how)
    assert len(seen) <= 20
    assert all(one.isalnum() or one in " ." for one in seen)


@pytest.mark.parametrize(
    ("name", "short"),
    [
        ("Dana", "D."),
        ("Ana María de la Cruz", "A. C."),
        ("élodie-anne", "É. A."),
        ("dana_brooks2@acme.example", "D. B."),
        ("12", "no name"),
        ("", "no name"),
        (None, "no name"),
    ],
)
def test_initials_of_one_name(name: str | None, short: str) -> None:
    assert initials(name) == short


PAGES = ("leaderboard", "coaching", "certifications", "learner")


@pytest.fixture
def failing(send: Send, store: Engine) -> None:
    """Dana Brooks, alone in team west, who gained, failed a quiz and lost a certificate."""
    fold(store, [Provisioned(V, "u-1", DANA[1], DANA[0], "rep", "west", LONG_AGO)])
    with send.at_once():
        send("module.progress", playing.progress("u-1", progressPct=50))
        send("quiz.submitted", {"userId": "u-1", "quizId": "q-1", "score": 1, "maxScore": 10})
        send("certification.expired", {"userId": "u-1", "certName": "Demo"})


SAYS = ("title", "markdown", "caption", "header", "info")


@pytest.mark.usefixtures("failing")
@pytest.mark.parametrize("how", ["initials", "anonymous"])
@pytest.mark.parametrize("page", PAGES)
def test_no_page_tells_a_name_to_a_role_that_is_not_to_see_names(
    open_page: Open, monkeypatch: pytest.MonkeyPatch, how: str, page: str
) -> None:
    monkeypatch.setenv("NAMES_ADMIN", how)
    query = {"id": people.link_to("mindtickle/u-1")} if page == "learner" else {}
    shown = open_page(page, **query)
    shown_text = [one.value for kind in SAYS for one in shown.get(kind)]
    shown_text += [one.value.to_csv() for one in shown.dataframe]
    text = " ".join(map(str, shown_text)).lower()
    assert ("d\\. b\\." if how == "initials" else "learner ") in text or "d. b." in text
    assert not [word for word in ("dana", "brooks", "acme") if word in text]


@pytest.mark.usefixtures("failing")
@pytest.mark.parametrize(("how", "average"), [("full", 50), ("initials", None)])
def test_the_average_of_a_team_of_few_is_shown_only_to_a_role_that_sees_names(
    open_page: Open, monkeypatch: pytest.MonkeyPatch, how: str, average: float | None
) -> None:
    monkeypatch.setenv("NAMES_ADMIN", how)
    (row,) = open_page(board="teams").dataframe[0].value.to_dict("records")
    assert (row["team_id"], row["members"]) == ("west", 1)
    assert (None if pd.isna(row["average"]) else row["average"]) == average


@pytest.mark.usefixtures("failing")
def test_the_log_of_an_item_names_nobody_to_a_role_that_is_not_to_see_names(
    open_page: Open, monkeypatch: pytest.MonkeyPatch, store: Engine
) -> None:
    with store.begin() as connection:
        coaching.flag(connection, "lead", [Taker(V, "u-1", "q-1")], 70)
    monkeypatch.setenv("NAMES_ADMIN", "anonymous")
    for page, query in (("coaching", {"item": f"{people.link_to(DANA[2])}/q-1"}), ("audit", {})):
        tables = " ".join(one.value.to_csv() for one in open_page(page, **query).dataframe)
        assert "flag" in tables
        assert not [word for word in ("dana", "brooks") if word in tables.lower()]
