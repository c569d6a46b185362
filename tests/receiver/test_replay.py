"""Replay of quarantined deliveries: those that pass are accepted once, the others stay."""

from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from sqlalchemy import Engine

from receiver.errors import ReplayError, Stopping
from receiver.readmodels.rebuild import rebuild
from receiver.replay import Replayed, replay
from receiver.vendors.base import Incoming, Vendor, VendorEvent
from receiver.vendors.mindtickle import MindTickle
from shared.models import (
    AuditLog,
    Delivery,
    DeliveryHourly,
    Event,
    Quarantine,
    QuarantineTotal,
    Table,
)
from shared.queries import leaderboard
from shared.queries.movement import Board
from tests import playing
from tests.holding import (
    ARRIVAL,
    V,
    assert_totals_are_exact,
    incoming,
    of_body,
    take,
    vendor,
)
from tests.running import Receiver, command
from tests.stores import count, read_models, row, rows

OLD, NEW = "secret-old", "secret-new"
MINUTE = timedelta(minutes=1)
NOTHING = Replayed(0, 0, 0)


def vendors(*secrets: str, **settings: Any) -> Mapping[str, Vendor]:
    return {V: vendor(*secrets, **settings)}


def states(engine: Engine) -> list[str]:
    """The states in quarantine, oldest first."""
    return [one.state for one in rows(engine, Quarantine)]


def everything(engine: Engine, *but: str) -> dict[str, list[tuple[Any, ...]]]:
    """All rows of all tables except some."""
    with engine.connect() as connection:
        return {
            table.name: sorted(map(tuple, connection.execute(table.select())), key=repr)
            for table in Table.metadata.sorted_tables
            if table.name not in but
        }


# The story of a rotated secret, from start to end


class Rotation:
    """A store and a folder in which receivers run, first under one secret, then under another."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        self.folder = folder

    def receiver(self, secret: str) -> Receiver:
        return Receiver(self.url, self.folder, MINDTICKLE_WEBHOOK_SECRET=secret)

    def replay(self, *more: str, secret: str = NEW) -> str:
        """What `python -m receiver replay` says."""
        ended = command(
            "replay", "--vendor", V, *more,
            folder=self.folder, DATABASE_URL=self.url, MINDTICKLE_WEBHOOK_SECRET=secret,
            MINDTICKLE_COMPANY_ID=playing.COMPANY,
        )  # fmt: skip
        assert (ended.returncode, ended.stderr) == (0, "")
        return ended.stdout


@pytest.fixture
def rotation(store_url: str, tmp_path: Path) -> Rotation:
    return Rotation(store_url, tmp_path)


def send(receiver: Receiver, secret: str, user: str, pct: int, event_id: str) -> dict[str, Any]:
    """Progress of a learner under a secret; the answer."""
    body = playing.body_of("module.progress", playing.progress(user, progressPct=pct))
    answer = receiver.post(body, playing.signed(body, datetime.now(UTC), event_id, secret))
    return dict(answer.json())


def test_events_refused_under_a_rotated_secret_are_replayed_and_their_retries_are_duplicates(
    rotation: Rotation, store: Engine
) -> None:
    users = {"u-1": 30, "u-2": 60, "u-3": 90}
    with rotation.receiver(OLD) as receiver:
        assert send(receiver, OLD, "u-1", 10, "before") == {"received": True}
        for user, pct in users.items():
            assert send(receiver, NEW, user, pct, f"evt-{user}")["error"] == "bad_signature"
        send(receiver, "forged", "u-1", 100, "forged")
    hours = rows(store, DeliveryHourly)
    arrivals = {one.event_key: one.received_at for one in rows(store, Delivery)}

    with rotation.receiver(NEW) as receiver:
        said = rotation.replay("--dry-run")
        assert (
            said == "Dry run: 3 accepted, 0 already delivered, 1 still refused (1 bad_signature)\n"
        )
        assert count(store, Event) == 1
        said = rotation.replay("--since", "1h", "--reason", "bad_signature")
        assert said == "3 accepted, 0 already delivered, 1 still refused (1 bad_signature)\n"

        receiver.followed()
        with store.connect() as connection:
            board = leaderboard.learners(connection, "average", Board())
        assert {one.key.partition("/")[2]: one.average for one in board} == users
        events = {one.event_key: one.received_at for one in rows(store, Event)}
        assert events == {key: at for key, at in arrivals.items() if key != "forged"}
        assert rows(store, DeliveryHourly) == hours
        assert states(store) == ["replayed", "replayed", "replayed", "held"]

        for user, pct in users.items():
            assert send(receiver, NEW, user, pct, f"evt-{user}") == {"duplicate": True}
        assert (
            rotation.replay()
            == "0 accepted, 0 already delivered, 1 still refused (1 bad_signature)\n"
        )
    with store.connect() as connection:
        live = read_models(connection)
    rebuild(store)
    with store.connect() as connection:
        assert read_models(connection) == live
    assert_totals_are_exact(store)


def test_a_delivery_that_the_vendors_retry_brought_first_is_discarded_by_the_replay(
    rotation: Rotation, store: Engine
) -> None:
    with rotation.receiver(OLD) as receiver:
        # Their bodies differ: two equal ones signed in the same second would be one delivery.
        for pct, event_id in ((50, "evt-1"), (60, "evt-2")):
            send(receiver, NEW, "u-1", pct, event_id)
    with rotation.receiver(NEW) as receiver:
        assert send(receiver, NEW, "u-1", 50, "evt-1") == {"received": True}
        came = row(store, Event)
        said = rotation.replay("--dry-run")
        assert said == "Dry run: 1 accepted, 1 already delivered, 0 still refused\n"
        assert rotation.replay() == "1 accepted, 1 already delivered, 0 still refused\n"
    assert states(store) == ["discarded", "replayed"]
    assert row(store, Event, event_key="evt-1") == came
    assert_totals_are_exact(store)


# Accepted deliveries and their times


def test_an_event_keeps_the_time_of_its_first_arrival_and_its_delivery_says_what_it_replays(
    store: Engine,
) -> None:
    (original,) = take(store, [incoming("e", NEW)], vendor(OLD))
    hours = rows(store, DeliveryHourly)
    began = datetime.now(UTC)
    assert replay(store, vendors(NEW), V) == Replayed(taken=1)
    event = row(store, Event)
    again = row(store, Delivery, id=event.delivery_id)
    assert event.received_at == event.occurred_at == ARRIVAL
    assert (again.replay_of, again.outcome, again.remote_ip) == (
        original.delivery_id, "accepted", "::1",
    )  # fmt: skip
    assert began <= again.received_at <= datetime.now(UTC)
    assert row(store, Delivery, id=original.delivery_id).outcome == "bad_signature"
    assert rows(store, DeliveryHourly) == hours


def test_the_first_of_several_refused_attempts_is_accepted_and_the_others_are_discarded(
    store: Engine,
) -> None:
    attempts = [incoming("e", NEW, at=ARRIVAL + n * MINUTE) for n in range(3)]
    take(store, attempts, vendor(OLD))
    for dry_run in (True, False):
        assert replay(store, vendors(NEW), V, dry_run=dry_run) == Replayed(1, 2, 0)
    assert states(store) == ["replayed", "discarded", "discarded"]
    assert row(store, Event).received_at == ARRIVAL


def test_a_replay_verifies_a_delivery_as_of_its_arrival(store: Engine) -> None:
    fresh, stale = incoming("fresh", NEW, age=MINUTE), incoming("stale", NEW, age=60 * MINUTE)
    take(store, [fresh, stale], vendor(OLD))
    assert replay(store, vendors(NEW, past=600), V) == Replayed(1, 0, 1, Counter(stale_timestamp=1))
    assert row(store, Event).event_key == "fresh"
    assert replay(store, vendors(NEW, past=3600), V) == Replayed(1, 0, 0)


def test_a_company_put_right_lets_its_deliveries_in(store: Engine) -> None:
    take(store, [incoming("e", NEW)], vendor(NEW, company="globex"))
    assert replay(store, vendors(NEW), V) == Replayed(taken=1)


def test_a_captured_delivery_under_another_id_gives_no_second_event(store: Engine) -> None:
    captured = incoming("first", NEW)
    again = captured._replace(headers={**captured.headers, "x-mt-event-id": b"second"})
    take(store, [captured, again], vendor(OLD))
    for dry_run in (True, False):
        assert replay(store, vendors(NEW), V, dry_run=dry_run) == Replayed(1, 1, 0)
    assert count(store, Event) == 1


def test_a_delivery_that_does_not_verify_today_is_not_accepted(store: Engine) -> None:
    other_company = playing.body_of("module.progress", playing.progress(), company="globex")
    unsigned = incoming("unsigned", NEW)._replace(headers={})
    tampered = incoming("tampered", NEW)
    take(
        store,
        [
            incoming("forged", "forged"),
            incoming("retired", OLD),
            of_body(other_company, "other", NEW),
            of_body(b"{", "broken", NEW),
            incoming("old", NEW, age=timedelta(days=2)),
            tampered._replace(body=tampered.body + b" "),
            unsigned,
        ],
        vendor("another", company="acme"),
    )
    before = everything(store, "audit_log")
    assert replay(store, vendors(NEW), V) == Replayed(
        still_refused=7,
        refused_as=Counter(
            bad_signature=3, wrong_company=1, unreadable=1, stale_timestamp=1, missing_credentials=1
        ),
    )
    assert everything(store, "audit_log") == before
    assert count(store, Event) == 0


def test_a_second_replay_changes_nothing(store: Engine) -> None:
    take(store, mixed(), vendor(OLD))
    assert replay(store, vendors(NEW), V) == Replayed(6, 3, 3, Counter(bad_signature=3))
    before = everything(store, "audit_log")
    assert replay(store, vendors(NEW), V) == Replayed(0, 0, 3, Counter(bad_signature=3))
    assert everything(store, "audit_log") == before


def mixed() -> list[Incoming]:
    """Six events, one of them in four attempts, and three that are forged."""
    attempts = [incoming("e-0", NEW, at=ARRIVAL + n * MINUTE) for n in range(4)]
    others = [incoming(f"e-{n}", NEW, user=f"u-{n}") for n in range(1, 6)]
    return [*attempts, *others, *(incoming(f"f-{n}", "forged") for n in range(3))]


def test_a_dry_run_counts_as_the_replay_will_and_changes_only_the_audit_log(store: Engine) -> None:
    take(store, mixed(), vendor(OLD))
    take(store, [incoming("e-3", NEW, user="u-3")], vendor(NEW))
    before = everything(store, "audit_log")
    would = replay(store, vendors(NEW), V, dry_run=True)
    assert everything(store, "audit_log") == before
    assert replay(store, vendors(NEW), V) == would == Replayed(5, 4, 3, Counter(bad_signature=3))


def test_the_totals_of_quarantine_stay_exact(store: Engine) -> None:
    take(store, [*mixed(), of_body(b"{", "broken", OLD)], vendor(OLD))
    assert_totals_are_exact(store)
    replay(store, vendors(NEW), V)
    assert_totals_are_exact(store)
    assert {one.kind: one.held for one in rows(store, QuarantineTotal)} == {
        "authentic": 1, "junk": 0, "well_formed": 3,
    }  # fmt: skip
    assert {one.dropped for one in rows(store, QuarantineTotal)} == {0}


def test_only_the_requested_deliveries_are_replayed(store: Engine) -> None:
    late = incoming("late", NEW, at=ARRIVAL + timedelta(days=3))
    take(store, [incoming("early", NEW), late], vendor(OLD))
    take(store, [incoming("company", NEW)], vendor(NEW, company="globex"))
    since = ARRIVAL + timedelta(days=1)
    assert replay(store, vendors(NEW), V, since=since) == Replayed(taken=1)
    assert row(store, Event).event_key == "late"
    assert replay(store, vendors(NEW), V, outcome="wrong_company") == Replayed(taken=1)
    assert replay(store, vendors(NEW), V, outcome="stale_timestamp") == NOTHING
    assert replay(store, vendors(NEW), V) == Replayed(taken=1)


def test_many_large_bodies_are_all_accepted(store: Engine) -> None:
    def large(n: int) -> Incoming:
        return of_body(playing.body_of("badge.earned", {"n": n, "x": "x" * 900_000}), f"e-{n}", NEW)

    take(store, map(large, range(25)), vendor(OLD))
    steps: list[Replayed] = []
    assert replay(store, vendors(NEW), V, on_progress=steps.append) == Replayed(taken=25)
    assert [step.taken for step in steps] == [9, 18, 25]  # 8 MiB at a time


class Odd(MindTickle):
    """An adapter with a bug: the store cannot hold one of its events."""

    def parse(self, incoming: Incoming) -> VendorEvent:
        event = super().parse(incoming)
        if event.event_key == "odd":
            return VendorEvent(**{name: getattr(event, name) for name in event.__slots__}
                               | {"payload": "\ud800"})  # fmt: skip
        return event


def test_one_that_the_store_refuses_does_not_cost_the_others(store: Engine) -> None:
    take(store, [incoming(key, NEW) for key in ("a", "odd", "b")], vendor(OLD))
    odd = {V: Odd([NEW.encode()], playing.COMPANY, past=600, future=300)}
    assert replay(store, odd, V) == Replayed(2, 0, 1)
    assert states(store) == ["replayed", "held", "replayed"]
    assert_totals_are_exact(store)


def test_two_replays_at_once_accept_each_delivery_once(store: Engine) -> None:
    take(store, [incoming(f"e-{n}", NEW, user=f"u-{n % 9}") for n in range(900)], vendor(OLD))
    start = Barrier(2)

    def run(actor: str) -> Replayed:
        start.wait()
        return replay(store, vendors(NEW), V, actor=actor)

    with ThreadPoolExecutor(2) as pool:
        one, other = pool.map(run, ("one", "other"))
    assert one.plus(other) == Replayed(taken=900)
    assert set(states(store)) == {"replayed"}
    replayed = [one.replay_of for one in rows(store, Delivery) if one.replay_of]
    assert sorted(replayed) == [one.delivery_id for one in rows(store, Quarantine)]
    assert_totals_are_exact(store)


# Refused and stopped replays, and the audit log


@pytest.mark.parametrize(
    ("slug", "outcome", "said"),
    [
        ("lessonly", None, "'lessonly' is not served here. Use one of mindtickle"),
        (V, "accepted", "'accepted'"),
        (V, "too_large", "'too_large'"),
        (V, "bad", "Use one of missing_credentials, bad_signature,"),
    ],
)
def test_an_unknown_vendor_or_an_outcome_without_quarantine_is_refused(
    store: Engine, slug: str, outcome: str | None, said: str
) -> None:
    with pytest.raises(ReplayError, match=said):
        replay(store, vendors(NEW), slug, outcome=outcome)
    assert count(store, AuditLog) == 0


def test_a_stopped_replay_keeps_its_results_and_the_next_one_does_the_rest(
    store: Engine,
) -> None:
    take(store, [incoming(f"e-{n}", NEW) for n in range(500)], vendor(OLD))
    with pytest.raises(Stopping):
        replay(store, vendors(NEW), V, stopping=lambda: True)
    assert count(store, Event) == 200
    assert row(store, AuditLog).detail == (
        "200 accepted, 0 already delivered, 0 still refused; stopped early"
    )
    assert replay(store, vendors(NEW), V) == Replayed(taken=300)


def test_each_replay_and_dry_run_is_in_the_audit_log(store: Engine) -> None:
    take(store, mixed(), vendor(OLD))
    replay(store, vendors(NEW), V, actor="dana", dry_run=True)
    replay(store, vendors(NEW), V, since=ARRIVAL, outcome="bad_signature")
    notes = [(one.actor, one.action, one.subject, one.detail) for one in rows(store, AuditLog)]
    counts = "6 accepted, 3 already delivered, 3 still refused (3 bad_signature)"
    assert notes == [
        ("dana", "replay dry run", V, counts),
        ("command line", "replay", V,
         f"{counts}; since 2025-09-01T12:00:00+00:00; refused as bad_signature"),
    ]  # fmt: skip
