"""Whether a command may use the store."""

from sqlalchemy import Engine

from receiver.errors import StartError
from shared.database import is_current, open_engine
from shared.settings import ReceiverSettings


def current_engine(settings: ReceiverSettings) -> Engine:
    """The engine of a store with the newest schema. Raises StartError for any other."""
    engine = open_engine(settings.database_url)
    if not is_current(engine):
        raise StartError("The store has no current schema: run `python -m receiver migrate`.")
    return engine
