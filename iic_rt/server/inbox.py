"""The body of a request as it arrives: counted, timed, and never written to a disk."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, TypeVar

from starlette.types import Message, Receive

from iic_rt.server.answers import ApiError

__all__ = ["Budget", "Inbox", "unless_gone"]

T = TypeVar("T")

GRACE = 20.0  # seconds that any body may take
SLOWEST = 50_000  # bytes a second that a longer one must come with on average
LINGER = 2.0  # seconds for which the rest of a refused body is thrown away: most clients listen only behind it


class Budget:
    """Bytes of all requests that are in memory at once.

    Args:
        most: bytes.
    """

    def __init__(self, most: int) -> None:
        self._most, self._held = most, 0

    def take(self, count: int) -> None:
        """Raises ApiError where it would be too many."""
        if self._held + count > self._most:
            text = "the server holds as many bytes of other requests as it may; try again"
            raise ApiError(429, "busy", text, retry_after=2)
        self._held += count

    def give_back(self, count: int) -> None:
        """When a request is over."""
        self._held -= count


class Inbox:
    """Stands between a server and an application as ASGI's ``receive``.

    Args:
        receive: of the server.
        declared: the request's Content-Length, empty where it has none.
        max_bytes: of the body.
        budget: that the bytes count against until :meth:`close`.
    """

    def __init__(self, receive: Receive, declared: str, *, max_bytes: int, budget: Budget) -> None:
        self._receive, self._budget, self._most = receive, budget, max_bytes
        self._declared = int(declared) if declared.isdecimal() and len(declared) < 20 else 0
        self._began = time.monotonic()
        self._received = 0
        self._finished = False

    async def receive(self) -> Message:
        """The next part of the body, or that the client is gone.

        Raises:
            ApiError: too many bytes (413), too slow (408), or too many of all requests together (429).
        """
        if self._finished:
            return await self._receive()
        if self._declared > self._most:
            raise self._too_large()
        left = self._began + GRACE + self._received / SLOWEST - time.monotonic()
        try:
            message = await asyncio.wait_for(self._receive(), max(left, 0.001))
        except asyncio.TimeoutError:
            raise ApiError(408, "timeout", "the request came too slowly", headers={"Connection": "close"}) from None
        count = len(message.get("body", b""))
        self._finished = not message.get("more_body", False)
        if self._received + count > self._most:
            raise self._too_large()
        self._budget.take(count)
        self._received += count
        return message

    async def discard(self) -> None:
        """Throws away what is left of the body, for a short time."""
        if not self._finished:
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._discard(), LINGER)

    async def _discard(self) -> None:
        while not self._finished:
            message = await self._receive()
            self._finished = not message.get("more_body", False)

    def close(self) -> None:
        """The request is over."""
        self._budget.give_back(self._received)
        self._received = 0

    def _too_large(self) -> ApiError:
        text = f"the request is larger than {self._most} bytes; send a smaller image, or raise --max-bytes"
        return ApiError(413, "too_large", text)


async def unless_gone(receive: Receive, work: Coroutine[Any, Any, T]) -> T:
    """The result of some work, which is cancelled when the client goes; the body must have been read.

    Raises:
        ApiError: the client is gone (499).
    """
    task, gone = asyncio.ensure_future(work), asyncio.ensure_future(_disconnected(receive))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ApiError(499, "gone", "the client closed the connection")
        return task.result()
    finally:
        gone.cancel()
        task.cancel()
        await asyncio.wait({task, gone})


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
