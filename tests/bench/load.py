"""Load from wrk: signed requests in a file, and what wrk saw of their answers."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from tests import playing

SCRIPT = Path(__file__).parent / "wrk.lua"
MISSING = "wrk is not installed: `apt-get install wrk` (Debian, Ubuntu) or `brew install wrk`."


class Seen(NamedTuple):
    """What wrk saw: answers a second, those that were no 2xx or never came, milliseconds."""

    requests: int
    rate: float
    refused: int
    broken: int
    p50: float
    p95: float
    p99: float


def wrk(url: str, requests: Path, connections: int, seconds: int) -> Seen:
    """Send a file's requests by one thread for so long. It must hold more than are sent."""
    with sending(url, requests, connections, seconds) as process:
        return seen(process)


def sending(url: str, requests: Path, connections: int, seconds: int) -> subprocess.Popen[str]:
    """The same, while it goes on; a file that ends is followed by silence until SIGINT."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "20s",
               "-s", str(SCRIPT), url, "--", str(requests)]  # fmt: skip
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def seen(process: subprocess.Popen[str]) -> Seen:
    """What it saw, once it is through."""
    output, _ = process.communicate()
    found = json.loads(output.splitlines()[-1])
    rate = 1e6 * found["requests"] / found.pop("microseconds")
    return Seen(rate=rate, **found)


def check_wrk() -> None:
    """Ends the program with a word of advice where wrk is missing."""
    if shutil.which("wrk") is None:
        sys.exit(MISSING)


def write_requests(path: Path, count: int, prefix: str) -> Path:
    """So many deliveries as requests, for `wrk`."""
    with path.open("wb") as file:
        for delivery in deliveries(count, prefix):
            request = _request(*delivery)
            file.write(b"%08d%s" % (len(request), request))
    return path


def deliveries(count: int, prefix: str) -> Iterator[tuple[bytes, dict[str, str]]]:
    """So many unique deliveries, signed now, of 5,000 learners; their event ids begin `prefix`."""
    dice, now = Random(prefix), datetime.now(UTC)
    for number in range(count):
        body = playing.body_of(*_event(dice, number))
        yield body, playing.signed(body, now, f"{prefix}-{number}")


def _event(dice: Random, number: int) -> tuple[str, dict[str, Any]]:
    user, item = f"u-{dice.randrange(5_000):05}", dice.randrange(40)
    data: dict[str, Any] = {"userId": user, "delivery": number}
    if number % 10:
        return "module.progress", data | {
            "moduleId": f"m-{item:02}",
            "moduleName": f"Module {item} of the sales academy",
            "progressPct": dice.randrange(1001) / 10,
            "timeSpentSec": dice.randrange(9_000),
        }
    return "quiz.submitted", data | {
        "quizId": f"q-{item:02}",
        "quizName": f"Quiz of module {item}",
        "quizType": "graded",
        "score": dice.randrange(21),
        "maxScore": 20,
    }


def _request(body: bytes, headers: dict[str, str]) -> bytes:
    lines = [
        "POST /webhooks/mindtickle HTTP/1.1",
        "host: 127.0.0.1",
        *(f"{name}: {value}" for name, value in headers.items()),
        f"content-length: {len(body)}",
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body
