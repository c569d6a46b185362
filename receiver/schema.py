"""Opens the store for a command."""

from sqlalchemy import Engine

from shared.database import open_engine, require_current, require_writable
from shared.settings import ReceiverSettings


def current_engine(settings: ReceiverSettings) -> Engine:
    """An engine for a writable store with the newest schema. Else raises SQLAlchemyError."""
    engine = open_engine(settings.database_url)
    require_current(engine)
    require_writable(engine)
    return engine
