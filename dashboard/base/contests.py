"""The results of contests are stored by whichever page a viewer opens first after they are due."""

from datetime import UTC, datetime

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from dashboard.base.store import query_now, write
from shared import contests
from shared.queries.follower import followed_to


def store_due_results() -> None:
    """Store each result that is due. Where the store cannot be written, as a replica, the next page
    on one that can does it."""
    for contest_id in query_now(_due):
        try:
            with write("contest") as connection:
                contests.store_result(connection, contest_id, datetime.now(UTC))
        except SQLAlchemyError:
            return


def _due(connection: Connection) -> list[int]:
    return contests.due(connection, followed_to(connection, datetime.now(UTC)))
