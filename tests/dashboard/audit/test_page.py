"""The page of the audit log, as a browser is sent it."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import streamlit as st
from sqlalchemy import Engine
from streamlit.testing.v1 import AppTest

from dashboard.base.pieces import plain
from shared.models import AuditLog, CoachingCase
from tests.dashboard.conftest import ROOT
from tests.hostile import CORPUS
from tests.shared.tables import V, add, attempts

Page = Callable[..., AppTest]
NOW = datetime.now(UTC)
BY_ITSELF = f"""
import runpy
from dashboard.base import address, pieces
address.begin("audit")
with pieces.downloads():
    runpy.run_path({str(ROOT / "dashboard" / "audit" / "page.py")!r})
"""


@pytest.fixture
def page(store_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Page:
    """The page by itself, with filters as they stand in its address."""
    monkeypatch.setenv("DATABASE_URL", store_url)
    monkeypatch.chdir(tmp_path)
    st.cache_data.clear()
    st.cache_resource.clear()

    def page(**query: str) -> AppTest:
        app = AppTest.from_string(BY_ITSELF, default_timeout=60)
        app.query_params.update(query)
        app.run()
        assert not app.exception, app.exception
        return app

    return page


@pytest.fixture
def done(store: Engine) -> None:
    rows = [
        ("lead@acme.example", "flag", "case 1", "Pricing at 40 %", 3),
        ("admin@acme.example", "replay", "mindtickle", "6 taken", 1),
        ("admin@acme.example", "export", "deliveries.csv", "12 rows", 0.01),
        ("command line", "erase", "person 1", "2 accounts", 60),
    ]
    names = ("actor", "action", "subject", "detail", "days")
    entries = [dict(zip(names, row, strict=True)) for row in rows]
    add(store, AuditLog, [one | {"at": NOW - timedelta(days=one.pop("days"))} for one in entries])


ACTION_ON = {"case 1": "flag", "mindtickle": "replay", "deliveries.csv": "export",
             "person 1": "erase"}  # fmt: skip


def listed(app: AppTest) -> list[str]:
    """The actions of the entries that a page lists."""
    shown = app.dataframe[0].value["subject"] if app.dataframe else []
    return [ACTION_ON[subject] for subject in shown]


@pytest.mark.usefixtures("done")
def test_the_newest_comes_first_and_the_window_ends_the_list(page: Page) -> None:
    assert listed(page()) == ["export", "replay", "flag"]
    assert listed(page(window="all")) == ["export", "replay", "flag", "erase"]


@pytest.mark.usefixtures("done")
@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"actor": "admin@acme.example"}, ["export", "replay"]),
        ({"action": "flag"}, ["flag"]),
        ({"search": "PRICING"}, ["flag"]),
        ({"search": "case 1"}, ["flag"]),
        ({"search": "0 %"}, ["flag"]),
        ({"search": "_"}, []),
        ({"actor": "admin@acme.example", "search": "taken"}, ["replay"]),
    ],
)
def test_it_is_filtered_by_who_what_and_words(
    page: Page, query: dict[str, str], found: list[str]
) -> None:
    assert listed(page(**query)) == found


@pytest.mark.usefixtures("done")
def test_where_nothing_was_done_it_says_so(page: Page) -> None:
    app = page(search="nowhere")
    assert app.info[0].value == "No action in this period. Try a longer one, or fewer filters."
    assert app.title[0].value == "No action in the last 30 days"


def test_every_entry_is_on_one_of_the_pages(page: Page, store: Engine) -> None:
    one = {"at": NOW, "actor": "a", "action": "export", "subject": None, "detail": None}
    add(store, AuditLog, [one] * 120)
    shown = [len(page(page=str(number)).dataframe[0].value) for number in (1, 2, 3)]
    assert shown == [50, 50, 20]
    assert "51–100 of 120" in [one.value for one in page(page="2").caption]


def test_whatever_an_entry_says_reaches_no_markdown(page: Page, store: Engine) -> None:
    add(
        store,
        AuditLog,
        [
            {"at": NOW, "actor": text, "action": text, "subject": text, "detail": text}
            for text in (one.replace("\0", "") for one in CORPUS.values())
        ],
    )
    shown = [page(page=str(number)) for number in (1, 2)]
    assert sum(len(one.dataframe[0].value) for one in shown) == len(CORPUS)
    for app in shown:
        assert not [*app.markdown, *app.info, *app.html]
        assert any(f"of {len(CORPUS)}" in one.value for one in app.caption)
        assert not re.search(r"(?<!\\)(<img|\*\*bold|\[link)", app.title[0].value)


@pytest.mark.usefixtures("done")
def test_the_headline_counts_the_actions_and_names_the_latest_actor(page: Page) -> None:
    said = page().title[0].value
    assert said.startswith("3 actions in the last 30 days, the latest ")
    assert said.endswith(plain("by admin@acme.example"))
    assert page(action="flag").title[0].value.startswith("1 action in the last 30 days")


def test_each_entry_is_a_sentence_with_the_learner_that_its_case_is_about(
    page: Page, store: Engine
) -> None:
    attempts(store, {})
    case = {"vendor": V, "user_id": "u-1", "quiz_id": "q-1", "status": "open", "opened_at": NOW,
            "opened_by": "lea", "updated_at": NOW, "updated_by": "lea", "version": 1}  # fmt: skip
    add(store, CoachingCase, [case])
    entries = [
        ("marta.lindqvist@acme.example", "start", "case 1", "status open → in progress"),
        ("theo.okonkwo@acme.example", "replay", V, "8 accepted, 19 already delivered; refused"),
        ("command line", "erase", "person 1", "2 accounts"),
        ("ada", "ask for test", V, ""),
        ("ada", "test", V, "verified, kept and removed again"),
        ("lea", "start", "case 2", "status open → in progress"),
    ]
    names = ("actor", "action", "subject", "detail")
    rows = [dict(zip(names, one, strict=True)) | {"at": NOW} for one in entries]
    add(store, AuditLog, rows)
    assert sorted(page().dataframe[0].value["said"]) == [
        "Marta Lindqvist started coaching Learner u-1 (no name) on Pricing",
        "Theo Okonkwo replayed 27 deliveries of MindTickle",
        "ada asked for a test of the address of MindTickle",
        "ada tested the address of MindTickle: verified, kept and removed again",
        "command line erased person 1: 2 accounts",
        "lea started coaching case 2",
    ]


@pytest.mark.usefixtures("done")
def test_the_table_leaves_out_what_its_sentences_already_say(page: Page) -> None:
    assert list(page().dataframe[0].value) == ["at", "said", "subject", "detail"]
