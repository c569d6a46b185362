"""Deliveries → HTTP, in parallel, at full speed or at a steady rate."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from functools import cache
from http import HTTPStatus
from ssl import SSLContext
from types import TracebackType
from typing import NamedTuple, Self
from zlib import crc32

import httpx

from receiver.errors import SimulatorError
from receiver.simulator.base import Delivery

LANES = 32
REPORT_EVERY = 500
BACKOFF_SEC = (0.5, 1.0, 2.0)
TIMEOUT_SEC = 15.0
CATCH_UP_SEC = 1.0
START_WAIT_SEC = 30.0
START_POLL_SEC = 0.25
FOREIGN_ADDRESS = "127.0.0.9"
"""Where foreign deliveries come from: also this machine, but not 127.0.0.1. It needs a receiver on
this machine, and a system that owns all of 127.0.0.0/8, as Linux does."""


@cache
def _trusted() -> SSLContext:
    """For all clients of this process, as it takes longer to read the system's certificates than
    to send a hundred deliveries."""
    return httpx.create_ssl_context()


class Summary(NamedTuple):
    """Deliveries by result. `sent` is the sum of the others."""

    sent: int = 0
    accepted: int = 0
    duplicates: int = 0
    refused: int = 0
    """Answered 4xx, or quarantined as unreadable."""
    failed: int = 0
    """No answer or a 5xx, after a few attempts."""


class Deliverer:
    """Sends deliveries to one receiver and counts the answers. Use as an async context."""

    def __init__(
        self, url: str, path: str, on_progress: Callable[[Summary], object] | None = None
    ) -> None:
        self.summary = Summary()
        self.accepted: set[str] = set()
        """IDs of the events that need no further retry, in a scenario with retries."""
        self._url = url
        self._path = path
        self._on_progress = on_progress
        # One client per lane: a shared pool of 32 takes 4 times the work per request. No proxy from
        # the environment: it seldom reaches a receiver on this machine.
        trusted = _trusted()
        self._clients = [
            httpx.AsyncClient(base_url=url, trust_env=False, verify=trusted, timeout=TIMEOUT_SEC)
            for _ in range(LANES)
        ]
        self._foreign = httpx.AsyncClient(
            base_url=url,
            transport=httpx.AsyncHTTPTransport(local_address=FOREIGN_ADDRESS, verify=trusted),
            timeout=TIMEOUT_SEC,
        )
        self.reaches_from_afar = False
        """Whether foreign deliveries can be sent. If not, they are skipped."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for client in (*self._clients, self._foreign):
            await client.aclose()

    async def wait_for_receiver(self, patience: float = START_WAIT_SEC) -> None:
        """Return once the receiver answers. Raises SimulatorError after `patience` seconds."""
        give_up = asyncio.get_running_loop().time() + patience
        while not await self._is_up(self._clients[0]):
            if asyncio.get_running_loop().time() >= give_up:
                raise SimulatorError(
                    f"No receiver answers at {self._url}. Start it with `repboard serve`, or "
                    "correct the address."
                )
            await asyncio.sleep(START_POLL_SEC)
        self.reaches_from_afar = await self._is_up(self._foreign)

    async def _is_up(self, client: httpx.AsyncClient) -> bool:
        try:
            return (await client.get("/healthz")).is_success
        except httpx.UnsupportedProtocol:
            raise SimulatorError(
                f"{self._url} is not a receiver address. Use http://… or https://…"
            ) from None
        except httpx.RequestError:
            return False

    async def send_all(self, deliveries: Iterable[Delivery]) -> None:
        """Send as fast as the receiver accepts."""
        async with self._lanes() as put:
            for delivery in deliveries:
                await put(delivery)

    async def send_paced(
        self, deliveries: Iterator[Delivery | None], rate: float, duration: float | None
    ) -> None:
        """Send `rate` deliveries a second. Reads each from `deliveries` when its turn comes; None
        skips a turn.

        After `duration` seconds sends the rest of `deliveries` at once.
        """
        loop = asyncio.get_running_loop()
        due = loop.time()
        end = float("inf") if duration is None else due + duration
        async with self._lanes() as put:
            for delivery in deliveries:
                if delivery is not None:
                    await put(delivery)
                # After the receiver stalls, return to the rate without a long burst.
                due = max(due + 1 / rate, loop.time() - CATCH_UP_SEC)
                await asyncio.sleep(min(due, end) - loop.time())

    @asynccontextmanager
    async def _lanes(self) -> AsyncIterator[Callable[[Delivery], Awaitable[None]]]:
        """Parallel sending. The attempts of one event share a lane, and so keep their order."""
        lanes: list[asyncio.Queue[Delivery | None]] = [asyncio.Queue(2) for _ in range(LANES)]

        def put(delivery: Delivery) -> Awaitable[None]:
            return lanes[crc32(delivery.event_id.encode()) % LANES].put(delivery)

        async with asyncio.TaskGroup() as group:
            for client, lane in zip(self._clients, lanes, strict=True):
                group.create_task(self._drive(client, lane))
            yield put
            for lane in lanes:
                await lane.put(None)

    async def _drive(self, client: httpx.AsyncClient, lane: asyncio.Queue[Delivery | None]) -> None:
        while (delivery := await lane.get()) is not None:
            if delivery.foreign and not self.reaches_from_afar:
                continue
            answer = await self._answer(self._foreign if delivery.foreign else client, delivery)
            self._count(answer)
            if delivery.retried and answer is not None and answer.is_success:
                self.accepted.add(delivery.event_id)

    async def _answer(self, client: httpx.AsyncClient, delivery: Delivery) -> httpx.Response | None:
        """The receiver's answer; None after repeated 5xx or no answer."""
        headers = httpx.Headers(delivery.headers, encoding="utf-8")
        for pause in (*BACKOFF_SEC, None):
            try:
                answer = await client.post(self._path, content=delivery.body, headers=headers)
            except httpx.RequestError:
                answer = None
            if answer is not None and not answer.is_server_error:
                return answer
            if pause is not None:
                await asyncio.sleep(pause)
        return None

    def _count(self, answer: httpx.Response | None) -> None:
        kind = _kind(answer)
        counted = {"sent": self.summary.sent + 1, kind: getattr(self.summary, kind) + 1}
        self.summary = self.summary._replace(**counted)
        if self._on_progress and self.summary.sent % REPORT_EVERY == 0:
            self._on_progress(self.summary)


def _kind(answer: httpx.Response | None) -> str:
    if answer is None:
        return "failed"
    if answer.status_code != HTTPStatus.OK:
        return "refused"
    if b'"duplicate"' in answer.content:
        return "duplicates"
    return "refused" if b'"quarantined"' in answer.content else "accepted"
