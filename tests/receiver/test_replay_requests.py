"""Replay requests: rows in the store that a running receiver handles."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from sqlalchemy import Engine, insert

from receiver.replay_requests import carry_out_next
from receiver.vendors import ADAPTERS
from shared.bulk import table_of
from shared.models import AuditLog, Delivery, Event, Quarantine, ReplayRequest
from tests.holding import ARRIVAL, V, assert_totals_are_exact, incoming, take, vendor
from tests.load import Load
from tests.running import Receiver, until
from tests.stores import count, empty, row, rows

OLD, NEW = "secret-old", "secret-one"
"""The receivers of these tests run under NEW."""


@pytest.fixture
def receiver(lasting_receiver: Receiver) -> Receiver:
    """One receiver for all tests, as a start takes a while. Its store is emptied for each."""
    empty(lasting_receiver.engine)
    return lasting_receiver


def ask(engine: Engine, **more: Any) -> int:
    """A request as the dashboard writes it; its id."""
    usual = {"vendor": V, "dry_run": False, "requested_by": "dana", "state": "requested",
             "requested_at": datetime.now(UTC), "taken": 0, "already_delivered": 0,
             "still_refused": 0}  # fmt: skip
    statement = insert(table_of(ReplayRequest)).returning(table_of(ReplayRequest).c.id)
    with engine.begin() as connection:
        return int(connection.execute(statement, usual | more).scalar_one())


def finished(engine: Engine, id_: int) -> Any:
    """The request once it is done."""
    until(lambda: row(engine, ReplayRequest, id=id_).finished_at is not None)
    return row(engine, ReplayRequest, id=id_)


def counts(request: Any) -> tuple[int, int, int]:
    return request.taken, request.already_delivered, request.still_refused


def hold(engine: Engine, events: int, forged: int = 0) -> None:
    refused = [incoming(f"e-{n}", NEW, user=f"u-{n % 9}") for n in range(events)]
    take(engine, [*refused, *(incoming(f"f-{n}", "forged") for n in range(forged))], vendor(OLD))


def replays(receiver: Receiver, requested_by: str = "dana") -> list[dict[str, Any]]:
    """The log lines about a request."""
    lines = [one for one in receiver.log_lines() if one["event"] == "replay"]
    return [one for one in lines if one["requested_by"] == requested_by]


def test_a_request_is_carried_out_first_as_a_dry_run_then_for_real(receiver: Receiver) -> None:
    hold(receiver.engine, 3, forged=2)
    dry = finished(receiver.engine, ask(receiver.engine, dry_run=True))
    assert (dry.state, dry.problem, counts(dry)) == ("done", None, (3, 0, 2))
    assert dry.refused_as == '{"bad_signature": 2}'
    assert count(receiver.engine, Event) == 0
    real = finished(receiver.engine, ask(receiver.engine, outcome="bad_signature", since=ARRIVAL))
    assert (real.state, real.problem, counts(real)) == ("done", None, (3, 0, 2))
    assert count(receiver.engine, Event) == 3
    assert real.requested_at <= real.finished_at <= datetime.now(UTC)
    notes = [(one.actor, one.action) for one in rows(receiver.engine, AuditLog)]
    assert notes == [("dana", "replay dry run"), ("dana", "replay")]
    assert_totals_are_exact(receiver.engine)


def test_what_was_replayed_is_one_line_of_the_log_without_any_payload(receiver: Receiver) -> None:
    hold(receiver.engine, 2, forged=1)
    id_ = ask(receiver.engine, outcome="bad_signature", requested_by="the log reader")
    finished(receiver.engine, id_)
    until(lambda: replays(receiver, "the log reader") != [])
    (line,) = replays(receiver, "the log reader")
    assert (line["request_id"], line["vendor"], line["state"]) == (id_, V, "done")
    assert (line["taken"], line["still_refused"]) == (2, 1)
    assert "Discovery" not in receiver.log.read_text()


def test_a_request_that_is_not_possible_fails_with_one_line(
    receiver: Receiver,
) -> None:
    hold(receiver.engine, 1)
    unknown = finished(receiver.engine, ask(receiver.engine, vendor="acme"))
    assert unknown.state == "failed"
    served = ", ".join(sorted(ADAPTERS))
    assert unknown.problem == f"Vendor 'acme' is not served here. Use one of {served}."
    odd = finished(receiver.engine, ask(receiver.engine, outcome="too_large"))
    assert (odd.state, odd.problem.splitlines()) == ("failed", [odd.problem])
    assert counts(finished(receiver.engine, ask(receiver.engine))) == (1, 0, 0)


def test_a_request_whose_receiver_died_runs_again_and_a_running_one_does_not(
    receiver: Receiver,
) -> None:
    hold(receiver.engine, 2)
    now = datetime.now(UTC)
    running = ask(receiver.engine, state="running", seen_at=now - timedelta(minutes=9))
    died = ask(receiver.engine, state="running", seen_at=now - timedelta(minutes=11), taken=5)
    assert counts(finished(receiver.engine, died)) == (7, 0, 0)
    assert row(receiver.engine, ReplayRequest, id=running).state == "running"


def test_several_receivers_carry_out_each_request_once(store_url: str, tmp_path: Path) -> None:
    kept = {"RETENTION_DAYS": "0"}  # the deliveries are old
    with Receiver(store_url, tmp_path, **kept) as one, Receiver(store_url, tmp_path, **kept) as two:
        hold(one.engine, 40)
        requests = [ask(one.engine) for _ in range(6)]
        taken = [finished(one.engine, id_).taken for id_ in requests]
        until(lambda: len(replays(one) + replays(two)) >= 6)
        assert sum(taken) == count(one.engine, Event) == 40
        assert len(replays(one) + replays(two)) == 6
        assert count(one.engine, AuditLog) == 6


def test_one_of_several_receivers_runs_a_request(store: Engine) -> None:
    requests = [ask(store, dry_run=True) for _ in range(40)]
    start = Barrier(2)

    def carry_out_all(_: int) -> int:
        start.wait()
        done = 0
        while carry_out_next(store, {V: vendor(NEW)}, stopping=lambda: False):
            done += 1
        return done

    with ThreadPoolExecutor(2) as pool:
        assert sum(pool.map(carry_out_all, range(2))) <= len(requests)
    assert count(store, AuditLog) == len(requests)


def test_a_stopped_receiver_reopens_its_request_and_the_next_one_does_the_rest(
    store_url: str, tmp_path: Path
) -> None:
    events = 5000
    with Receiver(store_url, tmp_path, RETENTION_DAYS="0") as receiver:
        hold(receiver.engine, events)
        id_ = ask(receiver.engine)
        until(lambda: row(receiver.engine, ReplayRequest, id=id_).taken > 0)
        assert receiver.stop() == 0
        request = row(receiver.engine, ReplayRequest, id=id_)
        assert request.state == "requested"
        assert 0 < request.taken == count(receiver.engine, Event) < events
    with Receiver(store_url, tmp_path, RETENTION_DAYS="0") as receiver:
        assert counts(finished(receiver.engine, id_)) == (events, 0, 0)
        assert count(receiver.engine, Event) == events
        assert_totals_are_exact(receiver.engine)


def test_deliveries_are_accepted_while_a_replay_runs(receiver: Receiver) -> None:
    hold(receiver.engine, 3000)
    with Load(receiver.url, "live") as load:
        until(lambda: len(load.acknowledged) > 20)
        before = len(load.acknowledged)
        assert counts(finished(receiver.engine, ask(receiver.engine))) == (3000, 0, 0)
        assert len(load.acknowledged) > before
    assert load.acknowledged == set(load.sent)
    assert count(receiver.engine, Event) == 3000 + len(load.sent)
    assert {one.outcome for one in rows(receiver.engine, Delivery)} == {
        "accepted", "bad_signature",
    }  # fmt: skip
    assert {one.state for one in rows(receiver.engine, Quarantine)} == {"replayed"}


def test_a_receiver_outlives_a_store_that_is_gone_for_a_while_and_then_replays(
    receiver: Receiver,
) -> None:
    hold(receiver.engine, 1)
    table = table_of(ReplayRequest)
    with receiver.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE replay_request RENAME TO away")
    until(lambda: any(one["event"] == "chore_failed" for one in receiver.log_lines()))
    with receiver.engine.begin() as connection:
        connection.exec_driver_sql(f"ALTER TABLE away RENAME TO {table.name}")
    assert counts(finished(receiver.engine, ask(receiver.engine))) == (1, 0, 0)
