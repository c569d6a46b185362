"""The time of a change to the store."""

from datetime import UTC, datetime

from sqlalchemy import Connection, Engine


def under(engine: Engine, at: datetime) -> Engine:
    """The same store, on which every change is made at `at`. For the simulator, which writes the
    history of a company; the receiver and the dashboard never set a time."""
    return engine.execution_options(now=at)


def now(store: Connection | Engine) -> datetime:
    """The time of now, or the one that `under` has set."""
    set_to: datetime | None = store.get_execution_options().get("now")
    return set_to or datetime.now(UTC)
