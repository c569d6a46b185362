"""`repboard migrate`: upgrade the store."""

from receiver.commands.rebuild import rebuild
from shared.database import migrate as upgrade
from shared.database import open_engine, rebuild_is_due
from shared.settings import ReceiverSettings


def migrate() -> None:
    """Upgrade the store to the newest schema. Rebuilds the read models if that changed them."""
    engine = open_engine(ReceiverSettings.load().database_url)
    upgrade(engine)
    with engine.connect() as connection:
        due = rebuild_is_due(connection)
    if due:
        rebuild()
