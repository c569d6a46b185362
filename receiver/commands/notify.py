"""`repboard notify`: send messages to people."""

import os
from collections.abc import Sequence

from sqlalchemy import Engine

from receiver import logs
from receiver.errors import StartError
from receiver.notify.channels import Channel, channels, note_channels, of_targets
from receiver.notify.forwarding import Target, note_targets, targets
from receiver.notify.heartbeat import Heartbeat
from receiver.notify.notifier import Notifier
from receiver.notify.postman import Postman
from receiver.notify.rules import StoreRules
from receiver.processes import until_stopped
from receiver.readmodels.follower import new_holder
from receiver.schema import current_engine
from shared.database import open_engine, write_transaction
from shared.settings import NotifySettings, ReceiverSettings

STATEMENT_SEC = 60
NICE = 10
"""Where processors are busy, the intake and the follower come first."""


def notify() -> None:
    """Send messages to the channels NOTIFY_<NAME>=… until stopped. `serve` does this too, once a
    channel is set. Of several on one store, one works and the others stand by."""
    logs.configure()
    settings = NotifySettings.load()
    forwards = targets(settings)
    found = [*channels(settings), *of_targets(forwards)]
    if not found:
        raise StartError(
            "No channel is set. Set NOTIFY_<NAME>=…, see docs/notifications.md, or "
            "FORWARD_<NAME>=…, see docs/forwarding.md."
        )
    engine = current_engine(ReceiverSettings.load())
    note_all(engine, found, forwards)
    engine.dispose()
    run_notifier(settings, found, new_holder())


def note_all(engine: Engine, found: Sequence[Channel], forwards: Sequence[Target]) -> None:
    """Write into the store which channels and targets there are."""
    with write_transaction(engine) as connection:
        note_channels(connection, found)
        note_targets(connection, forwards)


def run_notifier(settings: NotifySettings, found: Sequence[Channel], holder: str) -> None:
    """Send under this name until SIGTERM or SIGINT, then end after the current step."""
    os.nice(NICE)
    stopping = until_stopped()
    engine = open_engine(settings.database_url, answer_sec=STATEMENT_SEC)
    private = settings.notify_private_addresses
    post = Postman(found, private=private)
    heart = Heartbeat(settings.heartbeat_url, private=private)
    Notifier(engine, holder, StoreRules(settings), post, heart.beat).run(stopping)
