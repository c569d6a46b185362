"""The results of contests are stored by whichever page a viewer opens first after they are due."""

from datetime import UTC, datetime

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from dashboard.base.store import query, write
from shared import contests


def store_due_results() -> None:
    """Store each result that is due. Where the store cannot be written, as a replica, the next page
    on one that can does it."""
    for contest_id in query(_due):
        try:
            with write("contest") as connection:
                contests.store_result(connection, contest_id, datetime.now(UTC))
        except SQLAlchemyError:
            return


def _due(connection: Connection) -> list[int]:
    return contests.due(connection, datetime.now(UTC))
