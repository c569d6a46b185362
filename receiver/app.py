"""The application: routes and lifespan."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, HTTPException, Request, Response

from receiver.chores import Chores
from receiver.errors import StoreUnavailable
from receiver.held import Caps
from receiver.metrics import Metrics
from receiver.pipeline import Pipeline
from receiver.vendors import configured
from receiver.writer import Writer
from shared.database import open_engine
from shared.settings import ReceiverSettings


def create_app(settings: ReceiverSettings) -> FastAPI:
    """The receiver for `settings`, on a store that has the newest schema."""
    engine = open_engine(settings.database_url, impatient=True)
    metrics = Metrics()
    caps = Caps(settings.quarantine_max_deliveries, settings.quarantine_max_bytes)
    writer = Writer(
        engine, metrics, settings.max_waiting_deliveries, settings.max_waiting_bytes, caps
    )
    pipeline = Pipeline(settings, writer, metrics)
    vendors = configured(settings)
    chores = Chores(engine, vendors, settings.retention_days)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        writer.start()
        chores.start()
        yield
        chores.close()
        writer.close()
        engine.dispose()

    app = FastAPI(
        title="Repboard receiver", lifespan=lifespan, openapi_url=None, redirect_slashes=False
    )

    async def receive(request: Request) -> Response:
        vendor = vendors.get(request.path_params["slug"])
        if vendor is None:
            raise HTTPException(404)
        return await pipeline.take(vendor, request)

    # A plain route: a raw body leaves nothing to inject or validate, so FastAPI's machinery for
    # that would only cost time at each delivery.
    app.add_route("/webhooks/{slug}", receive, methods=["POST"])

    @app.get("/healthz")
    async def healthz() -> dict[str, bool]:
        return {"alive": True}

    @app.get("/readyz")
    async def readyz(response: Response) -> dict[str, bool]:
        try:
            await writer.check()
        except StoreUnavailable:
            response.status_code = 503
            return {"ready": False}
        return {"ready": True}

    @app.get("/metrics")
    async def metrics_text() -> Response:
        return Response(metrics.text(), media_type="text/plain; version=0.0.4")

    return app
