"""A rebuild while deliveries are accepted, interrupted ones included."""

from pathlib import Path

import pytest
from sqlalchemy import Engine

from receiver.erase import erase_person
from receiver.readmodels.rebuild import rebuild
from receiver.traces import Account
from shared.database import open_engine
from shared.models import Learner
from tests import holding, playing
from tests.load import Load
from tests.running import Receiver, until
from tests.stores import read_models, rows

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


def beside(store: Engine) -> Path:
    return Path(f"{store.url.database}-rebuild")


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


def test_an_interrupted_rebuild_changes_nothing_and_the_next_one_goes_on(sqlite_url: str) -> None:
    store = open_engine(sqlite_url)
    take(store, "u-1", "u-2")
    before = models(store)
    with pytest.raises(Interrupted):
        rebuild(store, interrupt)
    assert models(store) == before
    assert beside(store).stat().st_mode & 0o077 == 0
    take(store, "u-3")
    seen: list[int] = []
    assert rebuild(store, seen.append) == 9
    assert seen == [9]  # the first six events were not folded again
    assert [one.user_id for one in rows(store, Learner)] == ["u-1", "u-2", "u-3"]
    assert not beside(store).exists()
    live = models(store)
    rebuild(store)
    assert models(store) == live
    store.dispose()


def test_what_an_interrupted_rebuild_has_of_a_person_is_erased_with_them(sqlite_url: str) -> None:
    store = open_engine(sqlite_url)
    take(store, "u-1", "u-2")
    with pytest.raises(Interrupted):
        rebuild(store, interrupt)
    erase_person(store, account=Account(holding.V, "u-1"))
    assert not beside(store).exists()
    rebuild(store)
    assert [one.user_id for one in rows(store, Learner)] == ["u-2"]
    store.dispose()
