"""Bodies off the network: bounded in size, in time, and in the bytes that are under way in all."""

import asyncio
from collections.abc import Mapping

from starlette.types import Receive

from receiver.errors import StoreUnavailable

READ_SEC = 20
LONGEST_NUMBER = 18


class TooLarge(Exception):
    """The body is over the limit; `size` is what was announced or read of it, in bytes."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.size = size


class CutOff(Exception):
    """The body broke off, came too slowly, or was shorter than announced."""


class BodyReader:
    """Reads the bodies of one application."""

    def __init__(self, max_body: int, max_under_way: int) -> None:
        self._max_body = max_body
        self._max_under_way = max_under_way
        self._under_way = 0

    async def read(self, headers: Mapping[str, bytes], receive: Receive) -> bytes:
        """The raw body. Raises TooLarge as soon as that is known, CutOff, or StoreUnavailable
        while others have too many bytes under way: strangers may send slowly, and at once."""
        announced = _announced(headers)
        if announced is not None and announced > self._max_body:
            raise TooLarge(announced)
        body = bytearray()
        try:
            async with asyncio.timeout(READ_SEC):
                await self._collect(receive, body)
        except TimeoutError:
            raise CutOff from None
        finally:
            self._under_way -= len(body)
        # uvicorn drops the body of a request that asks for an upgrade it does not know, as
        # curl --http2 does; that must not pass for a wrong signature.
        if announced is not None and len(body) < announced:
            raise CutOff
        return bytes(body)

    async def _collect(self, receive: Receive, body: bytearray) -> None:
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise CutOff
            chunk = message.get("body", b"")
            body += chunk
            self._under_way += len(chunk)
            if len(body) > self._max_body:
                raise TooLarge(len(body))
            if self._under_way > self._max_under_way:
                raise StoreUnavailable("too many bodies are under way")
            more = message.get("more_body", False)


def _announced(headers: Mapping[str, bytes]) -> int | None:
    length = headers.get("content-length", b"")
    return int(length[:LONGEST_NUMBER]) if length.isdigit() else None
