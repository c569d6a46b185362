"""Requests of strangers: a sample has rows, all are counted, none raises an alarm."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine

from receiver.pipeline import judge
from receiver.replay import Replayed, replay
from receiver.store import write_batch
from receiver.vendors import vendor_facts
from receiver.vendors.base import Incoming
from shared.diagnosis import Severity, diagnose
from shared.evidence import Evidence
from shared.models import Delivery, DeliveryHourly, Event, Quarantine
from shared.outcomes import STRANGERS_LISTED, Outcome, Sender
from shared.queries import deliveries, failures, missing
from shared.queries.evidence import gather
from shared.retries import Forecast
from shared.settings import ReceiverSettings, Settings
from tests import playing
from tests.conftest import FreshStore
from tests.holding import V, incoming, of_body, take, vendor
from tests.running import Receiver
from tests.stores import count, row, rows

SECRET, OTHER = "secret-one", "secret-other"
NOW = datetime(2026, 3, 10, 12, 30, tzinfo=UTC)  # a Tuesday
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
OURS = vendor(SECRET)
MINDTICKLE = vendor_facts(ReceiverSettings(_env_file=None))[V]


def unsigned(number: int, at: datetime = NOW) -> Incoming:
    return Incoming({}, b"%d" % number, "192.0.2.1", at)


def badly_signed(number: int, at: datetime = NOW) -> Incoming:
    """With an event id, and a body that is not MindTickle's."""
    return of_body(b'{"n": %d}' % number, f"claimed-{number}", OTHER, at)


def forged(number: int, at: datetime = NOW) -> Incoming:
    """A wrong signature over a body that is as MindTickle's."""
    return incoming(f"forged-{number}", OTHER, at=at)


def good(number: int, at: datetime = NOW) -> Incoming:
    return incoming(f"good-{number}", SECRET, at=at)


def requests(engine: Engine, **wanted: Any) -> int:
    return sum(one.deliveries for one in rows(engine, DeliveryHourly, **wanted))


def gathered(engine: Engine, now: datetime = NOW) -> Evidence:
    with engine.connect() as connection:
        return gather(connection, MINDTICKLE, now - 24 * HOUR, now, Settings(_env_file=None))


def kinds(evidence: Evidence) -> dict[str, Severity]:
    return {one.kind: one.severity for one in diagnose(evidence)}


@pytest.fixture
def connection(store: Engine) -> Iterator[Connection]:
    with store.connect() as connection:
        yield connection


# Rows and counts


def test_the_first_requests_of_an_hour_have_rows_and_all_are_counted(store: Engine) -> None:
    written = take(store, [unsigned(n) for n in range(STRANGERS_LISTED - 10)], OURS)
    written += take(store, [unsigned(n) for n in range(1_000, 1_030)], OURS)
    assert count(store, Delivery) == count(store, Quarantine) == STRANGERS_LISTED
    assert requests(store, sender=Sender.STRANGER) == STRANGERS_LISTED + 20
    assert [one.delivery_id for one in written[STRANGERS_LISTED:]] == [None] * 20
    assert {one.outcome for one in written} == {Outcome.MISSING_CREDENTIALS}


def test_the_next_hour_and_another_outcome_have_rows_of_their_own(store: Engine) -> None:
    take(store, [unsigned(n) for n in range(STRANGERS_LISTED + 1)], OURS)
    take(store, [unsigned(1, NOW + HOUR), badly_signed(1)], OURS)
    assert count(store, Delivery) == STRANGERS_LISTED + 2


def test_what_may_be_the_vendors_has_a_row_between_any_number_of_strangers(store: Engine) -> None:
    sent = [one(n) for n in range(80) for one in (unsigned, forged, good)]
    written = take(store, sent, OURS)
    assert len(rows(store, Delivery, sender=Sender.VENDOR)) == 160
    assert len(rows(store, Delivery, sender=Sender.STRANGER)) == STRANGERS_LISTED
    outcomes = [one.outcome for one in written]
    assert outcomes == [Outcome.MISSING_CREDENTIALS, Outcome.BAD_SIGNATURE, Outcome.ACCEPTED] * 80
    by_id = {one.id: one.outcome for one in rows(store, Delivery)}
    listed = [one for one in written if one.delivery_id]
    assert all(by_id[one.delivery_id] == one.outcome for one in listed)


def test_the_sample_holds_over_a_restart_and_every_request_is_in_the_metrics(
    store_url: str, store: Engine, tmp_path: Path
) -> None:
    for _ in range(2):
        with Receiver(store_url, tmp_path) as receiver:
            answers = [receiver.post(b"%d" % n, {}).status_code for n in range(40)]
            labels = f'outcome="missing_credentials",vendor="{V}"'
            assert receiver.metric(f"repboard_deliveries_total{{{labels}}}") == 40
            assert answers == [401] * 40
    hours = {one.hour for one in rows(store, DeliveryHourly)}
    assert count(store, Delivery) <= STRANGERS_LISTED * len(hours)
    assert requests(store, sender=Sender.STRANGER) == 80


@pytest.mark.parametrize(("signed", "sender"), [(True, "vendor"), (False, "stranger")])
def test_a_body_that_is_too_large_may_be_the_vendors_if_it_claims_a_signature(
    lasting_receiver: Receiver, signed: bool, sender: str
) -> None:
    body = b"x" * 1_100_000
    event_id = playing.new_id()
    headers = playing.signed(body, datetime.now(UTC), event_id)
    if not signed:
        headers.pop("x-mt-webhook-signature")
    assert lasting_receiver.post(body, headers).status_code == 413
    assert row(lasting_receiver.engine, Delivery, event_key=event_id).sender == sender


@pytest.mark.parametrize(
    "headers",
    [
        {"x-mt-webhook-signature": "x", "x-mt-webhook-timestamp": "x"},
        {"x-mt-webhook-signature": "x"},
        {"x-mt-webhook-timestamp": "1763800200"},
        {"x-mt-webhook-timestamp": "x"},
    ],
    ids=str,
)
def test_a_body_that_is_too_large_under_garbage_headers_is_a_strangers(
    lasting_receiver: Receiver, headers: dict[str, str]
) -> None:
    body, event_id = b"x" * 1_100_000, playing.new_id()
    sent = playing.signed(body, datetime.now(UTC), event_id) | headers
    assert lasting_receiver.post(body, sent).status_code == 413
    stored = row(lasting_receiver.engine, Delivery, event_key=event_id)
    assert stored.sender == Sender.STRANGER


def test_of_bodies_that_are_too_large_an_hour_has_a_sample(store: Engine) -> None:
    """They cannot be verified, so anyone could fill the store."""
    one = judge(OURS, forged(1))
    large = replace(one, outcome=Outcome.TOO_LARGE, quarantined=None)
    with store.begin() as connection:
        for _ in range(2):
            write_batch(connection, [large] * (STRANGERS_LISTED - 10))
    assert count(store, Delivery) == STRANGERS_LISTED
    assert requests(store, sender=Sender.VENDOR) == 2 * (STRANGERS_LISTED - 10)


# What they count in


def test_strangers_after_the_last_good_delivery_raise_no_alarm(
    store: Engine, connection: Connection
) -> None:
    take(store, [good(n, NOW - 5 * HOUR + n * MINUTE) for n in range(20)], OURS)
    after = [NOW - 3 * HOUR + n * 10 * MINUTE for n in range(6)]
    take(store, [unsigned(n, at) for n, at in enumerate(after)], OURS)
    take(store, [badly_signed(n, at) for n, at in enumerate(after)], OURS)
    seen = gathered(store)
    assert (seen.failing, seen.suspension, seen.silence, seen.failures) == (None, None, None, {})
    assert seen.forecast == Forecast()
    assert kinds(seen) == {"strangers": Severity.NOTE, "missing-subscription": Severity.WARNING}
    assert seen.strangers.total == 12
    assert missing.missing(connection, None) == []
    assert deliveries.last(connection, V) == deliveries.last(connection, None)
    assert deliveries.last(connection, V) == NOW - 5 * HOUR + 19 * MINUTE
    assert tuple(deliveries.totals(connection, NOW - 24 * HOUR, V)) == (20, 20)
    assert deliveries.causes(connection, NOW - 24 * HOUR, V) == []
    assert {row.outcome for row in deliveries.by_hour(connection, NOW - 24 * HOUR, V)} == {
        "accepted"
    }


def test_strangers_do_not_count_as_the_usual_rhythm(store: Engine, connection: Connection) -> None:
    take(store, [good(1, NOW - timedelta(days=8)), *map(unsigned, range(90))], OURS)
    usual = failures.rhythm(connection, V, NOW)
    assert sum(usual.values()) < 1


def test_pages_say_how_many_strangers_have_no_row(store: Engine, connection: Connection) -> None:
    take(store, [unsigned(n) for n in range(STRANGERS_LISTED + 7)], OURS)
    take(store, [badly_signed(n, NOW + HOUR) for n in range(3)], OURS)
    found = deliveries.strangers(connection, NOW - 24 * HOUR, V)
    assert [tuple(row) for row in found] == [
        ("missing_credentials", STRANGERS_LISTED + 7, 7),
        ("bad_signature", 3, 0),
    ]


def test_lists_tell_strangers_from_vendors(store: Engine, connection: Connection) -> None:
    take(store, [unsigned(1), badly_signed(1), forged(1), good(1)], OURS)

    def listed(**wanted: Any) -> list[str]:
        found = deliveries.search(connection, deliveries.Search(NOW - HOUR, **wanted))
        return sorted(row.outcome for row in found)

    assert listed() == ["bad_signature"]
    assert listed(failed=False, sender=Sender.VENDOR) == ["accepted", "bad_signature"]
    assert listed(failed=False, sender=Sender.STRANGER) == ["bad_signature", "missing_credentials"]
    assert len(listed(failed=False)) == 4


def test_forged_posts_while_deliveries_are_accepted_are_no_rotated_secret(store: Engine) -> None:
    """One an hour is usual; five forged ones come in the minutes after a good one."""
    weeks = [NOW - n * HOUR for n in range(24 * 14)]
    take(store, [good(n, at) for n, at in enumerate(weeks)], OURS)
    take(store, [forged(n, NOW + n * MINUTE) for n in range(1, 7)], OURS)
    seen = gathered(store, NOW + 10 * MINUTE)
    assert (seen.failing, seen.suspension) == (None, None)
    assert seen.forecast == Forecast()
    assert kinds(seen)["forged"] is Severity.NOTE
    assert "rotated-secret" not in kinds(seen)


@pytest.mark.parametrize("history", [24 * 14, 24])
def test_a_rotated_secret_is_one_once_the_vendors_deliveries_stay_away(
    store: Engine, history: int
) -> None:
    take(store, [good(n, NOW - n * HOUR) for n in range(history)], OURS)
    take(store, [forged(n, NOW + n * 30 * MINUTE) for n in range(1, 7)], OURS)
    seen = gathered(store, NOW + 3 * HOUR)
    assert seen.failing is not None
    assert seen.suspension is not None
    assert kinds(seen)["rotated-secret"] is Severity.LOSING
    assert seen.forecast.quarantined == 6


def test_a_vendor_whose_credential_was_never_entered_gets_a_hint(
    store: Engine, connection: Connection
) -> None:
    event = playing.body_of("module.progress", playing.progress())
    take(store, [unsigned(n)._replace(body=event) for n in range(6)], OURS)
    assert kinds(gathered(store)) == {"missing-credentials": Severity.NOTE}


def test_a_vendor_whose_credential_is_lost_after_its_first_event_is_a_warning(
    store: Engine,
) -> None:
    """A stranger's request of before the last accepted delivery does not count."""
    event = playing.body_of("module.progress", playing.progress())
    lost = [unsigned(n, NOW + n * MINUTE)._replace(body=event) for n in range(6)]
    take(store, [lost[0], good(1, NOW + MINUTE / 2), *lost[1:5]], OURS)
    assert "missing-credentials" not in kinds(gathered(store, NOW + HOUR))
    take(store, lost[5:], OURS)
    assert kinds(gathered(store, NOW + HOUR))["missing-credentials"] is Severity.WARNING
    take(store, [good(2, NOW + 7 * MINUTE)], OURS)
    assert "missing-credentials" not in kinds(gathered(store, NOW + HOUR))


# Quarantined once


def sent_again(times: int, key: str = "e", secret: str = SECRET) -> list[Incoming]:
    """The same body, signed at the same moment, under another event id each time."""
    body = playing.body_of("module.progress", playing.progress(progressPct="x"))
    return [of_body(body, f"{key}-{n}", secret) for n in range(times)]


def test_a_repeated_authentic_body_is_quarantined_once_and_found_from_each(
    store: Engine, connection: Connection
) -> None:
    take(store, sent_again(3), OURS)
    take(store, sent_again(2, "later"), OURS)
    held = row(store, Quarantine)
    seen = rows(store, Delivery)
    assert [one.held_as for one in seen] == [None, *[held.delivery_id] * 4]
    details = [deliveries.detail(connection, one.id) for one in seen]
    assert {one and one.body for one in details} == {held.body}
    assert {one and one.state for one in details} == {"held"}


def test_two_events_with_one_body_are_both_quarantined(store: Engine) -> None:
    body = playing.body_of("module.progress", playing.progress(progressPct="x"))
    take(store, [of_body(body, f"e-{n}", SECRET, NOW + n * MINUTE) for n in range(2)], OURS)
    assert count(store, Quarantine) == 2


def test_a_repeated_refused_delivery_is_quarantined_once_and_replayed_once(store: Engine) -> None:
    one = incoming("e", OTHER)
    for minute in (0, 5, 20):
        take(store, [one._replace(received_at=one.received_at + minute * MINUTE)], OURS)
    assert count(store, Quarantine) == 1
    assert replay(store, {V: vendor(OTHER)}, V) == Replayed(1, 0, 0)
    assert count(store, Event) == 1


def test_a_forged_copy_never_stands_for_the_vendors_own(store: Engine) -> None:
    """Under a rotated secret neither verifies; only the vendor's does after the change."""
    real = incoming("e", OTHER)
    copy = real._replace(headers=real.headers | {"x-mt-webhook-signature": b"0" * 64})
    take(store, [copy, real], OURS)
    assert replay(store, {V: vendor(OTHER)}, V) == Replayed(1, 0, 1, Counter(bad_signature=1))


def test_a_replayed_body_is_quarantined_again_if_it_arrives_again(store: Engine) -> None:
    other = of_body(playing.body_of("module.progress", playing.progress(), "globex"), "e", SECRET)
    take(store, [other], OURS)
    replay(store, {V: vendor(SECRET, company="globex")}, V)
    take(store, [other], OURS)
    assert [one.state for one in rows(store, Quarantine)] == ["replayed", "held"]


def test_several_receivers_quarantine_the_same_body_once(
    fresh_store: FreshStore, tmp_path: Path
) -> None:
    body = playing.body_of("module.progress", playing.progress(progressPct="x"))
    headers = playing.signed(body, datetime.now(UTC), "e")
    with (
        fresh_store("postgres") as url,
        Receiver(url, tmp_path) as one,
        Receiver(url, tmp_path) as two,
        ThreadPoolExecutor(8) as pool,
    ):
        list(pool.map(lambda n: (one, two)[n % 2].post(body, headers), range(100)))
        assert count(one.engine, Quarantine) == 1
        assert count(one.engine, Delivery) == 100
