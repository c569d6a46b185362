"""The file of a SQLite store: opened only where it is, and watched while it is open.

SQLite goes on writing to a file that was deleted or replaced: what it commits then exists nowhere.
Why a log must stay with its file: https://www.sqlite.org/howtocorrupt.html
"""

import os
import sqlite3
import threading
import weakref
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias
from urllib.parse import quote, unquote, urlsplit

from sqlalchemy import URL, Connection, Engine, event
from sqlalchemy.exc import InvalidatePoolError

from shared.store_errors import StoreError

Identity: TypeAlias = tuple[int, int]
Prepare: TypeAlias = Callable[[sqlite3.Connection], None]
ONLY_OWNER = 0o600
FILE, PLACE = "sqlite_file", "sqlite_place"


class Place(NamedTuple):
    """What lies where a store has its files: device and inode of each, None where there is none."""

    file: Identity | None
    log: Identity | None
    shared: Identity | None

    def is_left(self, now: "Place") -> bool:
        """Whether a connection that was opened here goes by files that are not there now. One
        that had no log yet begins one as soon as another process does."""
        return self.file != now.file or any(
            was is not None and was != is_now
            for was, is_now in ((self.log, now.log), (self.shared, now.shared))
        )


class SqliteFile:
    """Opens the file of an engine, and sees to it that no transaction goes into another one."""

    def __init__(self, url: URL, prepare: Prepare) -> None:
        self._path = path_of(url)
        self._target = self._path
        self._prepare = prepare
        self._opening = threading.Lock()
        self._place: Place | None = None
        self._release_log: Callable[[], object] = int

    def watch(self, engine: Engine) -> None:
        """From now on the engine opens the file by this, and never creates one."""
        event.listen(engine, "do_connect", self._open)
        event.listen(engine, "checkout", self._reopen_if_moved)
        event.listen(engine, "commit", require_in_place)

    def is_left_by(self, place: Place) -> bool:
        """Whether a connection that was opened at this place goes by other files."""
        return place.is_left(self._look())

    def _reopen_if_moved(self, connection: sqlite3.Connection, record: Any, _proxy: Any) -> None:
        place: Place = record.info[PLACE]
        now = self._look()
        if not place.is_left(now):
            return
        if place.file == now.file and now.log is None:
            with suppress(
                sqlite3.Error
            ):  # only the log was deleted: save what was not yet out of it
                connection.execute("PRAGMA wal_checkpoint")
        raise InvalidatePoolError("the file was removed or replaced")

    def _open(self, _dialect: Any, record: Any, names: Any, options: Any) -> sqlite3.Connection:
        with self._opening:
            before = self._look_for_a_store()
            connection: sqlite3.Connection = sqlite3.connect(
                _as_uri(*names), **options | {"uri": True}
            )
            try:
                self._prepare(connection)
                place = self._look()
                if place.file != before.file:
                    raise FileNotFoundError
                self._remember(place)
            except FileNotFoundError:
                connection.close()
                line = f"{self._path} was removed or replaced while it was being opened."
                raise StoreError(line) from None
            except BaseException:
                connection.close()
                raise
            record.info.update({FILE: self, PLACE: place})
            return connection

    def _look(self) -> Place:
        # SQLite keeps log and index beside the file that a link leads to.
        return Place(
            _identity(self._path), _identity(self._beside("wal")), _identity(self._beside("shm"))
        )

    def _beside(self, name: str) -> Path:
        return self._target.with_name(f"{self._target.name}-{name}")

    def _look_for_a_store(self) -> Place:
        self._target = self._path.resolve()
        place = self._look()
        if place.file is None:
            raise StoreError(_missing(self._target))
        if self._path.is_dir():
            raise StoreError(f"{self._path} is a folder: name a file in it.")
        before = self._place
        if before and before.file != place.file and place.log and before.log == place.log:
            raise StoreError(
                f"{self._path} was replaced, and {self._beside('wal')} is of the file before: "
                "SQLite would mix the two. Move it and the -shm beside it away."
            )
        return place

    def _remember(self, place: Place) -> None:
        """Keeps the log open: as long as that is so, no other file can get its number."""
        if place == self._place:
            return
        self._place = place
        self._release_log()
        if place.log:
            held = os.open(self._beside("wal"), os.O_RDONLY)
            self._release_log = weakref.finalize(self, os.close, held)


def require_in_place(connection: Connection) -> None:
    """Raises StoreError if what this connection writes goes to a file that is no longer there.

    Before a commit this keeps a transaction out of it; after one it says whether to believe that.
    Does nothing on Postgres.
    """
    file: SqliteFile | None = connection.info.get(FILE)
    if file and file.is_left_by(connection.info[PLACE]):
        raise StoreError(f"{connection.engine.url.database} was removed or replaced while in use.")


def path_of(url: URL) -> Path:
    """Where the address of a SQLite store says that it is: by a path, or `file:…?uri=true`."""
    name = url.database or ""
    if "uri" in url.query:
        name = unquote(urlsplit(name).path)
    return Path(name).absolute()


def create_file(url: URL) -> None:
    """An empty file that only its owner can read, unless there is one. SQLite gives the files
    beside it the same mode. Raises StoreError where none can be made."""
    path = path_of(url)
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, ONLY_OWNER))
    except FileExistsError:
        return
    except FileNotFoundError:
        raise StoreError(_missing(path)) from None
    except OSError as error:
        raise StoreError(f"{path} cannot be made: {error.strerror}.") from None


def _missing(path: Path) -> str:
    if not path.parent.is_dir():
        return f"there is no folder {path.parent}: check the path, or make the folder."
    return (
        f"there is no file {path}: check the path, or make a new store there by `repboard migrate`."
    )


def _as_uri(name: str) -> str:
    """For an existing file only: SQLite would make a new one of a mistyped path."""
    if not name.startswith("file:"):
        return f"file:{quote(name)}?mode=rw"
    if "mode=" in name:
        return name.replace("mode=rwc", "mode=rw")
    return f"{name}{'&' if '?' in name else '?'}mode=rw"


def _identity(path: Path) -> Identity | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
