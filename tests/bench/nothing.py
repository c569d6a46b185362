"""A FastAPI endpoint that does nothing: as fast as one process of it can be. `… PORT`."""

import sys

import uvicorn
from fastapi import FastAPI

app = FastAPI()


@app.get("/healthz")
async def healthz() -> dict[str, bool]:
    return {"alive": True}


@app.post("/webhooks/mindtickle")
async def nothing() -> dict[str, bool]:
    return {"received": True}


if __name__ == "__main__":
    uvicorn.run(
        app, port=int(sys.argv[1]), loop="uvloop", http="httptools", access_log=False,
        log_config=None,
    )  # fmt: skip
