"""The store under the pages is taken away, or put in place of another one."""

import shutil
from pathlib import Path

import streamlit as st
from sqlalchemy import Engine
from streamlit.testing.v1 import AppTest

from tests.dashboard.conftest import Open, Send
from tests.playing import progress


def said(shown: AppTest) -> str:
    return " ".join(one.value for one in (*shown.title, *shown.markdown))


def remove(engine: Engine) -> Path:
    path = Path(engine.url.database or "")
    engine.dispose()
    for beside in ("", "-wal", "-shm"):
        path.with_name(path.name + beside).unlink(missing_ok=True)
    return path


def test_a_page_shows_nothing_of_a_file_that_was_removed_and_then_what_is_there(
    open_page: Open, send: Send, store: Engine, sqlite_template: Path
) -> None:
    send("module.progress", progress("u-1"))
    assert open_page().dataframe
    path = remove(store)
    shown = open_page()
    assert not shown.dataframe
    assert "cannot be reached" in said(shown)
    assert not path.exists()
    path.touch()
    assert "no current schema" in said(open_page())
    assert path.stat().st_size == 0
    shutil.copy(sqlite_template, path)
    st.cache_data.clear()  # as 15 seconds later
    shown = open_page()
    assert not shown.dataframe
    assert said(shown).startswith("Waiting for the first delivery")
