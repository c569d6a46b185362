"""The application: routes and lifespan."""

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from functools import partial
from hmac import compare_digest

from fastapi import FastAPI, Request, Response
from pydantic import SecretStr
from sqlalchemy.exc import SQLAlchemyError
from starlette.types import ASGIApp, Receive, Scope, Send

from receiver.chores import Chores
from receiver.errors import StoreUnavailable
from receiver.field_counts import FieldCounts
from receiver.key_sets import load_keys
from receiver.metrics import Metrics
from receiver.pipeline import RETRY_AFTER_SEC, Answer, Pipeline
from receiver.protocol import Whole
from receiver.quarantine import Caps
from receiver.trials import Trials
from receiver.unknown_addresses import UnknownAddresses
from receiver.vendors import configured, vendor_facts
from receiver.vendors.base import Vendor
from receiver.writer import Writer
from shared.database import open_engine
from shared.settings import ReceiverSettings

ADDRESS = "/webhooks/"
STATEMENT_SEC = 8
CHORE_SEC = 60
"""The longest statement on Postgres, of the writer and of a chore."""
ONLY_POST = Answer.of(405, {"detail": "Method Not Allowed"}, allow="POST")


def security_headers(settings: ReceiverSettings) -> Iterator[tuple[str, str]]:
    """Headers that the server adds to every response."""
    yield "x-content-type-options", "nosniff"
    yield "content-security-policy", "default-src 'none'; frame-ancestors 'none'"
    yield "referrer-policy", "no-referrer"
    yield "cache-control", "no-store"
    if (settings.public_url or "").startswith("https://"):
        yield "strict-transport-security", "max-age=31536000"


class Door:
    """Sends deliveries to the pipeline, and everything else to FastAPI.

    A raw body needs no routing, injection or validation. FastAPI's would take half of the time of a
    delivery, as `make bench` shows.
    """

    def __init__(
        self,
        app: ASGIApp,
        vendors: Mapping[str, Vendor],
        pipeline: Pipeline,
        unknown: UnknownAddresses,
    ) -> None:
        self._app = app
        self._unknown = unknown
        self._vendors = {f"{ADDRESS}{slug}": vendor for slug, vendor in vendors.items()}
        self._pipeline = pipeline
        # Some people add a slash when they enter the address at the vendor.
        self.whole = {
            f"{path}{end}".encode(): Whole(pipeline.max_body, partial(pipeline.take_whole, vendor))
            for path, vendor in self._vendors.items()
            for end in ("", "/")
        }
        """By address: how a delivery that arrives in one piece is taken."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"].removesuffix("/") if scope["type"] == "http" else ""
        vendor = self._vendors.get(path)
        if vendor is None:
            if path and scope["method"] == "POST":
                self._unknown.note(scope["path"], scope["raw_path"])
            await self._app(scope, receive, send)
        elif scope["method"] != "POST":
            await ONLY_POST.send(send)
        else:
            answer = await self._pipeline.take(vendor, scope, receive)
            await answer.send(send)


def create_app(settings: ReceiverSettings, trial_pass: str) -> ASGIApp:
    """The receiver for `settings`, on a store with the newest schema. In the header `TRIAL`,
    `trial_pass` marks a delivery of which nothing stays: a sender that knew it could hide one."""
    engine = open_engine(settings.database_url, intake=True, answer_sec=STATEMENT_SEC)
    # A chore may take longer than a vendor waits.
    spare = open_engine(settings.database_url, intake=True, answer_sec=CHORE_SEC)
    metrics = Metrics()
    caps = Caps(settings.quarantine_max_deliveries, settings.quarantine_max_bytes)
    writer = Writer(
        engine,
        metrics,
        settings.max_waiting_deliveries,
        settings.max_waiting_bytes,
        caps,
        logs_batches=not settings.receiver_log_accepted,
    )
    pipeline = Pipeline(settings, writer, metrics, trial_pass)
    vendors = configured(settings)
    unknown = UnknownAddresses(spare, metrics)
    trials = Trials(spare, vendors, settings, trial_pass)
    read = {slug: one.fields for slug, one in vendor_facts(settings).items()}
    fields = FieldCounts(spare, read)
    chores = Chores(spare, vendors, settings.retention_days, unknown, trials, metrics, fields)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        writer.start()
        with suppress(SQLAlchemyError):  # the chores try again
            load_keys(spare, vendors)
        chores.start()
        yield
        chores.close()
        writer.close()
        engine.dispose()
        spare.dispose()

    app = FastAPI(
        title="Repboard receiver", lifespan=lifespan, openapi_url=None, redirect_slashes=False
    )

    @app.api_route("/healthz", methods=["GET", "HEAD"])
    async def healthz() -> dict[str, bool]:
        return {"alive": True}

    @app.api_route("/readyz", methods=["GET", "HEAD"])
    async def readyz(response: Response) -> dict[str, bool | int]:
        try:
            lag = await writer.check()
        except StoreUnavailable:
            response.status_code = 503
            response.headers["retry-after"] = str(RETRY_AFTER_SEC)
            return {"ready": False}
        return {"ready": True, "behind": lag.events}

    @app.get("/metrics")
    async def metrics_text(request: Request) -> Response:
        if not _presents(request, settings.metrics_token):
            return Response(status_code=401, headers={"www-authenticate": "Bearer"})
        return Response(metrics.text(), media_type="text/plain; version=0.0.4")

    return Door(app, vendors, pipeline, unknown)


def _presents(request: Request, token: SecretStr | None) -> bool:
    """Whether a request has the token, or none is required."""
    if token is None:
        return True
    wanted = f"Bearer {token.get_secret_value()}".encode()
    sent = request.headers.get("authorization", "").strip(" \t").encode("latin-1")
    return compare_digest(sent, wanted)
