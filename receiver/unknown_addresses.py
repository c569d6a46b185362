"""Counts requests below /webhooks/ to no vendor, to show a wrong address in a vendor's settings.

They are counted in memory and stored every second, one row an hour. So a stranger can neither fill
the store nor make deliveries wait.
"""

import re
import threading
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import cache
from typing import NamedTuple

from sqlalchemy import Engine

from receiver.metrics import Metrics
from shared.bulk import Upsert, insert_rows, table_of, upsert
from shared.database import write_transaction
from shared.models import UnknownAddress

BELOW = re.compile(r"/+webhooks(/|$)", re.IGNORECASE)
LONGEST_PATH = 200


class Requests(NamedTuple):
    """The requests of an hour: their number, and time and path of the latest."""

    number: int
    latest_at: datetime
    latest_path: str


class UnknownAddresses:
    """The counts of one receiver. Thread-safe."""

    def __init__(self, engine: Engine, metrics: Metrics) -> None:
        self._engine = engine
        self._metrics = metrics
        self._lock = threading.Lock()
        self._hours: dict[datetime, Requests] = {}

    def note(self, path: str, raw_path: bytes) -> None:
        """Count a request below /webhooks/, without its query, which may contain a secret."""
        if BELOW.match(path):
            self._metrics.unknown_addresses.inc()
            at = datetime.now(UTC)
            shown = raw_path.decode("ascii", "replace")[:LONGEST_PATH]
            hour = at.replace(minute=0, second=0, microsecond=0)
            self._add({hour: Requests(1, at, shown)})

    def write(self) -> None:
        """Store the counts since the last call. If that fails, they stay for the next one."""
        with self._lock:
            hours, self._hours = self._hours, {}
        if not hours:
            return
        try:
            self._upsert((hour, *requests) for hour, requests in hours.items())
        except Exception:
            self._add(hours)
            raise

    def _add(self, hours: dict[datetime, Requests]) -> None:
        with self._lock:
            for hour, more in hours.items():
                known = self._hours.get(hour, more._replace(number=0))
                latest = max(more, known, key=lambda one: (one.latest_at, one.latest_path))
                self._hours[hour] = latest._replace(number=known.number + more.number)

    def _upsert(self, rows: Iterable[tuple[datetime, int, datetime, str]]) -> None:
        with write_transaction(self._engine) as connection:
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
