"""`repboard serve`: run the receiver and, unless it runs apart, its follower."""

import gc
import socket
from collections.abc import Sequence
from functools import partial

import structlog
import uvicorn

from receiver import logs
from receiver.app import create_app, security_headers
from receiver.commands.follow import run_follower
from receiver.listening import BACKLOG, listen
from receiver.processes import Child, Processes
from receiver.protocol import BoundedProtocol
from receiver.readmodels.follower import new_holder
from receiver.schema import current_engine
from receiver.vendors import note_vendors, required, weaknesses
from shared.settings import ReceiverSettings

DRAIN_SEC = 20
GC_THRESHOLD = 20_000

log = structlog.get_logger()


def serve() -> None:
    """Receive deliveries until stopped. Waiting deliveries are still stored and answered."""
    logs.configure()
    settings = ReceiverSettings.load()
    required(settings)
    engine = current_engine(settings)
    note_vendors(engine, settings)
    engine.dispose()  # no child may use a connection of its parent
    for weakness in weaknesses(settings):
        log.warning("weak setting", problem=weakness)
    sockets = listen(settings.receiver_host, settings.receiver_port)
    children = [Child("receiver", partial(_receive, settings, sockets))]
    if settings.receiver_follower:
        # One that is started again has the lease of the one before.
        children.append(Child("follower", partial(run_follower, settings, new_holder())))
    # Objects loaded by now stay, so the collector can skip them; requests leave few cycles.
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_THRESHOLD)
    Processes().keep_running(children)


def _receive(settings: ReceiverSettings, sockets: Sequence[socket.socket]) -> None:
    """Receive on these sockets until SIGTERM."""
    config = uvicorn.Config(
        create_app(settings),
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
