"""The follower: whatever it meets, the read models become those of all events."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from sqlalchemy import Connection, Engine, event, update

from receiver.erase import erase_person
from receiver.pipeline import judge
from receiver.readmodels.follower import (
    Follower,
    Reached,
    Round,
    open_follower_engine,
    reached_in,
)
from receiver.readmodels.rebuild import rebuild
from receiver.store import write_batch
from receiver.traces import Account
from shared.bulk import table_of
from shared.database import hold_write_lock, open_engine, write_transaction
from shared.models import (
    Checkpoint,
    Delivery,
    Event,
    LearnerStanding,
    ModuleProgress,
    ModuleStanding,
    UnfoldableEvent,
)
from shared.queries.follower import lag
from tests import holding, playing
from tests.conftest import FreshStore
from tests.receiver.readmodels.test_projections import (
    deliveries,
    empty,
    entry_of,
    event_of,
    reference,
)
from tests.receiver.test_writer import entry
from tests.stores import follow, read_models, rows

IDLE = Round(works=True, events=0)
LONG_AGO = datetime(2025, 1, 1, tzinfo=UTC)


class Killed(BaseException):
    """Ends a follower between two statements, as SIGKILL would."""


@contextmanager
def killed_after(engine: Engine, statements: int) -> Iterator[None]:
    """The block ends with the statement after so many."""
    left = statements

    def count(*_: Any) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise Killed

    event.listen(engine, "before_cursor_execute", count)
    try:
        yield
    except Killed:
        pass
    finally:
        event.remove(engine, "before_cursor_execute", count)


def append(engine: Engine, *keys: str) -> None:
    with write_transaction(engine) as connection:
        write_batch(connection, [entry(key, user=f"u-{key}") for key in keys], part=2)


def folded(engine: Engine) -> list[str]:
    return [one.user_id for one in rows(engine, ModuleProgress)]


def reached(engine: Engine) -> Reached:
    with engine.connect() as connection:
        found = reached_in(connection)
    assert found is not None
    return found


def last_id(engine: Engine) -> int:
    return max(one.id for one in rows(engine, Event))


def until_idle(follower: Follower) -> None:
    while follower.step() != IDLE:
        pass


def expire_lease(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(update(table_of(Checkpoint)).values(lease_until=LONG_AGO))


# Any order, any crash


@settings(
    max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(
    batches=st.lists(st.lists(deliveries.map(event_of), max_size=8), min_size=1, max_size=6),
    kills=st.lists(st.integers(0, 25), min_size=6, max_size=6),
)
def test_a_follower_killed_between_any_two_statements_goes_on_where_it_was(
    store: Engine, batches: list[list[Any]], kills: list[int]
) -> None:
    with store.begin() as connection:
        empty(connection)
    for batch, statements in zip(batches, kills, strict=False):
        with store.begin() as connection:
            if batch:
                write_batch(connection, [entry_of(one) for one in batch])
        with killed_after(store, statements):
            until_idle(Follower(store, "one"))
    until_idle(Follower(store, "one"))
    with store.connect() as connection:
        assert read_models(connection) == reference(
            fact for batch in batches for one in batch for fact in one.facts
        )


@settings(
    max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(turns=st.lists(st.sampled_from(["a", "b", "append", "expire"]), max_size=25))
def test_of_two_followers_that_fight_for_the_lease_one_works_at_a_time(
    store: Engine, turns: list[str]
) -> None:
    with store.begin() as connection:
        empty(connection)
    both = {name: Follower(store, name) for name in ("a", "b")}
    appended = 0
    for turn in turns:
        if turn == "append":
            append(store, f"{appended:02}")
            appended += 1
        elif turn == "expire":
            if rows(store, Checkpoint):
                expire_lease(store)
        elif both[turn].step().works and rows(store, Checkpoint):
            assert reached(store).holder in (turn, None)
    expire_lease(store)
    until_idle(both["b"])
    assert both["a"].step() == Round(works=False)
    assert folded(store) == [f"u-{n:02}" for n in range(appended)]


def test_a_follower_that_ends_gives_its_lease_away(store: Engine) -> None:
    append(store, "1")
    first, second = Follower(store), Follower(store)
    until_idle(first)
    assert second.step() == Round(works=False)
    first.release()
    until_idle(second)
    assert first.step() == Round(works=False)


def test_one_that_takes_the_place_of_another_need_not_wait_for_the_lease(store: Engine) -> None:
    append(store, "1")
    until_idle(Follower(store, "same"))
    append(store, "2")
    until_idle(Follower(store, "same"))
    assert folded(store) == ["u-1", "u-2"]


def test_a_follower_notices_that_the_store_is_another_one(store: Engine) -> None:
    """As after a restore: there IDs begin again."""
    follower = Follower(store)
    append(store, "1", "2", "3")
    until_idle(follower)
    with store.begin() as connection:
        empty(connection)
    append(store, "4")
    until_idle(follower)
    assert folded(store) == ["u-4"]


# What changes between reading and writing


@contextmanager
def before_it_writes(engine: Engine, meanwhile: Callable[[], object]) -> Iterator[list[bool]]:
    """Run `meanwhile` once, after this follower's engine has worked out a round and before it has
    the write lock."""
    ran: list[bool] = []

    def intervene(connection: Connection) -> None:
        if not connection.get_execution_options().get("immediate") and not ran:
            ran.append(True)
            meanwhile()

    event.listen(engine, "commit", intervene)
    yield ran
    event.remove(engine, "commit", intervene)


def correct(engine: Engine) -> Callable[[], object]:
    """A rebuild after which the totals are lower: they were wrong."""
    with write_transaction(engine) as connection:
        connection.execute(update(table_of(ModuleProgress)).values(time_spent_sec=9_999))
        connection.execute(update(table_of(ModuleStanding)).values(time_spent_sec=9_999))
        connection.execute(update(table_of(LearnerStanding)).values(time_spent_sec=9_999))
    return lambda: rebuild(engine)


def erase(engine: Engine) -> Callable[[], object]:
    return lambda: erase_person(engine, account=Account(holding.V, "u-1"))


def restore(engine: Engine) -> Callable[[], object]:
    """A store in which the same IDs are those of other events."""

    def replace() -> None:
        with write_transaction(engine) as connection:
            hold_write_lock(connection)
            empty(connection)
            write_batch(connection, [entry("other", user="u-other")])

    return replace


def overtake(engine: Engine) -> Callable[[], object]:
    """Another follower takes the lease and folds events of which some came later."""

    def work() -> None:
        expire_lease(engine)
        send(engine, "3", 95.0)
        other = Follower(engine, "other")
        until_idle(other)
        other.release()

    return work


def send(engine: Engine, key: str, pct: float) -> None:
    at = holding.ARRIVAL + timedelta(minutes=int(key))
    sent = holding.incoming(key, playing.SECRET, "u-1", at, progressPct=pct)
    with write_transaction(engine) as connection:
        write_batch(connection, [judge(holding.vendor(playing.SECRET), sent)])


@pytest.mark.parametrize("change", [correct, erase, restore, overtake])
def test_what_was_worked_out_before_another_process_changed_the_read_models_is_not_written(
    store: Engine, change: Callable[[Engine], Callable[[], object]]
) -> None:
    own = open_follower_engine(store.url.render_as_string(hide_password=False))
    follower = Follower(own)
    send(store, "1", 10.0)
    until_idle(follower)
    meanwhile = change(store)
    send(store, "2", 40.0)
    with before_it_writes(own, meanwhile) as ran:
        until_idle(follower)
    assert ran
    own.dispose()
    with store.connect() as connection:
        after = read_models(connection)
    rebuild(store)
    with store.connect() as connection:
        assert after == read_models(connection)


def test_a_person_erased_during_the_first_round_of_all_does_not_come_back(store: Engine) -> None:
    own = open_follower_engine(store.url.render_as_string(hide_password=False))
    own.connect().close()
    send(store, "1", 10.0)
    with before_it_writes(own, erase(store)) as ran:
        until_idle(Follower(own))
    assert ran
    assert folded(store) == []
    own.dispose()


def test_a_round_that_is_of_no_use_any_more_is_worked_out_again(store: Engine) -> None:
    own = open_follower_engine(store.url.render_as_string(hide_password=False))
    follower = Follower(own)
    until_idle(follower)
    send(store, "1", 10.0)
    with before_it_writes(own, restore(store)) as ran:
        assert follower.step() == Round(works=True, events=1)
    assert ran
    assert folded(store) == ["u-other"]
    own.dispose()


# Transactions that commit late


@pytest.fixture
def postgres(fresh_store: FreshStore) -> Iterator[Engine]:
    with fresh_store("postgres") as url:
        engine = open_engine(url, intake=True)
        yield engine
        engine.dispose()


@pytest.mark.parametrize("late_is_older", [True, False])
@pytest.mark.parametrize("rolls_back", [False, True])
def test_no_event_is_skipped_whose_transaction_commits_after_that_of_a_later_one(
    postgres: Engine, late_is_older: bool, rolls_back: bool
) -> None:
    follower = Follower(postgres)
    append(postgres, "0")
    until_idle(follower)
    with postgres.connect() as late, postgres.connect() as soon:
        for one in (late, soon) if late_is_older else (soon, late):
            one.exec_driver_sql("SELECT pg_current_xact_id()")
        write_batch(late, [entry("late", "u-late")], part=1)
        write_batch(soon, [entry("soon", "u-soon")], part=2)
        soon.commit()
        assert [follower.step().events for _ in range(4)] == [1, 0, 0, 0]
        assert folded(postgres) == ["u-0", "u-soon"]
        assert reached(postgres).event_id == 1
        late.rollback() if rolls_back else late.commit()
    for _ in range(2):  # the second closes the gap of what was rolled back
        follower.step()
    assert folded(postgres) == (["u-0", "u-soon"] if rolls_back else ["u-0", "u-late", "u-soon"])
    assert reached(postgres).event_id == last_id(postgres)


def test_ids_that_duplicates_have_used_up_do_not_hold_the_checkpoint(postgres: Engine) -> None:
    follower = Follower(postgres)
    for keys in (("1", "2"), ("1", "2", "3"), ("2", "3", "4")):
        append(postgres, *keys)
    until_idle(follower)
    follower.step()
    assert reached(postgres).event_id == last_id(postgres) > len(rows(postgres, Event))


def test_a_new_follower_folds_what_a_gap_still_hid_from_the_one_before(postgres: Engine) -> None:
    with postgres.connect() as late, late.begin():
        write_batch(late, [entry("late", "u-late")], part=1)
        append(postgres, "soon")
        follower = Follower(postgres)
        while follower.step().events:
            pass
        assert folded(postgres) == ["u-soon"]
        follower.release()
    follow(postgres)
    assert folded(postgres) == ["u-late", "u-soon"]


def test_a_receiver_does_not_wait_for_another_one(postgres: Engine) -> None:
    with postgres.connect() as one, one.begin():
        write_batch(one, [entry("1")], part=1)
        with postgres.connect() as other, other.begin():
            other.exec_driver_sql("SET LOCAL lock_timeout = '100ms'")
            write_batch(other, [entry("2")], part=2)
    assert len(rows(postgres, Event)) == 2


# Events that cannot be folded


@contextmanager
def refused(engine: Engine, users: Sequence[str]) -> Iterator[None]:
    """Meanwhile the read models take no progress of these learners."""
    listed = ", ".join(f"'{user}'" for user in users)
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "CREATE TRIGGER refused BEFORE INSERT ON module_progress "
            f"WHEN new.user_id IN ({listed}) BEGIN SELECT RAISE(ABORT, 'refused'); END"
        )
    yield
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP TRIGGER refused")


def test_an_event_that_cannot_be_folded_is_set_aside_and_stops_no_other(sqlite_url: str) -> None:
    store = open_engine(sqlite_url)
    append(store, *(f"{n:02}" for n in range(40)))
    with refused(store, ["u-07", "u-31"]):
        until_idle(Follower(store))
        assert len(folded(store)) == 38
    reasons = [(one.event_id, one.reason) for one in rows(store, UnfoldableEvent)]
    assert reasons == [(8, "IntegrityError: refused"), (32, "IntegrityError: refused")]
    assert reached(store).event_id == 40
    rebuild(store)  # by a version that can fold them
    assert (len(folded(store)), rows(store, UnfoldableEvent)) == (40, [])
    store.dispose()


# How far behind it is


def test_seconds_behind_are_those_since_the_oldest_delivery_whose_event_is_not_folded(
    store: Engine,
) -> None:
    append(store, "1")
    follow(store)
    append(store, "2", "3")
    delivery = table_of(Delivery)
    with store.begin() as connection:
        at = datetime.now(UTC) - timedelta(seconds=90)
        second = update(delivery).where(delivery.c.event_key == "2")
        connection.execute(second.values(received_at=at))
    with store.connect() as connection:
        behind = lag(connection)
    assert (behind.events, behind.alive) == (2, False)
    assert behind.seconds >= 90
    follow(store)
    with store.connect() as connection:
        assert lag(connection)[:2] == (0, 0)


def test_a_follower_that_works_is_alive(store: Engine) -> None:
    follower = Follower(store)
    until_idle(follower)
    with store.connect() as connection:
        assert lag(connection).alive
    follower.release()
    with store.connect() as connection:
        assert not lag(connection).alive
