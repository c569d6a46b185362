"""Every page on both kinds of store. What pages show is tested on SQLite; what differs between the
stores is in the queries, which are tested on both."""

from collections.abc import Iterator

import pytest
import streamlit as st
from sqlalchemy import Engine, make_url
from streamlit.testing.v1 import AppTest

from shared.models import AuditLog
from tests import stores
from tests.conftest import STORES, FreshStore
from tests.dashboard.conftest import Open, Send
from tests.pages import PAGES

VIEWS: list[tuple[str, dict[str, str]]] = [
    *((page, {}) for page in PAGES),
    ("leaderboard", {"board": "teams", "metric": "average"}),
    ("leaderboard", {"board": "modules", "window": "all"}),
    ("leaderboard", {"learner": "mindtickle/u-2"}),
    ("certifications", {"view": "courses"}),
    ("contests", {"contest": "1"}),
    ("coaching", {"item": "mindtickle/u-1/q-1"}),
    ("deliveries", {"view": "deliveries", "which": "all"}),
    ("deliveries", {"view": "quarantine", "delivery": "1"}),
    ("deliveries", {"view": "imports"}),
    ("learner", {"id": "mindtickle/u-1"}),
    ("learner", {"find": "acme"}),
]


@pytest.fixture(params=STORES)
def store_url(request: pytest.FixtureRequest, fresh_store: FreshStore) -> Iterator[str]:
    with fresh_store(request.param) as url:
        yield url


@pytest.mark.usefixtures("company")
def test_a_page_opens_on_either_store(open_page: Open, send: Send) -> None:
    with send.at_once():
        send("quiz.submitted", {"userId": "u-1", "quizId": "q-1", "score": 3, "maxScore": 10})
        send("course.completed", {"userId": "u-1", "courseId": "c-1", "courseName": "Onboarding"})
        send("certification.expired", {"userId": "u-1", "certName": "Demo"})
        send("quiz.submitted", {"userId": "u-1"}, secret="wrong")
    for page, query in VIEWS:
        shown = open_page(page, **query)
        assert not shown.exception, (page, query)
        assert not shown.error, (page, query)


NOT_TO_BE_HELD: list[tuple[str, dict[str, str]]] = [
    ("leaderboard", {"learner": "mindtickle/\0"}),
    ("contests", {"contest": "\0"}),
    ("coaching", {"item": "mindtickle/u%00/q-1"}),
    ("deliveries", {"view": "deliveries", "search": "\0"}),
    ("learner", {"id": "mindtickle/\0"}),
    ("learner", {"find": "\0"}),
    ("audit", {"search": "\0"}),
]


@pytest.mark.usefixtures("company")
def test_a_text_that_a_store_cannot_hold_is_not_found(open_page: Open) -> None:
    for page, query in NOT_TO_BE_HELD:
        assert not open_page(page, **query).exception, (page, query)


def downloads(shown: AppTest) -> int:
    return len(shown.get("download_button"))


def close_for_writing(store: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """New connections can only read, as from a replica."""
    name = store.url.database or ""
    if store.dialect.name == "postgresql":
        with store.begin() as connection:
            command = f"ALTER DATABASE {name} SET default_transaction_read_only = on"
            connection.exec_driver_sql(command)
    else:
        query = {"mode": "ro", "uri": "true"}
        url = make_url("sqlite://").set(database=f"file:{name}", query=query)
        monkeypatch.setenv("DATABASE_URL", url.render_as_string())


@pytest.mark.usefixtures("company")
def test_what_cannot_be_noted_is_not_handed_out(
    open_page: Open, store: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert downloads(open_page()) == 1
    assert stores.count(store, AuditLog) == 0  # a look whether it can be written leaves nothing
    close_for_writing(store, monkeypatch)
    st.cache_data.clear()
    st.cache_resource.clear()
    shown = open_page()
    assert shown.dataframe
    assert downloads(shown) == 0
    assert "No CSV: the audit log" in " ".join(one.value for one in shown.caption)
