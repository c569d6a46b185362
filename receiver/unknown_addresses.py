"""Requests below /webhooks/ to no vendor: a wrong address at a vendor's must not go unseen.

They are counted in memory and written once in a while, an hour a row, so that a stranger can
neither fill the store with them nor make deliveries wait.
"""

import re
import threading
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import cache

from sqlalchemy import Engine

from receiver.metrics import Metrics
from shared.bulk import Upsert, insert_rows, table_of, upsert
from shared.models import UnknownAddress

BELOW = re.compile(r"/+webhooks(/|$)", re.IGNORECASE)
LONGEST_PATH = 200

Seen = tuple[int, datetime, str]
"""Requests of an hour, when the latest came, and its path."""


class UnknownAddresses:
    """The count of one receiver. Any thread may use it."""

    def __init__(self, engine: Engine, metrics: Metrics) -> None:
        self._engine = engine
        self._metrics = metrics
        self._lock = threading.Lock()
        self._hours: dict[datetime, Seen] = {}

    def note(self, path: str, raw_path: bytes) -> None:
        """Count a request, if it is one of those. Its query is left out: it may hold a secret."""
        if BELOW.match(path):
            self._metrics.unknown_addresses.inc()
            at = datetime.now(UTC)
            shown = raw_path.decode("ascii", "replace")[:LONGEST_PATH]
            hour = at.replace(minute=0, second=0, microsecond=0)
            self._add({hour: (1, at, shown)})

    def write(self) -> None:
        """Write what was counted since. What cannot be written stays for the next time."""
        with self._lock:
            hours, self._hours = self._hours, {}
        if not hours:
            return
        try:
            self._upsert((hour, *seen) for hour, seen in hours.items())
        except Exception:
            self._add(hours)
            raise

    def _add(self, hours: dict[datetime, Seen]) -> None:
        with self._lock:
            for hour, (requests, at, path) in hours.items():
                known = self._hours.get(hour, (0, at, path))
                latest = max((at, path), known[1:])
                self._hours[hour] = (known[0] + requests, *latest)

    def _upsert(self, rows: Iterable[tuple[datetime, int, datetime, str]]) -> None:
        with (
            self._engine.connect().execution_options(immediate=True) as connection,
            connection.begin(),
        ):
            upsert(connection, _more_in_hour(connection.dialect.name), rows, key_columns=1)


@cache
def _more_in_hour(dialect: str) -> Upsert:
    statement = insert_rows(
        dialect, UnknownAddress, ("hour", "requests", "latest_at", "latest_path")
    )
    return statement.on_conflict_do_update(
        index_elements=["hour"],
        set_={
            "requests": table_of(UnknownAddress).c.requests + statement.excluded.requests,
            "latest_at": statement.excluded.latest_at,
            "latest_path": statement.excluded.latest_path,
        },
    )
