"""What reaches the browser, or a file, of people whose names the viewer may not see."""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import streamlit as st
from sqlalchemy import Engine
from streamlit.testing.v1.local_script_runner import LocalScriptRunner

from dashboard import access
from dashboard.base import people
from dashboard.viewer import Role
from shared import coaching, contests
from shared.audit import note
from shared.contests import Draft
from shared.facts import Completed, Identified, Provisioned
from shared.models import Event, ImportFinding, ImportRun
from shared.queries.quiz_standings import Taker
from tests import playing
from tests.dashboard.conftest import Open, Send
from tests.dashboard.test_access import Visit, claims, login, said, visit
from tests.shared import tables
from tests.shared.tables import LONG_AGO, V, fold

__all__ = ["login", "visit"]

NOW = datetime.now(UTC)
DANA = "uid-dana-5501"
INES = "uid-ines-5502"
LESSONLY = "5503977"
WORDS = ("dana", "brooks", "ines", "okafor", DANA, INES, LESSONLY, "acme-people.example")
"""Each in no other text of the store; matched in any case."""
Sent = Callable[[], list[str]]


@pytest.fixture
def staff(store: Engine, send: Send) -> None:
    """Two who gained, failed and lost a certificate, each at two vendors; one vendor makes its
    event keys of the user id. A stranger quotes an address, a lead writes one down."""
    for user, name in ((DANA, "Dana Brooks"), (INES, "Ines Okafor")):
        mail = f"{name.split()[0].lower()}@acme-people.example"
        fold(store, [Provisioned(V, user, mail, name, "rep", "west", LONG_AGO)])
        fold(store, [Identified("innovative_educators", mail, mail, name, NOW)])
        for days, pct in ((20, 10), (2, 40 if user == DANA else 50)):
            send("module.progress", playing.progress(user, progressPct=pct), days)
        for quiz in ("q-1", "q-2", "q-3"):
            send("quiz.submitted", {"userId": user, "quizId": quiz, "score": 1, "maxScore": 10}, 1)
        send("certification.expired", {"userId": user, "certName": "Demo"}, 1)
    card = f"https://cards.example/{LESSONLY}"
    fold(store, [Identified("lessonly", LESSONLY, "dana@acme-people.example", None, NOW)])
    fold(store, [Completed("lessonly", "k", LESSONLY, "c-1", "Onboarding", 90, NOW, card)])
    key = f"{LESSONLY}-lesson-1"
    last = 1000
    tables.deliveries(
        store,
        {"id": last, "vendor": "lessonly", "event_key": key, "received_at": NOW},
        {"id": last + 1, "vendor": "lessonly", "event_key": key, "received_at": NOW,
         "outcome": "bad_signature", "event_type": "dana@acme-people.example",
         "reason": "no dana@acme-people.example here", "status_code": 403},
    )  # fmt: skip
    tables.add(
        store,
        Event,
        [{"vendor": "lessonly", "event_key": key, "digest": key, "type": "lesson.completed",
          "user_id": LESSONLY, "occurred_at": NOW, "received_at": NOW, "delivery_id": last,
          "payload": '{"email": "dana@acme-people.example"}'}],
    )  # fmt: skip
    _import(store)
    _contests(store)
    with store.begin() as connection:
        due = (NOW + timedelta(days=3)).date()
        low = [Taker(V, DANA, "q-1")]
        coaching.flag(connection, "lead", low, 70, "lead", due, "for Dana Brooks")
        note(connection, "lead", "change", "case 1", "notes none → talk to Dana Brooks")
        note(connection, "admin", "erase", None, "asked for by dana@acme-people.example")


def _import(store: Engine) -> None:
    """An export with their names, of which an event is missing and another differs."""
    run = {"id": 1, "vendor": V, "file_name": "dana@acme-people.example.csv", "applies": True,
           "export_digest": "e", "mapping_digest": "m", "started_at": NOW, "finished_at": NOW,
           "imported_at": NOW, "missing": 1, "differing": 1}  # fmt: skip
    tables.add(store, ImportRun, [run])
    common = {"run_id": 1, "vendor": V, "type": "x", "user_id": DANA, "occurred_at": NOW}
    name = '[["identified.name", "Dana Brooks", "Ines Okafor"]]'
    missing = {"kind": "missing", "line": 2, "event_key": DANA, "cause": "down", "detail": None}
    differs = {"kind": "differing", "line": 3, "event_key": INES, "cause": None, "detail": name}
    tables.add(store, ImportFinding, [common | missing, common | differs])


def _contests(store: Engine) -> None:
    """One that runs, and one with a stored result."""
    day = timedelta(days=1)
    past, today = NOW - 12 * day, NOW.date()
    with store.begin() as connection:
        for now, first in ((NOW, today), (past, past.date())):
            draft = Draft("Sprint", first, now.date() + 10 * day, "UTC", teams=("west",))
            assert isinstance(contests.create(connection, "lead", draft, now, None), int)
        contests.store_result(connection, 2, NOW)


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> Sent:
    """Every message to the browser as text, and every file as it would be made on click."""
    kept: list[str] = []
    forward, download = LocalScriptRunner.forward_msgs, st.download_button

    def forward_msgs(runner: LocalScriptRunner) -> Any:
        found = forward(runner)
        kept.extend(one.SerializeToString().decode("utf-8", "replace").lower() for one in found)
        return found

    def download_button(label: str, data: Any, *args: Any, **kwargs: Any) -> bool:
        made = data() if callable(data) else data
        kept.append(made.decode().lower() if isinstance(made, bytes) else made.lower())
        return download(label, "", *args, **kwargs)

    monkeypatch.setattr(LocalScriptRunner, "forward_msgs", forward_msgs)
    monkeypatch.setattr(st, "download_button", download_button)
    return lambda: kept


def visits() -> Iterator[tuple[str, dict[str, str]]]:
    """Each page with its views and dialogs, by links as pages make them."""
    dana = people.link_to("innovative_educators/dana@acme-people.example")
    yield from (("leaderboard", {}), ("leaderboard", {"board": "teams"}))
    yield "leaderboard", {"learner": dana}
    yield from (("coaching", {"queue": view}) for view in ("New", "In progress", "All"))
    yield "coaching", {"item": f"{people.link_to(f'{V}/{DANA}')}/q-1"}
    yield from (("certifications", {}), ("certifications", {"view": "courses"}))
    yield from (("learner", {}), ("learner", {"id": dana}))
    for view in ("chains", "deliveries", "quarantine", "missing", "strangers"):
        yield "deliveries", {"view": view, "which": "all"}
    yield from (("deliveries", {"view": "imports", "events": k}) for k in ("missing", "differing"))
    yield from (("deliveries", {"delivery": str(id_)}) for id_ in (1, 1000, 1001))
    yield from (("contests", {}), ("contests", {"contest": "1"}), ("contests", {"contest": "2"}))
    yield from (("audit", {}), ("scoring", {}), ("screens", {}), ("wall", {}), ("preferences", {}))


@pytest.mark.usefixtures("staff")
@pytest.mark.parametrize("how", ["initials", "anonymous"])
def test_nothing_that_names_a_person_is_sent_to_a_role_that_does_not_see_names(
    visit: Visit, sent: Sent, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    monkeypatch.setenv("NAMES_KEY", "a-key-of-this-installation")
    for role in Role:  # one after the other on one store, as what is kept of it is for all of them
        with monkeypatch.context() as only:
            only.setenv(f"NAMES_{role.name}", how)
            st.cache_resource.clear()
            for page, query in visits():
                if role in access.PAGES[page]:
                    look(visit, sent, role, page, query)


def look(visit: Visit, sent: Sent, role: Role, page: str, query: dict[str, str]) -> None:
    app = visit(page, claims("viewer", roles=[role], teams=["west"]), **query)
    assert not app.exception, (role, page, query)
    if "learner" in query or "id" in query:
        # The link does lead somewhere.
        assert not re.search("There is no|No learner with", said(app)), (role, page, query)
    seen = {word for text in sent() for word in WORDS if word in text}
    assert not seen, (role, page, query, seen)
    sent().clear()


@pytest.mark.usefixtures("staff")
def test_the_same_look_finds_names_where_they_may_be_seen(visit: Visit, sent: Sent) -> None:
    visit("leaderboard", claims("viewer", roles=[Role.ADMIN]))
    visit("deliveries", claims("viewer", roles=[Role.ADMIN]), delivery="1000")
    text = " ".join(sent())
    assert all(word in text for word in ("dana brooks", LESSONLY, "acme-people.example"))


@pytest.mark.usefixtures("company")
def test_without_full_names_an_id_leads_to_no_learner(
    open_page: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NAMES_KEY", "a-key-of-this-installation")
    monkeypatch.setenv("NAMES_ADMIN", "anonymous")
    assert "No learner with this ID" in open_page("learner", id="mindtickle/u-1").warning[0].value
    assert open_page("learner", id=people.link_to("mindtickle/u-1")).header


@pytest.mark.usefixtures("company")
def test_a_link_of_a_role_that_sees_no_names_serves_one_that_does(
    open_page: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NAMES_KEY", "a-key-of-this-installation")
    for name in ("mindtickle/u-1", people.link_to("mindtickle/u-1")):
        assert "dana" in open_page("learner", id=name).title[0].value


@pytest.mark.usefixtures("company")
@pytest.mark.parametrize("words", ["u-2", "ines@acme.example"])
def test_without_full_names_no_search_says_whose_a_delivery_is(
    open_page: Open, monkeypatch: pytest.MonkeyPatch, words: str
) -> None:
    monkeypatch.setenv("NAMES_KEY", "a-key-of-this-installation")
    monkeypatch.setenv("NAMES_ADMIN", "anonymous")
    page = open_page("deliveries", view="deliveries", which="all", search=words)
    assert "No matching deliveries" in " ".join(one.value for one in page.info)
