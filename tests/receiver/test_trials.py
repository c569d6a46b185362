"""Tests of a vendor's address: rows in the store that a running receiver carries out."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from sqlalchemy import Engine, insert

from receiver.pipeline import TRIAL
from receiver.simulator import PARTS
from receiver.trials import DIED, Trials
from receiver.vendors import configured
from shared.bulk import table_of
from shared.database import open_engine, write_transaction
from shared.models import (
    AuditLog,
    Checkpoint,
    Delivery,
    FieldCheckpoint,
    Heartbeat,
    Table,
    Trial,
    Vendor,
)
from shared.queries.trials import ask_for_test
from shared.settings import ReceiverSettings
from tests import playing
from tests.running import Receiver, free_port, until
from tests.stores import count, empty, row, rows

MT, IE, *_ = PARTS
OWN = (Trial, AuditLog, Checkpoint, FieldCheckpoint, Heartbeat, Vendor)
STAYS = {table_of(one) for one in OWN}


@pytest.fixture
def receiver(lasting_receiver: Receiver) -> Receiver:
    """One receiver for all tests, as a start takes a while. Its store is emptied for each."""
    empty(lasting_receiver.engine)
    return lasting_receiver


@pytest.fixture
def sqlite_store(sqlite_url: str) -> Iterator[Engine]:
    """A store, where its kind does not matter."""
    engine = open_engine(sqlite_url)
    yield engine
    engine.dispose()


def ask(engine: Engine, vendor: str) -> None:
    with write_transaction(engine) as connection:
        ask_for_test(connection, vendor, "dana")


def finished(engine: Engine, vendor: str) -> Any:
    """The only test of a vendor's address once it has a result."""
    until(lambda: row(engine, Trial, vendor=vendor).finished_at is not None)
    return row(engine, Trial, vendor=vendor)


def logged(receiver: Receiver, event: str) -> list[dict[str, Any]]:
    return [one for one in receiver.log_lines() if one["event"] == event]


def left(engine: Engine) -> list[str]:
    """The tables in which a delivery has left a row."""
    with engine.connect() as connection:
        return [
            table.name
            for table in Table.metadata.sorted_tables
            if table not in STAYS and connection.execute(table.select().limit(1)).first()
        ]


@pytest.mark.parametrize("vendor", PARTS)
def test_a_test_of_each_vendor_is_accepted_and_leaves_nothing_in_the_store(
    receiver: Receiver, vendor: str
) -> None:
    before = left(receiver.engine)
    ask(receiver.engine, vendor)
    done = finished(receiver.engine, vendor)
    assert (done.status, done.problem) == (200, None)
    assert done.asked_at <= done.started_at <= done.finished_at <= datetime.now(UTC)
    assert left(receiver.engine) == before
    notes = [(one.actor, one.action, one.subject) for one in rows(receiver.engine, AuditLog)]
    assert notes == [("dana", "ask for test", vendor), ("dana", "test", vendor)]


def test_a_test_counts_as_no_delivery_in_metrics_and_log(receiver: Receiver) -> None:
    accepted = 'repboard_deliveries_total{outcome="accepted",vendor="mindtickle"}'
    before = receiver.metric(accepted), logged(receiver, "delivery")
    ask(receiver.engine, MT)
    id_ = finished(receiver.engine, MT).id
    until(lambda: id_ in [one["request_id"] for one in logged(receiver, "test")])
    assert (receiver.metric(accepted), logged(receiver, "delivery")) == before


def test_only_the_receiver_itself_can_send_what_is_taken_back(receiver: Receiver) -> None:
    body = playing.body_of("module.progress", {"userId": "u-1", "moduleId": "m-1",
                                               "progressPct": 5})  # fmt: skip
    signed = playing.signed(body, datetime.now(UTC), playing.new_id())
    assert receiver.post(body, {**signed, TRIAL: "guessed"}).json() == {"received": True}
    assert count(receiver.engine, Delivery) == 1


def test_a_second_test_is_not_asked_for_while_one_is_open(sqlite_store: Engine) -> None:
    ask(sqlite_store, MT)
    ask(sqlite_store, MT)
    ask(sqlite_store, IE)
    assert [one.vendor for one in rows(sqlite_store, Trial)] == [MT, IE]
    assert count(sqlite_store, AuditLog) == 2


def test_a_test_from_an_address_that_is_not_allowed_says_so_and_leaves_nothing(
    sqlite_url: str, tmp_path: Path
) -> None:
    allowed = {"INNOVATIVE_EDUCATORS_ALLOWED_IPS": "54.243.7.71"}
    with Receiver(sqlite_url, tmp_path, **allowed) as receiver:
        before = left(receiver.engine)
        ask(receiver.engine, IE)
        done = finished(receiver.engine, IE)
        assert done.status == 403
        assert "own address is not on the allowlist" in done.problem
        assert left(receiver.engine) == before


def test_a_test_asked_for_before_a_receiver_starts_is_sent_then_and_through_trusted_proxies(
    sqlite_store: Engine, sqlite_url: str, tmp_path: Path
) -> None:
    ask(sqlite_store, IE)
    with Receiver(sqlite_url, tmp_path, TRUSTED_PROXY_HOPS="2") as receiver:
        assert finished(receiver.engine, IE).problem is None


def test_a_refusal_has_the_reason_that_the_deliveries_of_the_vendor_would_have(
    sqlite_url: str, tmp_path: Path
) -> None:
    with Receiver(sqlite_url, tmp_path, MAX_BODY_BYTES="20") as receiver:
        ask(receiver.engine, MT)
        done = finished(receiver.engine, MT)
        assert (done.status, done.problem) == (413, "The body has more than MAX_BODY_BYTES (20).")
        assert count(receiver.engine, Delivery) == 0


def trials(store: Engine) -> Trials:
    """Of a receiver that does not listen."""
    settings = ReceiverSettings(mindtickle_webhook_secret="secret-one", receiver_port=free_port())
    return Trials(store, configured(settings), settings, "pass")


def test_two_receivers_carry_out_a_test_once(sqlite_store: Engine) -> None:
    ask(sqlite_store, MT)
    begin = Barrier(2)

    def claims(one: Trials) -> bool:
        begin.wait()
        return one._claim() is not None

    with ThreadPoolExecutor(2) as pool:
        claimed = list(pool.map(claims, (trials(sqlite_store), trials(sqlite_store))))
    assert sorted(claimed) == [False, True]


def test_a_test_for_a_vendor_that_is_not_served_here_waits(sqlite_store: Engine) -> None:
    ask(sqlite_store, IE)
    trials(sqlite_store).carry_out()
    assert row(sqlite_store, Trial).started_at is None


def test_a_test_whose_receiver_died_is_given_up_and_a_running_one_is_not(
    sqlite_store: Engine,
) -> None:
    now = datetime.now(UTC)
    started = {MT: now - timedelta(minutes=2), IE: now}
    asked = [{"vendor": vendor, "asked_at": at, "asked_by": "dana", "started_at": at}
             for vendor, at in started.items()]  # fmt: skip
    with sqlite_store.begin() as connection:
        connection.execute(insert(table_of(Trial)), asked)
    trials(sqlite_store).carry_out()
    died, running = rows(sqlite_store, Trial)
    assert (died.finished_at is not None, died.problem) == (True, DIED)
    assert running.finished_at is None


def test_a_receiver_that_does_not_answer_is_the_result(
    sqlite_store: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("receiver.trials.CONNECTS", 0)  # waits for nothing that will ever listen
    ask(sqlite_store, MT)
    trials(sqlite_store).carry_out()
    done = row(sqlite_store, Trial)
    assert done.status is None
    assert done.problem.startswith("The receiver does not answer at http://127.0.0.1:")
