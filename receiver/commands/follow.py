"""`repboard follow`: keep the read models up to date with the events."""

from receiver import logs
from receiver.processes import until_stopped
from receiver.readmodels.follower import Follower, new_holder, open_follower_engine
from receiver.schema import current_engine
from shared.settings import ReceiverSettings


def follow() -> None:
    """Fold events into leaderboards, quiz results and roster until stopped. `serve` does this too,
    unless RECEIVER_FOLLOWER is no. Of several on one store, one works and the others stand by."""
    logs.configure()
    settings = ReceiverSettings.load()
    current_engine(settings).dispose()
    run_follower(settings, new_holder())


def run_follower(settings: ReceiverSettings, holder: str) -> None:
    """Follow under this name until SIGTERM or SIGINT, then end after the current round."""
    stopping = until_stopped()
    Follower(open_follower_engine(settings.database_url), holder).run(stopping)
