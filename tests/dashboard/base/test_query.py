"""A read of the store, cached by the name of its function and by how far the store has come."""

import pytest
import streamlit as st
from sqlalchemy import Connection

from dashboard.base import store
from shared.queries import catalog
from shared.queries.people import Who
from tests.dashboard.conftest import Open, Send
from tests.playing import progress

asked: list[str] = []


def counted(connection: Connection, word: str) -> str:
    asked.append(word)
    return f"{word} {catalog.learners(connection, Who())}"


def other(connection: Connection, word: str) -> str:
    return f"other {word}"


@pytest.fixture(autouse=True)
def fresh(open_page: Open) -> None:
    asked.clear()


def test_one_answer_serves_until_the_store_moves(send: Send) -> None:
    send("module.progress", progress("u-1"))
    assert [store.query(counted, "a"), store.query(counted, word="b")] == ["a 1", "b 1"]
    assert store.query(counted, "a") == "a 1"
    assert asked == ["a", "b"]
    send("module.progress", progress("u-2"))
    store._version.clear()  # in place of the second that a version is kept
    assert store.query(counted, "a") == "a 2"


def test_two_functions_have_answers_of_their_own() -> None:
    assert store.query(counted, "a") != store.query(other, "a")


def test_a_function_without_a_name_of_its_own_is_refused() -> None:
    with pytest.raises(st.errors.StreamlitAPIException, match="no name of its own"):
        store.query(lambda connection: connection.dialect.name)
