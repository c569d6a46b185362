"""The file of a SQLite store is removed, replaced or moved under a running receiver."""

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from shared.database import migrate, open_engine
from tests.playing import new_id
from tests.running import Receiver, until

BESIDE = ("-wal", "-shm")


class Place:
    """A receiver whose DATABASE_URL is a link to the file, and a good file to put there."""

    def __init__(self, folder: Path, good: Path) -> None:
        self.good = good
        self.link = folder / "link.db"
        self.data = folder / "data"
        self.data.mkdir()
        self.file = self.data / "store.db"
        shutil.copy(good, self.file)
        self.link.symlink_to(self.file)
        self.receiver = Receiver(f"sqlite:///{self.link}", folder)

    def delivers(self) -> int:
        """The status of a new delivery. If it is 200, the event is in the file that is there."""
        key = new_id()
        answer = self.receiver.deliver("badge.earned", {"note": key}, key)
        if answer.status_code == 200:
            assert key in self.keys()
        return answer.status_code

    def keys(self) -> list[str]:
        with closing(sqlite3.connect(f"file:{self.link}?mode=ro", uri=True)) as store:
            return [key for (key,) in store.execute("SELECT event_key FROM event")]

    def put(self, file: Path) -> None:
        """Move a copy of a file into place, as a restore does."""
        new = self.file.with_name("new.db")
        shutil.copy(file, new)
        new.replace(self.file)

    def clear(self, *beside: str) -> None:
        for one in beside:
            self.file.with_name(self.file.name + one).unlink(missing_ok=True)

    def until_taken(self) -> None:
        until(lambda: self.delivers() == 200)
        assert self.receiver.client.get("/readyz").status_code == 200

    def assert_refused(self, why: str) -> None:
        """Deliveries are refused for as long as that lasts, and the log says why."""
        assert [self.delivers() for _ in range(3)] == [503] * 3
        assert self.receiver.client.get("/readyz").status_code == 503
        assert any(why in line.get("error", "") for line in self.receiver.log_lines()[-20:])


@pytest.fixture(scope="module")
def lasting(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Iterator[Place]:
    place = Place(tmp_path_factory.mktemp("place"), sqlite_template)
    with place.receiver:
        yield place


@pytest.fixture
def place(lasting: Place) -> Place:
    """With a good file in place, to which the receiver has written."""
    lasting.until_taken()
    return lasting


def restore(place: Place) -> None:
    place.put(place.good)
    place.clear(*BESIDE)


def test_deliveries_are_refused_while_the_file_is_gone(place: Place) -> None:
    place.clear("", *BESIDE)
    place.assert_refused("there is no file")
    assert not place.file.exists()
    restore(place)
    place.until_taken()


def test_a_backup_that_is_moved_into_place_is_written_to(place: Place) -> None:
    before = place.keys()
    restore(place)
    place.until_taken()
    assert not set(before) & set(place.keys())


def test_a_backup_beside_the_log_of_the_file_before_is_left_alone(place: Place) -> None:
    place.put(place.good)
    place.assert_refused("belongs to the old file")
    assert place.file.read_bytes() == place.good.read_bytes()
    place.clear(*BESIDE)
    place.until_taken()


@pytest.mark.parametrize("beside", [("-wal",), ("-shm",), BESIDE])
def test_what_was_acknowledged_outlives_the_deletion_of_the_log(
    place: Place, beside: tuple[str, ...]
) -> None:
    before = place.keys()
    place.clear(*beside)
    place.until_taken()
    assert set(before) <= set(place.keys())


def test_a_folder_that_is_moved_away_is_missed_until_it_is_back(place: Place) -> None:
    before = place.keys()
    away = place.data.rename(place.data.with_name("away"))
    place.assert_refused("there is no folder")
    away.rename(place.data)
    place.until_taken()
    assert set(before) <= set(place.keys())


def test_a_link_that_leads_to_another_store_is_followed(place: Place) -> None:
    other = place.data / "other.db"
    shutil.copy(place.good, other)
    new = place.link.with_name("new-link")
    new.symlink_to(other)
    new.replace(place.link)
    place.until_taken()
    place.link.unlink()
    place.link.symlink_to(place.file)
    place.until_taken()


def empty(path: Path) -> None:
    path.touch()


def older(path: Path) -> None:
    path.touch()
    engine = open_engine(f"sqlite:///{path}")
    migrate(engine, "0003")
    engine.dispose()


def no_database(path: Path) -> None:
    path.write_text("Dear diary, " * 1000)


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (empty, "no current schema"),
        (older, "no current schema"),
        (no_database, "not a database"),
        (Path.mkdir, "is a folder"),
    ],
)
def test_a_file_that_is_no_store_of_this_version_is_never_changed(
    place: Place, make: Callable[[Path], None], why: str
) -> None:
    other = place.data / "other"
    make(other)
    before = None if other.is_dir() else other.read_bytes()
    place.clear("", *BESIDE)
    other.rename(place.file)
    place.assert_refused(why)
    if before is None:
        place.file.rmdir()
    else:
        assert place.file.read_bytes() == before
    restore(place)
    place.until_taken()


def test_a_new_store_and_what_is_beside_it_are_only_for_their_owner(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        engine = open_engine(f"sqlite:///{tmp_path / 'new.db'}")
        migrate(engine)
        with engine.connect() as connection:
            connection.exec_driver_sql("SELECT 1")
            modes = {one.name: oct(one.stat().st_mode & 0o777) for one in tmp_path.iterdir()}
    finally:
        os.umask(before)
    assert modes == dict.fromkeys(("new.db", "new.db-wal", "new.db-shm"), "0o600")
    engine.dispose()


def test_a_mode_that_was_chosen_stays(tmp_path: Path) -> None:
    path = tmp_path / "shared.db"
    path.touch(0o640)
    engine = open_engine(f"sqlite:///{path}")
    migrate(engine)
    engine.dispose()
    assert path.stat().st_mode & 0o777 == 0o640
