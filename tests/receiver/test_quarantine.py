"""Quarantine: kinds, caps, and floods."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from sqlalchemy import Engine, make_url

from receiver.pipeline import judge
from receiver.quarantine import JUNK_SHARE, Caps
from receiver.store import Entry, write_batch
from receiver.vendors.base import Incoming
from shared.database import write_transaction
from shared.models import Delivery, DeliveryHourly, Event, Quarantine, QuarantineTotal
from shared.outcomes import STRANGERS_LISTED, Kind, Sender
from tests.conftest import FreshStore
from tests.holding import (
    HEADERS_SIZE,
    assert_totals_are_exact,
    incoming,
    of_body,
    quarantined_entries,
    quarantined_entry,
    recount,
    totals,
    vendor,
)
from tests.playing import body_of, new_id, progress, signed
from tests.running import Receiver
from tests.stores import count, rows

JUNK, WELL_FORMED, AUTHENTIC = Kind
OUR_VENDOR = vendor("secret-one")


# Kinds


def kind_of(delivery: Incoming) -> Kind | None:
    quarantined = judge(OUR_VENDOR, delivery).quarantined
    return quarantined.kind if quarantined else None


def without(delivery: Incoming, header: str) -> Incoming:
    kept = {name: value for name, value in delivery.headers.items() if name != header}
    return delivery._replace(headers=kept)


@pytest.mark.parametrize(
    "delivery",
    [
        incoming("e", "another"),
        incoming("e", "secret-one", age=timedelta(days=9)),
        of_body(body_of("module.progress", progress(), company="globex"), "e", "secret-one"),
        of_body(body_of("module.progress", progress(), company="globex"), "e", "another"),
        of_body(body_of("badge.earned", {}), "e", "another"),
    ],
    ids=["signature", "age", "company", "signature and company", "signature of an unknown type"],
)
def test_what_reads_like_the_vendors_but_does_not_verify_is_well_formed(
    delivery: Incoming,
) -> None:
    assert kind_of(delivery) is WELL_FORMED


@pytest.mark.parametrize(
    "body", [b"", b"<html>", body_of("module.progress", progress(progressPct=1001))]
)
def test_what_verifies_but_is_not_understood_is_authentic(body: bytes) -> None:
    assert kind_of(of_body(body, "e", "secret-one")) is AUTHENTIC


@pytest.mark.parametrize(
    "delivery",
    [
        without(incoming("e", "secret-one"), "x-mt-webhook-signature"),
        without(incoming("e", "secret-one"), "x-mt-webhook-timestamp"),
        of_body(b"", "e", "another"),
        of_body(b"{}", "e", "another"),
        of_body(b"<html>", "e", "another"),
        of_body(body_of("module.progress", {}), "e", "another"),
        incoming("e", "another")._replace(
            headers={"x-mt-webhook-signature": b"0", "x-mt-webhook-timestamp": b"soon"}
        ),
    ],
    ids=["no signature", "no timestamp", "empty", "no event", "no JSON", "no learner", "no time"],
)
def test_what_the_vendor_would_never_send_is_junk(delivery: Incoming) -> None:
    assert kind_of(delivery) is JUNK


def test_an_accepted_delivery_is_not_quarantined(store: Engine) -> None:
    assert kind_of(incoming("e", "secret-one")) is None
    with store.connect() as connection:
        write_batch(connection, [judge(OUR_VENDOR, incoming("e", "secret-one"))])
        assert totals(connection) == {}


# Caps


@pytest.fixture
def hold(store: Engine) -> Callable[[Caps, Sequence[Entry]], None]:
    def hold(caps: Caps, entries: Sequence[Entry]) -> None:
        with write_transaction(store) as connection:
            write_batch(connection, entries, caps)

    return hold


Hold = Callable[[Caps, Sequence[Entry]], None]


def kept(store: Engine) -> list[tuple[int, str]]:
    return [(one.delivery_id, one.kind) for one in rows(store, Quarantine)]


def said(store: Engine) -> dict[str, tuple[int, ...]]:
    with store.connect() as connection:
        return totals(connection)


def test_junk_beyond_a_tenth_of_the_deliveries_is_dropped_and_counted(
    store: Engine, hold: Hold
) -> None:
    hold(Caps(deliveries=20), quarantined_entries(5, JUNK, 100))
    assert kept(store) == [(1, "junk"), (2, "junk")]
    assert said(store) == {"junk": (2, 200, 3, 300)}
    assert count(store, Delivery) == 5


def test_junk_beyond_a_tenth_of_the_bytes_is_dropped_and_counted(store: Engine, hold: Hold) -> None:
    hold(
        Caps(bytes=5000),
        [quarantined_entry(JUNK, 200), quarantined_entry(JUNK, 400), quarantined_entry(JUNK, 300)],
    )
    assert kept(store) == [(1, "junk"), (3, "junk")]
    assert said(store) == {"junk": (2, 500, 1, 400)}


def test_junk_is_dropped_when_other_kinds_leave_no_room(store: Engine, hold: Hold) -> None:
    hold(Caps(deliveries=10), quarantined_entries(10, AUTHENTIC, 50))
    hold(Caps(deliveries=10), [quarantined_entry(JUNK, 50)])
    assert said(store) == {"authentic": (10, 500, 0, 0), "junk": (0, 0, 1, 50)}


def test_a_well_formed_one_makes_room_by_the_oldest_junk_then_by_the_oldest_well_formed(
    store: Engine, hold: Hold
) -> None:
    caps = Caps(deliveries=20)
    hold(caps, quarantined_entries(2, JUNK, 50) + quarantined_entries(18, WELL_FORMED, 50))
    hold(caps, [quarantined_entry(WELL_FORMED, 50)])
    assert [id_ for id_, _ in kept(store)] == [2, *range(3, 22)]
    hold(caps, [quarantined_entry(WELL_FORMED, 50)])
    assert [id_ for id_, _ in kept(store)] == [*range(3, 23)]
    hold(caps, [quarantined_entry(WELL_FORMED, 50)])
    assert [id_ for id_, _ in kept(store)] == [*range(4, 24)]
    assert said(store) == {"junk": (0, 0, 2, 100), "well_formed": (20, 1000, 1, 50)}


def test_a_well_formed_one_pushes_out_nothing_authentic(store: Engine, hold: Hold) -> None:
    hold(Caps(deliveries=3), quarantined_entries(3, AUTHENTIC, 50))
    hold(Caps(deliveries=3), [quarantined_entry(WELL_FORMED, 50)])
    assert said(store) == {"authentic": (3, 150, 0, 0), "well_formed": (0, 0, 1, 50)}


def test_an_authentic_one_makes_room_by_junk_then_well_formed_then_the_oldest_authentic(
    store: Engine, hold: Hold
) -> None:
    caps = Caps(deliveries=10)
    hold(caps, [*quarantined_entries(8, WELL_FORMED, 50), quarantined_entry(AUTHENTIC, 50)])
    hold(caps, [quarantined_entry(JUNK, 50)])
    hold(caps, [quarantined_entry(AUTHENTIC, 50)])
    assert said(store)["junk"] == (0, 0, 1, 50)
    hold(caps, quarantined_entries(8, AUTHENTIC, 50))
    assert said(store)["well_formed"] == (0, 0, 8, 400)
    assert said(store)["authentic"] == (10, 500, 0, 0)
    hold(caps, [quarantined_entry(AUTHENTIC, 50)])
    assert [id_ for id_, _ in kept(store)] == [11, *range(12, 21)]
    assert said(store)["authentic"] == (10, 500, 1, 50)


def test_a_large_body_pushes_out_as_many_small_ones_as_it_needs(store: Engine, hold: Hold) -> None:
    caps = Caps(bytes=2000)
    hold(caps, quarantined_entries(40, WELL_FORMED, 50))
    hold(caps, [quarantined_entry(WELL_FORMED, 1001)])
    assert said(store) == {"well_formed": (20, 19 * 50 + 1001, 21, 1050)}
    assert_totals_are_exact(store)


def test_one_that_is_larger_than_the_whole_cap_pushes_out_nothing(
    store: Engine, hold: Hold
) -> None:
    hold(
        Caps(bytes=1000), [quarantined_entry(WELL_FORMED, 500), quarantined_entry(AUTHENTIC, 1001)]
    )
    assert said(store) == {"well_formed": (1, 500, 0, 0), "authentic": (0, 0, 1, 1001)}


def test_without_room_every_body_is_dropped_and_counted(store: Engine, hold: Hold) -> None:
    hold(Caps(deliveries=0), [quarantined_entry(kind, 50) for kind in Kind])
    assert kept(store) == []
    assert said(store) == dict.fromkeys(Kind, (0, 0, 1, 50))


def by_definition(
    batches: Sequence[Sequence[tuple[Kind, int]]], caps: Caps
) -> tuple[list[int], dict[str, list[int]]]:
    """A slow reference: the numbers of the quarantined bodies, and the drops by kind."""
    held: list[tuple[int, Kind, int]] = []
    drops = {str(kind): [0, 0] for kind in Kind}

    def fits(others: Sequence[tuple[int, Kind, int]], size: int, part: int = 1) -> bool:
        room = Caps(*(cap // part for cap in caps))
        return len(others) + 1 <= room[0] and sum(one[2] for one in others) + size <= room[1]

    def drop(kind: Kind, size: int) -> None:
        drops[kind][0] += 1
        drops[kind][1] += size

    for number, (kind, size) in enumerate((one for batch in batches for one in batch), start=1):
        junk = [one for one in held if one[1] is JUNK]
        rank = list(Kind).index
        lasting = [one for one in held if rank(one[1]) > rank(kind)]
        allowed = fits(held, size) and fits(junk, size, JUNK_SHARE)
        if (kind is JUNK and not allowed) or not fits(lasting, size):
            drop(kind, size)
        else:
            while not fits(held, size):
                oldest = min(held, key=lambda one: (rank(one[1]), one[0]))
                held.remove(oldest)
                drop(*oldest[1:])
            held.append((number, kind, size))
    return sorted(one[0] for one in held), {kind: d for kind, d in drops.items() if any(d)}


some = st.tuples(st.sampled_from(Kind), st.integers(HEADERS_SIZE, 120))


@settings(
    max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], database=None
)
@given(
    batches=st.lists(st.lists(some, min_size=1, max_size=25), min_size=1, max_size=5),
    caps=st.builds(Caps, st.integers(0, 40), st.integers(0, 3000)),
)
def test_any_sequence_keeps_the_right_bodies_and_the_totals_equal_a_recount(
    store: Engine, batches: list[list[tuple[Kind, int]]], caps: Caps
) -> None:
    with store.connect().execution_options(immediate=True) as connection:
        first = 0
        for batch in batches:
            written = write_batch(connection, [quarantined_entry(*one) for one in batch], caps)
            first = first or written[0].delivery_id
        table = Quarantine.__table__  # type: ignore[attr-defined]
        ids = sorted(connection.scalars(table.select().with_only_columns(table.c.delivery_id)))
        counts = totals(connection)
        assert {kind: row[:2] for kind, row in counts.items() if row[0]} == recount(connection)
        connection.rollback()
    expected, drops = by_definition(batches, caps)
    assert [id_ - first + 1 for id_ in ids] == expected
    assert {kind: list(row[2:]) for kind, row in counts.items() if row[2]} == drops


# Over HTTP


@pytest.fixture
def small(store_url: str, tmp_path: Path) -> Iterator[Receiver]:
    """A receiver with room for 40 quarantined deliveries and 2 MB."""
    caps = {"QUARANTINE_MAX_DELIVERIES": "40", "QUARANTINE_MAX_BYTES": "2000000"}
    with Receiver(store_url, tmp_path, **caps) as running:
        yield running


def stored_bytes(receiver: Receiver) -> int:
    """Of the whole store, as the disk has it."""
    if receiver.engine.dialect.name == "sqlite":
        path = make_url(str(receiver.engine.url)).database
        assert path
        return sum(Path(f"{path}{end}").stat().st_size for end in ("", "-wal"))
    with receiver.engine.connect() as connection:
        query = "SELECT pg_database_size(current_database())"
        return int(connection.exec_driver_sql(query).scalar_one())


def strangers_counted(engine: Engine) -> int:
    return sum(one.deliveries for one in rows(engine, DeliveryHourly, sender=Sender.STRANGER))


def flood(receiver: Receiver, requests: int, body: bytes) -> None:
    """Unsigned requests from several senders at once, each of them answered 401."""

    def send(_: int) -> None:
        with httpx.Client(base_url=receiver.url, verify=False, timeout=30) as client:
            for _ in range(requests // 4):
                assert client.post("/webhooks/mindtickle", content=body).status_code == 401

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(send, range(4)))


def test_a_flood_of_unsigned_requests_fills_no_disk_and_pushes_out_nothing_that_matters(
    small: Receiver,
) -> None:
    body = body_of("module.progress", progress())
    small.post(body, signed(body, datetime.now(UTC), "real", secret="rotated"))
    small.post(b"?", signed(b"?", datetime.now(UTC), "odd"))
    before = stored_bytes(small)
    flood(small, 1600, b"x" * 100_000)
    assert stored_bytes(small) - before < 20_000_000  # of the 160 MB that were sent
    assert small.deliver("badge.earned", {"n": 1}).json() == {"received": True}
    kinds = [one.kind for one in rows(small.engine, Quarantine)]
    assert sorted(kinds) == ["authentic", "junk", "well_formed"]  # a tenth of 2 MB is one of them
    dropped = {one.kind: one.dropped for one in rows(small.engine, QuarantineTotal)}
    assert dropped == {"authentic": 0, "junk": 0, "well_formed": 0}
    assert strangers_counted(small.engine) == 1600
    listed = rows(small.engine, Delivery, sender=Sender.STRANGER)
    assert len({one.received_at.hour for one in listed}) * STRANGERS_LISTED == len(listed)
    assert [one.held_as for one in listed] == [None, *[listed[0].id] * (len(listed) - 1)]
    assert_totals_are_exact(small.engine)


def test_a_header_of_sixty_kilobytes_counts_with_its_bytes(small: Receiver) -> None:
    small.post(b"{}", {"x-mt-event-id": "x" * 60_000})
    (total,) = [one for one in rows(small.engine, QuarantineTotal) if one.kind == "junk"]
    assert (total.held, total.dropped) == (1, 0)
    assert total.held_bytes > 60_000


def test_several_receivers_that_fill_one_quarantine_at_once_keep_its_totals_exact(
    fresh_store: FreshStore, tmp_path: Path
) -> None:
    caps = {"QUARANTINE_MAX_DELIVERIES": "30"}
    with (
        fresh_store("postgres") as url,
        Receiver(url, tmp_path, **caps) as one,
        Receiver(url, tmp_path, **caps) as two,
        ThreadPoolExecutor(12) as pool,
    ):
        answers = list(pool.map(lambda n: send_mixed((one, two)[n % 2], n), range(1200)))
        assert {answer.status_code for answer in answers} == {200, 401, 403}
        assert one.metric("repboard_store_failures_total") == 0
        assert two.metric("repboard_store_failures_total") == 0
        assert_totals_are_exact(one.engine)
        all_totals = rows(one.engine, QuarantineTotal)
        assert sum(total.held for total in all_totals) == 30
        listed = len(rows(one.engine, Delivery, sender=Sender.STRANGER))
        assert sum(total.held + total.dropped for total in all_totals) == 600 + listed
        assert listed in (STRANGERS_LISTED, 2 * STRANGERS_LISTED)  # a full hour may have passed
        assert strangers_counted(one.engine) == 300
        assert count(one.engine, Event) == 300


def send_mixed(receiver: Receiver, number: int) -> httpx.Response:
    """In turn: accepted, junk, well-formed, authentic."""
    body = body_of("module.progress", progress(f"u-{number % 5}", note=number))
    event_id, now = new_id(), datetime.now(UTC)
    return (
        lambda: receiver.post(body, signed(body, now, event_id)),
        lambda: receiver.post(body, {}),
        lambda: receiver.post(body, signed(body, now, event_id, secret="another")),
        lambda: receiver.post(body[:-1], signed(body[:-1], now, event_id)),
    )[number % 4]()
