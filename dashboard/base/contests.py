"""The results of contests are stored by whichever page a viewer opens first after they are due."""

from datetime import UTC, datetime

from sqlalchemy.exc import SQLAlchemyError

from dashboard.base.store import Version, kept, read, version, write
from shared import contests


def store_due_results() -> None:
    """Store each result that is due. Where the store cannot be written, as a replica, the next page
    on one that can does it."""
    for contest_id in _due(version()):
        try:
            with write("contest") as connection:
                contests.store_result(connection, contest_id, datetime.now(UTC))
        except SQLAlchemyError:
            return


@kept
def _due(version: Version) -> list[int]:
    with read() as connection:
        return contests.due(connection, datetime.now(UTC))
