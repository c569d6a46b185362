"""Opens the file of a SQLite store, never creates it, and checks that it stays in place.

SQLite continues to write to a deleted or replaced file: such commits are lost. A log must stay with
its file: https://www.sqlite.org/howtocorrupt.html
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
    """The files of a store: device and inode of each, None for a missing one."""

    file: Identity | None
    log: Identity | None
    shared: Identity | None

    def is_left(self, now: "Place") -> bool:
        """Whether a connection opened at this place uses files that are no longer there. One
        without a log starts to use one as soon as another process does."""
        return self.file != now.file or any(
            was is not None and was != is_now
            for was, is_now in ((self.log, now.log), (self.shared, now.shared))
        )


class SqliteFile:
    """Opens the file of an engine, and keeps transactions out of any other file."""

    def __init__(self, url: URL, prepare: Prepare) -> None:
        self._path = path_of(url)
        self._target = self._path
        self._prepare = prepare
        self._opening = threading.Lock()
        self._place: Place | None = None
        self._release_log: Callable[[], object] = int

    def watch(self, engine: Engine) -> None:
        """Make the engine open its file through this object."""
        event.listen(engine, "do_connect", self._open)
        event.listen(engine, "checkout", self._reopen_if_moved)
        event.listen(engine, "commit", require_in_place)

    def is_left_by(self, place: Place) -> bool:
        """Whether a connection opened at this place uses other files than the current ones."""
        return place.is_left(self._look())

    def _reopen_if_moved(self, connection: sqlite3.Connection, record: Any, _proxy: Any) -> None:
        place: Place = record.info[PLACE]
        now = self._look()
        if not place.is_left(now):
            return
        if place.file == now.file and now.log is None:
            with suppress(sqlite3.Error):  # only the log was deleted: save its content
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
        # SQLite keeps log and index beside the target of a link.
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
            raise StoreError(f"{self._path} is a folder. Use a file in it.")
        before = self._place
        if before and before.file != place.file and place.log and before.log == place.log:
            raise StoreError(
                f"{self._path} was replaced, but {self._beside('wal')} belongs to the old file. "
                "SQLite would mix the two. Move it and the -shm file away."
            )
        return place

    def _remember(self, place: Place) -> None:
        """Keep the log open, so that no other file gets its inode."""
        if place == self._place:
            return
        self._place = place
        self._release_log()
        if place.log:
            log = os.open(self._beside("wal"), os.O_RDONLY)
            self._release_log = weakref.finalize(self, os.close, log)


def require_in_place(connection: Connection) -> None:
    """Raises StoreError if this connection writes to a file that is no longer in place.

    Before a commit this stops the transaction. After one it tells whether the commit counts. Does
    nothing on Postgres.
    """
    file: SqliteFile | None = connection.info.get(FILE)
    if file and file.is_left_by(connection.info[PLACE]):
        raise StoreError(f"{connection.engine.url.database} was removed or replaced while in use.")


def path_of(url: URL) -> Path:
    """The path in the address of a SQLite store: a path, or `file:…?uri=true`."""
    name = url.database or ""
    if "uri" in url.query:
        name = unquote(urlsplit(name).path)
    return Path(name).absolute()


def create_file(url: URL) -> None:
    """Create an empty file that only its owner can read, if there is none. SQLite gives its log and
    index the same mode. Raises StoreError if that fails."""
    path = path_of(url)
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, ONLY_OWNER))
    except FileExistsError:
        return
    except FileNotFoundError:
        raise StoreError(_missing(path)) from None
    except OSError as error:
        raise StoreError(f"{path} cannot be created: {error.strerror}.") from None


def _missing(path: Path) -> str:
    if not path.parent.is_dir():
        return f"there is no folder {path.parent}. Check the path, or create the folder."
    return f"there is no file {path}. Check the path, or create a store with `repboard migrate`."


def _as_uri(name: str) -> str:
    """The address for an existing file only: SQLite would create a file for a mistyped path."""
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
