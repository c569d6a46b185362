"""Group commit: shared transactions, failures of one entry, and a full queue."""

import asyncio
import threading
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event

from receiver.errors import StoreUnavailable
from receiver.metrics import Metrics
from receiver.pipeline import judge
from receiver.readmodels.projections import READ_MODELS
from receiver.store import Entry, Written
from receiver.vendors.base import Claims, Incoming
from receiver.vendors.mindtickle import MindTickle
from receiver.writer import MAX_BATCH, Writer
from shared.bulk import table_of
from shared.database import open_engine
from shared.models import Delivery, Event, ModuleProgress
from shared.outcomes import Outcome
from tests import playing
from tests.conftest import FreshStore
from tests.load import Load
from tests.receiver.test_mindtickle import NOW
from tests.running import Receiver, until
from tests.stores import count, follow, rows, write_locked


def entry(key: str, user: str = "u-1") -> Entry:
    body = playing.body_of("module.progress", playing.progress(user, note=key))
    headers = {
        name: value.encode() for name, value in playing.signed(body, NOW, event_id=key).items()
    }
    vendor = MindTickle([playing.SECRET.encode()], playing.COMPANY, past=0, future=0)
    return judge(vendor, Incoming(headers, body, "127.0.0.1", NOW))


def written(
    engine: Engine, entries: Iterable[Entry], metrics: Metrics
) -> Sequence[Written | BaseException]:
    """The results of entries that all wait before the writer starts."""

    async def run() -> list[Written | BaseException]:
        writer = Writer(engine, metrics, max_deliveries=1000, max_bytes=10_000_000)
        waiting = [asyncio.ensure_future(writer.write(one)) for one in entries]
        await asyncio.sleep(0)  # each has taken its place
        writer.start()
        try:
            return await asyncio.gather(*waiting, return_exceptions=True)
        finally:
            writer.close()

    return asyncio.run(run())


def transactions(metrics: Metrics) -> int:
    (line,) = [
        one for one in metrics.text().decode().splitlines()
        if one.startswith("repboard_commit_seconds_count ")
    ]  # fmt: skip
    return int(float(line.split()[1]))


def keys(engine: Engine) -> list[str]:
    return sorted(one.event_key for one in rows(engine, Event))


def test_a_large_batch_finds_duplicates_in_itself(store: Engine) -> None:
    entries = [entry(f"evt-{n % 290:03}") for n in range(300)]
    results = written(store, entries, Metrics())
    found = [one for one in results if isinstance(one, Written)]
    assert [one.outcome for one in found] == [Outcome.ACCEPTED] * 290 + [Outcome.DUPLICATE] * 10
    ids = [one.delivery_id for one in found]
    assert ids == sorted(one.id for one in rows(store, Delivery) if one.id)
    assert {one.delivery_id for one in rows(store, Event)} == set(ids[:290])


def test_deliveries_that_wait_together_share_one_transaction(store: Engine) -> None:
    metrics = Metrics()
    entries = [entry(f"evt-{n:03}", user=f"u-{n % 7}") for n in range(300)]
    results = written(store, entries, metrics)
    assert {one.outcome for one in results if isinstance(one, Written)} == {Outcome.ACCEPTED}
    assert transactions(metrics) == 1
    assert keys(store) == [f"evt-{n:03}" for n in range(300)]
    assert count(store, ModuleProgress) == 0  # those follow


def joined(url: str, entries: Sequence[Entry], metrics: Metrics) -> Sequence[object]:
    """The results of one entry whose transaction has to wait for SQLite's lock, and of entries that
    arrive meanwhile."""
    store, other = open_engine(url, intake=True), open_engine(url)
    waits = threading.Event()
    event.listen(store, "checkout", lambda *_: waits.set())

    async def run() -> list[object]:
        writer = Writer(store, metrics, max_deliveries=1000, max_bytes=10_000_000)
        writer.start()
        with write_locked(other):
            results = [asyncio.ensure_future(writer.write(entry("first")))]
            await asyncio.to_thread(waits.wait)
            results += [asyncio.ensure_future(writer.write(one)) for one in entries]
            await asyncio.sleep(0)  # each has taken its place
        try:
            return await asyncio.gather(*results, return_exceptions=True)
        finally:
            writer.close()

    results = asyncio.run(run())
    store.dispose()
    other.dispose()
    return results


def test_deliveries_that_arrive_while_a_transaction_waits_for_the_lock_are_in_it(
    sqlite_url: str,
) -> None:
    metrics = Metrics()
    results: Any = joined(sqlite_url, [entry("second"), entry("first"), entry("third")], metrics)
    assert [one.outcome.value for one in results] == [
        "accepted", "accepted", "duplicate", "accepted",
    ]  # fmt: skip
    assert transactions(metrics) == 1


def test_one_that_joined_a_transaction_and_cannot_be_stored_fails_alone(sqlite_url: str) -> None:
    bad = poisoned("an unknown outcome")
    first, failed, last = joined(sqlite_url, [bad, entry("last")], Metrics())
    assert isinstance(failed, StoreUnavailable)
    assert [getattr(one, "outcome", None) for one in (first, last)] == [Outcome.ACCEPTED] * 2


def test_each_delivery_of_a_shared_transaction_gets_its_own_row_and_outcome(
    store: Engine,
) -> None:
    names = ["a", "b", "a", "c", "b", "a"]
    results: Any = written(store, map(entry, names), Metrics())
    by_id = {one.id: one for one in rows(store, Delivery)}
    assert [by_id[one.delivery_id].event_key for one in results] == names
    assert [by_id[one.delivery_id].outcome for one in results] == [one.outcome for one in results]
    assert [one.outcome.value for one in results] == [
        "accepted", "accepted", "duplicate", "accepted", "duplicate", "duplicate",
    ]  # fmt: skip


def poisoned(by: str) -> Entry:
    good = entry("poisoned")
    assert good.event
    surrogate = replace(good.event, payload="\ud800")
    return {
        "no vendor, where one must be": replace(good, vendor=None),  # type: ignore[arg-type]
        "a text that is no Unicode": replace(good, event=surrogate),
        "something no store can hold": replace(good, reason=object()),  # type: ignore[arg-type]
        "an unknown outcome": replace(good, outcome="?"),  # type: ignore[arg-type]
    }[by]


@pytest.mark.parametrize(
    "by",
    ["no vendor, where one must be", "a text that is no Unicode", "something no store can hold",
     "an unknown outcome"],
)  # fmt: skip
def test_a_delivery_that_cannot_be_stored_fails_alone_and_the_others_are_committed(
    store: Engine, by: str
) -> None:
    entries = [entry("before"), poisoned(by), entry("after")]
    before, failed, after = written(store, entries, Metrics())
    assert isinstance(failed, StoreUnavailable)
    assert [getattr(one, "outcome", None) for one in (before, after)] == [Outcome.ACCEPTED] * 2
    assert keys(store) == ["after", "before"]
    assert count(store, Delivery) == 2


def test_a_nul_that_got_past_an_adapter_fails_alone_on_a_store_that_refuses_it(
    store: Engine,
) -> None:
    good = entry("nul")
    assert good.event
    bad = replace(good, event=replace(good.event, payload="\0"), claims=Claims("nul", "x"))
    failed, fine = written(store, [bad, entry("fine")], Metrics())
    assert isinstance(fine, Written)
    assert isinstance(failed, StoreUnavailable) is (store.dialect.name == "postgresql")


# A full queue


@pytest.fixture
def narrow(store_url: str, tmp_path: Path) -> Iterator[Receiver]:
    """A receiver in which only one delivery may wait."""
    with Receiver(store_url, tmp_path, MAX_WAITING_DELIVERIES="1") as running:
        yield running


def test_with_too_many_waiting_the_next_gets_a_503_with_retry_after(
    narrow: Receiver,
) -> None:
    with ThreadPoolExecutor(2) as pool:
        with write_locked(narrow.engine):
            both = [pool.submit(narrow.deliver, "badge.earned", {"n": n}) for n in range(2)]
            (refused,), (waiting,) = wait(both, return_when=FIRST_COMPLETED)
        assert waiting.result().json() == {"received": True}
    answer = refused.result()
    assert (answer.status_code, answer.json()) == (503, {"received": False})
    assert int(answer.headers["retry-after"]) > 0
    assert narrow.deliver("badge.earned", {"n": 2}).json() == {"received": True}
    assert narrow.metric('repboard_deliveries_not_stored_total{vendor="mindtickle"}') == 1
    assert count(narrow.engine, Delivery) == 2


# When the store hangs


def test_while_a_commit_hangs_deliveries_are_refused_in_time_and_take_no_more_room(
    store: Engine,
) -> None:
    hangs, goes_on = threading.Event(), threading.Event()

    def hang(_: object) -> None:
        hangs.set()
        goes_on.wait()

    async def run() -> None:
        writer = Writer(store, Metrics(), max_deliveries=5, max_bytes=10_000_000, answer_sec=1)
        event.listen(store, "begin", hang)
        writer.start()
        waiting = [asyncio.ensure_future(writer.write(entry("under way")))]
        while not hangs.is_set():
            await asyncio.sleep(0)
        waiting += [asyncio.ensure_future(writer.write(entry(f"late-{n}"))) for n in range(8)]
        refused = await asyncio.gather(*waiting, return_exceptions=True)
        assert all(isinstance(one, StoreUnavailable) for one in refused)
        with pytest.raises(StoreUnavailable, match="too many"):
            await writer.check()
        goes_on.set()
        await taken(writer)
        event.remove(store, "begin", hang)
        writer.close()

    asyncio.run(run())
    assert keys(store) == ["now", "under way"]  # the others were answered 503, and come again


def test_all_who_ask_whether_the_store_can_be_written_share_one_heartbeat(store: Engine) -> None:
    """Anyone can ask, any number of times. They take no place of a delivery."""
    beats: list[str] = []

    def noted(*executed: Any) -> None:
        if "INSERT INTO heartbeat" in executed[2]:
            beats.append(executed[2])

    async def run() -> Sequence[Written | None]:
        writer = Writer(store, Metrics(), max_deliveries=1, max_bytes=10_000_000)
        asked = [asyncio.ensure_future(writer.check()) for _ in range(2 * MAX_BATCH)]
        await asyncio.sleep(0)  # each waits
        asked[0].cancel()
        delivery = asyncio.ensure_future(writer.write(entry("one")))
        await asyncio.sleep(0)
        writer.start()
        try:
            await asyncio.gather(*asked[1:])
            once = len(beats)
            await writer.check()
            assert (once, len(beats)) == (1, 2)
            return await asyncio.gather(delivery)
        finally:
            writer.close()

    event.listen(store, "before_cursor_execute", noted)
    (one,) = asyncio.run(run())
    assert one is not None
    assert one.outcome is Outcome.ACCEPTED


async def taken(writer: Writer) -> None:
    """Wait until a delivery is stored."""
    while True:
        try:
            await writer.write(entry("now"))
        except StoreUnavailable:
            await asyncio.sleep(0)
        else:
            return


def test_a_receiver_that_is_stopped_under_load_answers_all_that_it_has_stored_and_stores_it_once(
    receiver: Receiver,
) -> None:
    with Load(receiver.url) as load:
        until(lambda: len(load.acknowledged) > 100)
        code = receiver.stop()
    assert code == 0
    assert load.refused == []
    assert sorted(load.acknowledged) == keys(receiver.engine)


def test_a_postgres_that_was_empty_is_never_read_whole_to_take_deliveries_in_or_to_follow_them(
    fresh_store: FreshStore,
) -> None:
    with fresh_store("postgres") as url:
        engine = open_engine(url, intake=True)
        for batch in range(20):  # plans are kept after some
            written(engine, [entry(f"e-{batch}-{n}", f"u-{n}") for n in range(20)], Metrics())
            follow(engine)
        engine.dispose()  # a session that ends tells what it has read
        assert rows_read_whole(url) == 0


def rows_read_whole(url: str) -> int:
    """Rows that sequential scans have read of deliveries, events and read models, as Postgres
    counts them."""
    models = (Delivery, Event, *READ_MODELS)
    tables = ", ".join(f"'{table_of(model).name}'" for model in models)
    query = f"SELECT sum(seq_tup_read) FROM pg_stat_user_tables WHERE relname IN ({tables})"
    engine = open_engine(url)
    with engine.connect() as connection:
        found: int = connection.exec_driver_sql(query).scalar_one()
    engine.dispose()
    return found
