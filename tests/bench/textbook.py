"""The receiver of a tutorial: one session and one commit for each request. `… URL PORT`.

It is given what ours has: the same signature check, uvloop, httptools, and SQLite with WAL.
It keeps no read models.
"""

import hmac
import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Any

import uvicorn
from fastapi import Depends, FastAPI, HTTPException, Request
from sqlalchemy import MetaData
from sqlalchemy.exc import IntegrityError
from sqlmodel import Field, Session, SQLModel

from receiver.vendors.mindtickle import EVENT_ID, SIGNATURE, TIMESTAMP, sign
from shared.database import open_engine
from tests import playing


class WebhookEvent(SQLModel, table=True):
    metadata = MetaData()

    id: int | None = Field(default=None, primary_key=True)
    event_id: str = Field(unique=True)
    type: str
    user_id: str
    received_at: datetime
    payload: str


def create_app(url: str) -> FastAPI:
    engine = open_engine(url)
    WebhookEvent.metadata.create_all(engine)
    app = FastAPI()

    def get_session() -> Iterator[Session]:
        with Session(engine) as session:
            yield session

    @app.get("/healthz")
    async def healthz() -> dict[str, bool]:
        return {"alive": True}

    @app.post("/webhooks/mindtickle")
    async def receive(
        request: Request, session: Annotated[Session, Depends(get_session)]
    ) -> dict[str, bool]:
        body = await request.body()
        timestamp = request.headers[TIMESTAMP].encode()
        signature = request.headers[SIGNATURE].encode()
        if not hmac.compare_digest(sign(playing.SECRET.encode(), timestamp, body), signature):
            raise HTTPException(403)
        session.add(_event(request.headers[EVENT_ID], body))
        try:
            session.commit()
        except IntegrityError:
            return {"duplicate": True}
        return {"received": True}

    return app


def _event(event_id: str, body: bytes) -> WebhookEvent:
    content: dict[str, Any] = json.loads(body)
    return WebhookEvent(
        event_id=event_id,
        type=content["event"],
        user_id=content["data"]["userId"],
        received_at=datetime.now(UTC),
        payload=body.decode(),
    )


if __name__ == "__main__":
    uvicorn.run(
        create_app(sys.argv[1]), port=int(sys.argv[2]), loop="uvloop", http="httptools",
        access_log=False, log_config=None,
    )  # fmt: skip
