"""A rebuild while deliveries are accepted, interrupted ones included."""

from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, delete, event, insert, inspect, update
from sqlalchemy.exc import SQLAlchemyError

from receiver.erase import erase_person
from receiver.pipeline import judge
from receiver.readmodels.follower import Follower, Round, open_follower_engine
from receiver.readmodels.rebuild import BESIDE, fold_all, rebuild
from receiver.store import write_batch
from receiver.traces import Account
from shared.bulk import table_of
from shared.database import open_engine, write_transaction
from shared.models import Checkpoint, Learner, ModuleProgress
from tests import holding, playing
from tests.conftest import FreshStore
from tests.holding import ARRIVAL
from tests.load import Load
from tests.running import Receiver, until
from tests.stores import follow, read_models, rows

TOO_MANY = 50
COMPARED = f"INSERT INTO {BESIDE}.activity_changed"
"""The last table but one that a rebuild compares."""
VENDOR = holding.vendor(playing.SECRET)


class Interrupted(BaseException):
    """Ends a rebuild, as SIGINT would."""


def interrupt(_done: int) -> None:
    raise Interrupted


def take(store: Engine, *users: str) -> None:
    sent = [
        holding.incoming(f"{user} {n}", playing.SECRET, user, progressPct=n)
        for user in users
        for n in range(3)
    ]
    holding.take(store, sent, VENDOR)


def models(store: Engine) -> object:
    with store.connect() as connection:
        return read_models(connection)


def is_left(store: Engine) -> bool:
    """Whether anything of a rebuild is left beside the store."""
    if store.dialect.name == "sqlite":
        return Path(f"{store.url.database}-rebuild").exists()
    with store.connect() as connection:
        return BESIDE in inspect(connection).get_schema_names()


def test_no_delivery_is_refused_while_read_models_are_rebuilt(receiver: Receiver) -> None:
    with Load(receiver.url) as load:
        until(lambda: len(load.acknowledged) > 50)
        for _ in range(3):
            before = len(load.acknowledged)
            rebuild(receiver.engine)
            until(lambda: len(load.acknowledged) > before)  # noqa: B023 (called at once)
    assert load.refused == []
    receiver.followed()
    live = models(receiver.engine)
    assert rebuild(receiver.engine) >= len(load.acknowledged)
    assert models(receiver.engine) == live


def test_an_interrupted_rebuild_changes_nothing_and_the_next_one_goes_on(store: Engine) -> None:
    take(store, "u-1", "u-2")
    before = models(store)
    with pytest.raises(Interrupted):
        rebuild(store, interrupt)
    assert models(store) == before
    assert is_left(store)
    take(store, "u-3")
    seen: list[int] = []
    assert rebuild(store, seen.append) == 9
    assert seen == [9]  # the first six events were not folded again
    assert [one.user_id for one in rows(store, Learner)] == ["u-1", "u-2", "u-3"]
    assert not is_left(store)
    live = models(store)
    rebuild(store)
    assert models(store) == live


def test_only_the_owner_can_read_what_is_made_beside_a_file(sqlite_url: str) -> None:
    store = open_engine(sqlite_url)
    take(store, "u-1")
    with pytest.raises(Interrupted):
        rebuild(store, interrupt)
    assert Path(f"{store.url.database}-rebuild").stat().st_mode & 0o077 == 0
    store.dispose()


def test_what_an_interrupted_rebuild_has_of_a_person_is_erased_with_them(store: Engine) -> None:
    take(store, "u-1", "u-2")
    with pytest.raises(Interrupted):
        rebuild(store, interrupt)
    erase_person(store, account=Account(holding.V, "u-1"))
    assert not is_left(store)
    rebuild(store)
    assert [one.user_id for one in rows(store, Learner)] == ["u-2"]


def test_a_person_who_is_erased_during_a_rebuild_is_not_in_its_result(store: Engine) -> None:
    take(store, "u-1", "u-2")
    erased: list[int] = []

    def erase(done: int) -> None:
        if not erased:
            erased.append(done)
            erase_person(store, account=Account(holding.V, "u-1"))

    assert rebuild(store, erase) == 3
    assert erased == [6]
    assert [one.user_id for one in rows(store, Learner)] == ["u-2"]


def test_of_two_rebuilds_at_once_one_fails_and_the_read_models_are_whole(store: Engine) -> None:
    take(store, "u-1", "u-2")
    overtaken: list[int] = []

    def overtake(_done: int) -> None:
        if not overtaken:
            overtaken.append(rebuild(store))

    with pytest.raises(SQLAlchemyError):
        rebuild(store, overtake)
    assert overtaken == [6]
    assert [one.user_id for one in rows(store, Learner)] == ["u-1", "u-2"]
    live = models(store)
    rebuild(store)
    assert models(store) == live


@pytest.mark.parametrize("kind", ["postgres"])
def test_an_event_whose_transaction_commits_late_is_not_missed(
    kind: str, fresh_store: FreshStore
) -> None:
    with fresh_store(kind) as url:
        store = open_engine(url)
        (late_entry, soon) = (
            judge(VENDOR, holding.incoming(user, playing.SECRET, user)) for user in ("u-late", "u")
        )
        with store.connect() as late:
            write_batch(late, [late_entry], part=1)
            with write_transaction(store) as connection:
                write_batch(connection, [soon], part=2)
            rebuild(store, lambda _done: late.commit())
            late.commit()
        follow(store)
        assert [one.user_id for one in rows(store, Learner)] == ["u", "u-late"]
        store.dispose()


def test_a_rebuild_ends_though_an_event_arrives_whenever_it_looks(fresh_store: FreshStore) -> None:
    arrived = count()

    def arrive(*run: Any) -> None:
        if run[2].startswith("SELECT event.id") and next(arrived) < TOO_MANY:
            with write_transaction(other) as connection:
                user = f"u-{next(users)}"
                entry = judge(VENDOR, holding.incoming(user, playing.SECRET, user))
                write_batch(connection, [entry], part=1)

    with fresh_store("postgres") as url:
        store, other, users = open_engine(url), open_engine(url), count()
        event.listen(store, "after_cursor_execute", arrive)
        rebuild(store)
        assert next(arrived) < TOO_MANY
        other.dispose()
        store.dispose()


def test_a_rebuild_replaces_wrong_rows_and_no_others(store: Engine) -> None:
    take(store, "u-1", "u-2", "u-3")
    right = models(store)
    with write_transaction(store) as connection:
        learner, progress = table_of(Learner), table_of(ModuleProgress)
        wrong = update(learner).where(learner.c.user_id == "u-1").values(name="Mallory")
        connection.execute(wrong)
        connection.execute(delete(progress).where(progress.c.user_id == "u-2"))
        unknown = {"vendor": holding.V, "user_id": "u-4", "person": "u-4", "active": True}
        connection.execute(insert(learner).values(unknown))
    before = places(store)
    rebuild(store)
    assert models(store) == right
    after = places(store)
    assert after.keys() == {"u-1", "u-2", "u-3"}
    assert [user for user in after if after[user] != before[user]] == ["u-1"]


def places(store: Engine) -> dict[str, object]:
    """Where the rows of learners are stored: a row that is written has another place."""
    place = "rowid" if store.dialect.name == "sqlite" else "ctid::text"
    with store.connect() as connection:
        found = connection.exec_driver_sql(f"SELECT user_id, {place} FROM learner ORDER BY user_id")
        return {row.user_id: row[1] for row in found}


def test_a_follower_pauses_while_a_rebuild_compares(store: Engine) -> None:
    take(store, "u-1")
    steps: list[Round] = []

    def step(*run: Any) -> None:
        if run[2].startswith(COMPARED):
            steps.append(follower.step())

    own = open_follower_engine(store.url.render_as_string(hide_password=False))
    follower = Follower(own)
    event.listen(store, "after_cursor_execute", step)
    rebuild(store)
    assert steps
    assert not any(one.works for one in steps)
    assert follower.step().works
    own.dispose()


def test_a_rebuild_begins_again_if_a_follower_has_worked_while_it_compared(store: Engine) -> None:
    take(store, "u-1")
    with write_transaction(store) as connection:
        connection.execute(update(table_of(ModuleProgress)).values(progress_pct=90.0))
    compared: list[int] = []

    def arrive(*run: Any) -> None:
        if run[2].startswith(COMPARED):
            compared.append(1)
            if len(compared) == 1:
                with write_transaction(other) as connection:
                    connection.execute(update(table_of(Checkpoint)).values(lease_until=ARRIVAL))
                later = ARRIVAL + timedelta(hours=1)
                sent = holding.incoming("late", playing.SECRET, "u-1", later, progressPct=20)
                holding.take(other, [sent], VENDOR)

    other = open_engine(store.url.render_as_string(hide_password=False))
    event.listen(store, "after_cursor_execute", arrive)
    rebuild(store)
    other.dispose()
    event.remove(store, "after_cursor_execute", arrive)
    assert len(compared) > 1
    after = models(store)
    with write_transaction(store) as connection:
        fold_all(connection)
    assert models(store) == after
