"""The page before the first event."""

from datetime import UTC, datetime
from typing import Any

import pytest
import streamlit as st
from sqlalchemy import Engine, update

from receiver.vendors import note_vendors
from shared.audit import note
from shared.bulk import table_of
from shared.database import write_transaction
from shared.models import AuditLog, Heartbeat, Trial, Vendor
from shared.settings import ReceiverSettings
from tests.dashboard.conftest import Open, Send
from tests.pages import rows, written
from tests.stores import row


def test_before_a_receiver_has_started_the_page_says_how_to_start_one(
    open_page: Open, store: Engine
) -> None:
    with store.begin() as connection:
        connection.execute(table_of(Vendor).delete())
    page = open_page()
    assert "No receiver has started on this store yet." in written(page)
    assert [block.value for block in page.code] == ["repboard serve"]


def test_without_any_credential_the_page_says_to_set_one(open_page: Open) -> None:
    page = open_page()
    assert "No vendor has its credential set." in written(page)
    assert not page.code


@pytest.mark.parametrize(
    ("setting", "value", "shown", "hidden", "blocks"),
    [
        ("mindtickle_webhook_secret", "whsec-hidden", "MindTickle", "Lessonly", 2),
        ("lessonly_authorization", "whsec-hidden", "Lessonly", "MindTickle", 2),
        ("innovative_educators_allowed_ips", "127.0.0.1", "Innovative", "Lessonly", 1),
    ],
)
def test_the_page_shows_the_address_of_each_configured_vendor_and_no_other(
    open_page: Open, store: Engine, setting: str, value: str, shown: str, hidden: str, blocks: int
) -> None:
    note_vendors(store, ReceiverSettings(_env_file=None, **{setting: value}))
    page = open_page()
    text = written(page) + "".join(block.value for block in page.code)
    assert shown in text
    assert hidden not in text
    assert "-hidden" not in text
    assert len(page.code) == blocks


def test_a_refused_request_is_listed_with_its_reason(
    open_page: Open, store: Engine, send: Send, lessonly: str
) -> None:
    send("module.progress", {}, secret="rotated")
    page = open_page()
    (row,) = rows(page, "reason")
    assert (row["request"], row["status_code"]) == ("POST /webhooks/mindtickle", 403)
    assert "fits no configured secret" in row["reason"]
    assert "No receiver is up" in written(page)
    assert page.button(key=lessonly)


def test_of_several_vendors_one_is_shown_at_a_time(open_page: Open, store: Engine) -> None:
    both = {"lessonly_authorization": "a-value", "mindtickle_webhook_secret": "a-secret"}
    note_vendors(store, ReceiverSettings(_env_file=None, **both))
    page = open_page()
    assert "Register this address with MindTickle" in written(page)
    page.segmented_control[0].set_value("lessonly").run()
    assert "Register this address with Seismic Learning" in written(page)


@pytest.fixture
def lessonly(store: Engine) -> str:
    """The key of the button that sends a test of the only configured vendor."""
    note_vendors(store, ReceiverSettings(_env_file=None, lessonly_authorization="a-value"))
    return "test_lessonly"


def up(store: Engine) -> None:
    """A receiver was seen just now."""
    now = datetime.now(UTC)
    with store.begin() as connection:
        seen = {"receiver": "one", "started_at": now, "seen_at": now}
        connection.execute(table_of(Heartbeat).insert(), seen)


def finish(store: Engine, **result: Any) -> None:
    """As a receiver does; what it notes besides moves the version of the store."""
    with write_transaction(store) as connection:
        done = {"started_at": datetime.now(UTC), "finished_at": datetime.now(UTC)}
        connection.execute(update(table_of(Trial)).values(done | result))
        note(connection, "dana", "test", "lessonly", "")
    st.cache_data.clear()  # as a second later


def test_a_click_asks_a_receiver_for_a_test_and_notes_it_in_the_audit_log(
    open_page: Open, store: Engine, lessonly: str
) -> None:
    up(store)
    page = open_page()
    assert not page.button(key=lessonly).disabled
    page.button(key=lessonly).click().run()
    asked, entry = row(store, Trial), row(store, AuditLog)
    assert (asked.vendor, asked.started_at, asked.finished_at) == ("lessonly", None, None)
    assert (entry.action, entry.subject) == ("ask for test", "lessonly")
    assert page.button(key=lessonly).disabled
    assert "Sending a test" in written(page)


def test_without_a_receiver_the_page_says_that_none_sends_the_test(
    open_page: Open, lessonly: str
) -> None:
    page = open_page()
    page.button(key=lessonly).click().run()
    assert "No receiver is up to send it." in written(page)


@pytest.mark.parametrize(
    ("result", "words"),
    [
        ({"status": 200}, "verified, kept and removed again."),
        ({"status": 413, "problem": "Too *large*"}, r"Refused with 413: Too \*large\*"),
        ({"problem": "No answer"}, "Failed: No answer"),
    ],
)
def test_the_result_of_a_test_stands_beside_its_button(
    open_page: Open, store: Engine, lessonly: str, result: dict[str, Any], words: str
) -> None:
    page = open_page()
    page.button(key=lessonly).click().run()
    finish(store, **result)
    page.run()
    assert words in written(page)
    assert not page.button(key=lessonly).disabled
    assert "Waiting for the first delivery" in written(page)
