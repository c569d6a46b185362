"""`repboard migrate`: upgrade the store."""

from receiver.commands.rebuild import rebuild
from receiver.vendors import note_vendors
from shared.database import migrate as upgrade, open_engine, rebuild_is_due
from shared.settings import ReceiverSettings


def migrate() -> None:
    """Upgrade the store to the newest schema. Rebuilds the read models if that changed them, and
    notes the vendors for the dashboard."""
    settings = ReceiverSettings.load()
    engine = open_engine(settings.database_url)
    upgrade(engine)
    note_vendors(engine, settings, receives=False)
    with engine.connect() as connection:
        due = rebuild_is_due(connection)
    if due:
        rebuild()
