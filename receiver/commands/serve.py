"""`repboard serve`: run the receiver's workers, its follower unless that runs apart, and a notifier
once a channel is set."""

import gc
import socket
from collections.abc import Sequence
from functools import partial
from secrets import token_urlsafe
from tempfile import TemporaryDirectory
from typing import Annotated

import structlog
import typer
import uvicorn

from receiver import logs
from receiver.app import create_app, security_headers
from receiver.commands.follow import run_follower
from receiver.commands.notify import note_all, run_notifier
from receiver.listening import BACKLOG, listen
from receiver.metrics import forget_process, share_metrics
from receiver.notify.channels import channels, of_targets
from receiver.notify.forwarding import targets
from receiver.processes import Child, Processes
from receiver.protocol import BoundedProtocol
from receiver.readmodels.follower import new_holder
from receiver.schema import current_engine
from receiver.vendors import note_vendors, required, weaknesses
from shared.settings import NotifySettings, ReceiverSettings

DRAIN_SEC = 20
GC_THRESHOLD = 20_000

log = structlog.get_logger()


def serve(
    workers: Annotated[
        str | None,
        typer.Option(help="How many processes receive: a number, or `auto` for one a core."),
    ] = None,
) -> None:
    """Receive deliveries until stopped. Waiting deliveries are still stored and answered."""
    logs.configure()
    given = {} if workers is None else {"receiver_workers": workers}
    settings = ReceiverSettings.load(**given)
    required(settings)
    engine = current_engine(settings)
    note_vendors(engine, settings)
    notifying = NotifySettings.load()
    forwards = targets(notifying)
    to_channels = [*channels(notifying), *of_targets(forwards)]
    if to_channels:
        note_all(engine, to_channels, forwards)
    engine.dispose()  # no child may use a connection of its parent
    for weakness in weaknesses(settings):
        log.warning("weak setting", problem=weakness)
    each = listen(settings.receiver_host, settings.receiver_port, settings.receiver_workers)
    trial_pass = token_urlsafe()
    children = [Child("receiver", partial(_receive, settings, own, trial_pass)) for own in each]
    if settings.receiver_follower:
        # One that is started again has the lease of the one before.
        children.append(Child("follower", partial(run_follower, settings, new_holder())))
    if to_channels:
        notifier = partial(run_notifier, notifying, to_channels, new_holder())
        children.append(Child("notifier", notifier))
    # Objects loaded by now stay, so the collector can skip them; requests leave few cycles.
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_THRESHOLD)
    with TemporaryDirectory(prefix="repboard-metrics-") as folder:
        share_metrics(folder)
        Processes(forget_process).keep_running(children)


def _receive(settings: ReceiverSettings, sockets: Sequence[socket.socket], trial_pass: str) -> None:
    """Receive on these sockets until SIGTERM."""
    config = uvicorn.Config(
        create_app(settings, trial_pass),
        loop="uvloop",
        http=BoundedProtocol,
        ws="none",
        access_log=False,
        log_config=None,
        server_header=False,
        headers=list(security_headers(settings)),
        proxy_headers=False,  # the pipeline counts trusted proxies itself
        backlog=BACKLOG,
        timeout_keep_alive=settings.keep_alive_sec,
        timeout_graceful_shutdown=DRAIN_SEC,
    )
    uvicorn.Server(config).run(sockets=list(sockets))
