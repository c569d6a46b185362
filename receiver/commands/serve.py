"""`repboard serve`: run the receiver."""

import gc
import signal
import sys

import structlog
import uvicorn

from receiver import logs
from receiver.app import create_app, security_headers
from receiver.protocol import BoundedProtocol
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
    note_vendors(current_engine(settings), settings)
    for weakness in weaknesses(settings):
        log.warning("weak setting", problem=weakness)
    # After its shutdown uvicorn raises the signal again.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    app = create_app(settings)
    # Objects loaded by now stay, so the collector can skip them; requests leave few cycles.
    gc.freeze()
    gc.set_threshold(GC_THRESHOLD)
    uvicorn.run(
        app,
        host=settings.receiver_host,
        port=settings.receiver_port,
        loop="uvloop",
        http=BoundedProtocol,
        ws="none",
        access_log=False,
        log_config=None,
        server_header=False,
        headers=list(security_headers(settings)),
        proxy_headers=False,  # the pipeline counts trusted proxies itself
        timeout_keep_alive=settings.keep_alive_sec,
        timeout_graceful_shutdown=DRAIN_SEC,
    )
