"""Whether a command may use the store."""

from sqlalchemy import Engine

from shared.database import open_engine, require_current, require_writable
from shared.settings import ReceiverSettings


def current_engine(settings: ReceiverSettings) -> Engine:
    """The engine of a store with the newest schema, in which nothing is locked for long. Raises
    SQLAlchemyError for any other."""
    engine = open_engine(settings.database_url)
    require_current(engine)
    require_writable(engine)
    return engine
