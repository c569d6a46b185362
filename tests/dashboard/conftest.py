"""Pages on a store of a few hand-made people."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import streamlit as st
from sqlalchemy import Engine
from streamlit import config
from streamlit.components.v2 import manifest_scanner
from streamlit.runtime.scriptrunner.script_cache import ScriptCache
from streamlit.testing.v1 import AppTest, app_test

from receiver.pipeline import Entry, judge
from receiver.store import write_batch
from receiver.vendors.base import Incoming
from receiver.vendors.mindtickle import MindTickle
from shared.database import write_transaction
from tests import playing
from tests.pages import go_to
from tests.stores import follow

ROOT = Path(__file__).parents[2]
Open = Callable[..., AppTest]


@pytest.fixture(scope="package", autouse=True)
def quick_runs() -> Iterator[None]:
    """What a server does once, AppTest does for each page or run, and takes longer for it than for
    our page: it reads what all installed packages say of themselves and compiles the scripts. It
    also counts the calls of each, which `options.LOCKED` forbids."""
    components, scripts = manifest_scanner.scan_component_manifests(), ScriptCache()
    counted = config.get_option("browser.gatherUsageStats")
    config.set_option("browser.gatherUsageStats", False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(manifest_scanner, "scan_component_manifests", lambda: components)
        patch.setattr(app_test, "ScriptCache", lambda: scripts)
        yield
    config.set_option("browser.gatherUsageStats", counted)


@pytest.fixture
def store_url(sqlite_url: str) -> str:
    """One kind of store, but for test_pages, which opens each page on both."""
    return sqlite_url


class Send:
    """`send("module.progress", {…}, days_ago=2)`: take an event in as the receiver does."""

    def __init__(self, store: Engine) -> None:
        self._store = store
        self._vendor = MindTickle([playing.SECRET.encode()], None, past=10**9, future=300)
        self._waiting: list[Entry] | None = None

    def __call__(
        self, event_type: str, data: object, days_ago: float = 0, secret: str = playing.SECRET
    ) -> None:
        now = datetime.now(UTC)
        body = playing.body_of(event_type, data)
        headers = playing.signed(body, now - timedelta(days=days_ago), playing.new_id(), secret)
        encoded = {name: value.encode() for name, value in headers.items()}
        entry = judge(self._vendor, Incoming(encoded, body, "192.0.2.7", now))
        if self._waiting is None:
            self._store_all([entry])
        else:
            self._waiting.append(entry)

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """What is sent inside is one batch, followed once: quicker than a batch for each event."""
        self._waiting = []
        try:
            yield
            self._store_all(self._waiting)
        finally:
            self._waiting = None

    def _store_all(self, entries: Sequence[Entry]) -> None:
        with write_transaction(self._store) as connection:
            write_batch(connection, entries)
        follow(self._store)


@pytest.fixture
def send(store: Engine) -> Send:
    return Send(store)


@pytest.fixture
def open_page(store_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Open:
    """`open_page("coaching")`: the page as a browser would be sent it, on this test's store."""
    monkeypatch.setenv("DATABASE_URL", store_url)
    monkeypatch.chdir(tmp_path)  # no .env of the person who runs the tests
    st.cache_data.clear()
    st.cache_resource.clear()

    def open_page(name: str = "leaderboard", **query: str) -> AppTest:
        app = AppTest.from_file(str(ROOT / "dashboard" / "app.py"), default_timeout=60)
        app.query_params.update(query)
        if name != "leaderboard":
            go_to(app, name)
        app.run()
        assert not app.exception, app.exception
        return app

    return open_page


@pytest.fixture
def files(monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """Each file of the pages opened, by its name, as a click would make it."""
    made: dict[str, bytes] = {}
    button = st.download_button

    def download_button(
        label: str, data: Callable[[], bytes], name: str, *args: Any, **kwargs: Any
    ) -> bool:
        made[name] = data()
        return button(label, "", name, *args, **kwargs)

    monkeypatch.setattr(st, "download_button", download_button)
    return made


def provision(send: Send, user_id: str, email: str, team: str) -> None:
    send("user.provisioned", {"userId": user_id, "email": email, "role": "rep", "teamId": team}, 40)


@pytest.fixture
def company(send: Send) -> None:
    """Dana and Paul in west, Ines in east; Dana leads, the other two are tied."""
    with send.at_once():
        provision(send, "u-1", "dana@acme.example", "west")
        provision(send, "u-2", "ines@acme.example", "east")
        provision(send, "u-3", "paul@acme.example", "west")
        for user_id, pct in (("u-1", 90), ("u-2", 60), ("u-3", 60)):
            send("module.progress", playing.progress(user_id, progressPct=pct), days_ago=1)
