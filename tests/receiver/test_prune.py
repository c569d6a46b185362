"""Retention: old deliveries and their quarantine are removed, events and hourly totals stay."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, select

from receiver.errors import Stopping
from receiver.prune import Pruned, prune
from receiver.replay import Replayed, replay
from shared.bulk import table_of
from shared.database import open_engine
from shared.models import (
    AuditLog,
    Delivery,
    DeliveryHourly,
    Event,
    Notification,
    Quarantine,
    QuarantineTotal,
)
from tests.conftest import FreshStore
from tests.holding import V, assert_totals_are_exact, incoming, take, vendor
from tests.running import Receiver, command, until
from tests.shared.tables import add
from tests.stores import count, read_models, row, rows

SECRET = "secret-one"
DAY = timedelta(days=1)


def fill(engine: Engine) -> None:
    """From 100 and from 80 days ago each: two events, one quarantined delivery, one replayed."""
    now = datetime.now(UTC)
    for age in (100, 80):
        at = now - age * DAY
        taken = [incoming(f"e-{age}-{n}", SECRET, user=f"u-{n}", at=at) for n in range(2)]
        take(engine, taken, vendor(SECRET))
        take(engine, [incoming(f"late-{age}", SECRET, at=at)], vendor("another"))
        replay(engine, {V: vendor(SECRET)}, V)
        take(engine, [incoming(f"held-{age}", "forged", at=at)], vendor(SECRET))
    with engine.begin() as connection:
        connection.execute(table_of(AuditLog).delete())


def test_old_deliveries_are_removed_and_newer_ones_stay(store: Engine) -> None:
    fill(store)
    assert prune(store, 90) == Pruned(deliveries=4, quarantined=2)
    old = datetime.now(UTC) - 90 * DAY
    assert [one for one in rows(store, Delivery) if one.received_at < old] == []
    assert count(store, Delivery) == 10 - 4
    assert [one.state for one in rows(store, Quarantine)] == ["replayed", "held"]
    assert prune(store, 90) == Pruned()


def test_what_was_sent_to_people_long_ago_is_removed(store: Engine) -> None:
    usual = {"rule": "weekly", "subject": "weekly", "recipient": "a", "subscription_id": 1,
             "channel": "sales", "urgent": False, "state": "sent", "attempts": 1}  # fmt: skip
    for age in (100, 80):
        at = datetime.now(UTC) - age * DAY
        row_of_age = {"round": f"{age}", "caused_at": at, "next_try_at": at}
        add(store, Notification, [usual | row_of_age])
    prune(store, 90)
    assert row(store, Notification).round == "80"


def test_events_read_models_and_roll_ups_stay(store: Engine) -> None:
    fill(store)
    events, hours = rows(store, Event), rows(store, DeliveryHourly)
    with store.connect() as connection:
        before = read_models(connection)
    prune(store, 1)
    assert (rows(store, Event), rows(store, DeliveryHourly)) == (events, hours)
    assert (len(events), len(hours)) == (6, 4)
    with store.connect() as connection:
        assert read_models(connection) == before


def test_the_totals_of_quarantine_stay_exact_and_count_no_drop(store: Engine) -> None:
    fill(store)
    prune(store, 90)
    assert_totals_are_exact(store)
    held = {one.kind: (one.held, one.dropped) for one in rows(store, QuarantineTotal)}
    assert held == {"authentic": (0, 0), "junk": (0, 0), "well_formed": (1, 0)}


def test_it_is_noted_in_the_audit_log_if_anything_was_removed(store: Engine) -> None:
    fill(store)
    prune(store, 90)
    prune(store, 90)
    note = row(store, AuditLog)
    assert (note.actor, note.action) == ("command line", "prune")
    assert note.detail == "4 deliveries, 2 of them quarantined; 90 days kept"


def test_many_deliveries_are_removed_in_several_transactions(store: Engine) -> None:
    at = datetime.now(UTC) - 100 * DAY
    take(store, [incoming(f"f-{n}", "forged", at=at) for n in range(2300)], vendor(SECRET))
    with pytest.raises(Stopping):
        prune(store, 90, stopping=lambda: True)
    assert count(store, Delivery) == count(store, Quarantine) == 1300
    assert_totals_are_exact(store)
    assert prune(store, 90) == Pruned(1300, 1300)


def test_a_body_that_a_replay_has_locked_is_removed_next_time(fresh_store: FreshStore) -> None:
    with fresh_store("postgres") as url:
        engine = open_engine(url, intake=True)
        fill(engine)
        held = table_of(Quarantine)
        with engine.begin() as replaying:
            locked = select(held.c.delivery_id).where(held.c.state == "held").with_for_update()
            replaying.execute(locked)
            assert prune(engine, 90) == Pruned(deliveries=3, quarantined=1)
        assert prune(engine, 90) == Pruned(deliveries=1, quarantined=1)
        assert_totals_are_exact(engine)
        engine.dispose()


def test_a_vendors_retry_of_an_event_whose_delivery_is_gone_is_still_a_duplicate(
    store: Engine,
) -> None:
    at = datetime.now(UTC) - 100 * DAY
    take(store, [incoming("e", SECRET, at=at)], vendor(SECRET))
    prune(store, 90)
    (again,) = take(store, [incoming("e", SECRET, at=at)], vendor(SECRET))
    assert again.outcome == "duplicate"
    assert replay(store, {V: vendor(SECRET)}, V) == Replayed()


# As a command, and by a running receiver


@pytest.fixture
def run(store: Engine, store_url: str, tmp_path: Path) -> Callable[..., str]:
    fill(store)

    def run(*arguments: str, **settings: str) -> str:
        ended = command("prune", *arguments, folder=tmp_path, DATABASE_URL=store_url, **settings)
        assert (ended.returncode, ended.stderr) == (0, "")
        return ended.stdout

    return run


def test_the_command_prints_what_it_removed(run: Callable[..., str], store: Engine) -> None:
    assert run() == "Removed 4 deliveries, 2 of them quarantined.\n"
    assert run(RETENTION_DAYS="70") == "Removed 4 deliveries, 2 of them quarantined.\n"
    assert count(store, Event) == 6


def test_an_option_overrides_the_setting_and_zero_keeps_all(
    run: Callable[..., str], store: Engine
) -> None:
    assert run(RETENTION_DAYS="0") == (
        "Nothing removed. RETENTION_DAYS is 0, which keeps all deliveries.\n"
    )
    assert count(store, Delivery) == 10
    assert run("--days", "90", RETENTION_DAYS="0").startswith("Removed 4 deliveries")


@pytest.mark.parametrize("days", ["0", "-1", "soon", "99999"])
def test_a_wrong_number_of_days_is_refused(sqlite_url: str, tmp_path: Path, days: str) -> None:
    ended = command("prune", "--days", days, folder=tmp_path, DATABASE_URL=sqlite_url)
    assert ended.returncode != 0
    assert "--days" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_running_receiver_prunes_by_itself(store: Engine, store_url: str, tmp_path: Path) -> None:
    fill(store)
    with Receiver(store_url, tmp_path, RETENTION_DAYS="90") as receiver:
        until(lambda: any(one["event"] == "pruned" for one in receiver.log_lines()))
        (line,) = [one for one in receiver.log_lines() if one["event"] == "pruned"]
    assert (line["days"], line["deliveries"], line["quarantined"]) == (90, 4, 2)
    assert count(store, Delivery) == 6
    assert row(store, AuditLog).actor == "receiver"


def test_a_receiver_that_keeps_for_ever_removes_nothing(
    store: Engine, store_url: str, tmp_path: Path
) -> None:
    fill(store)
    with Receiver(store_url, tmp_path, RETENTION_DAYS="0") as receiver:
        assert receiver.deliver("badge.earned", {}).json() == {"received": True}
        assert receiver.stop() == 0
    assert count(store, Delivery) == 11
