"""The body of a request on its way in: bounded in bytes and in time."""

import asyncio
from collections.abc import AsyncIterator, Callable

from starlette.types import Message, Receive

from llm_backend.errors import RequestTimedOut, RequestTooLarge

PROGRESS_BYTES = 1024

ARRIVED = "llm_backend.arrived"
"""Where the protocol puts what gives the whole body, if all of it is there already, and None otherwise."""

Arrived = Callable[[], bytes | None]


class Departed(Exception):
    """The client left before its request, or the answer, was complete: there is nobody to answer."""


class Intake:
    """Reads one body from the server's messages."""

    def __init__(self, receive: Receive, progress_seconds: float, arrived: Arrived | None = None) -> None:
        """`progress_seconds` is the time for the next kilobyte, or the end; `arrived` what stands at `ARRIVED`."""
        self._receive = receive
        self._arrived = arrived
        self._progress_seconds = progress_seconds
        self._deadline: float | None = None
        self._deadline_length = 0
        self.is_complete = False
        self.length = 0
        """Bytes seen so far."""

    async def read(self, limit: int, declared: int | None) -> bytes:
        """Take the whole body, keeping `limit` bytes at most. Raises as `chunks`."""
        self._check(limit, declared)
        if self._arrived is not None and (body := self._arrived()) is not None:
            # So with nearly all: there is nothing to wait for.
            self.length, self.is_complete = len(body), True
            self._check(limit, self.length)
            return body
        parts = []
        while not self.is_complete:
            parts.append(await self._next(limit))
        return parts[0] if len(parts) == 1 else b"".join(parts)

    async def chunks(self, limit: int, declared: int | None) -> AsyncIterator[bytes]:
        """Take the body piece by piece, `limit` bytes at most.

        Raises RequestTooLarge, RequestTimedOut where it does not go on, Departed.
        """
        self._check(limit, declared)
        while not self.is_complete:
            yield await self._next(limit)

    async def discard(self, limit: int, seconds: float) -> None:
        """Read on without keeping anything, for a while: a close with bytes unread would destroy the answer sent."""
        end = self.length + limit
        try:
            async with asyncio.timeout(seconds):
                while not self.is_complete and self.length < end:
                    await self._next()
        except (TimeoutError, RequestTimedOut, Departed):
            return

    async def _next(self, limit: int | None = None) -> bytes:
        if self._deadline is None or self.length >= self._deadline_length:
            # A byte now and then is no progress: it would keep the connection for ever.
            self._deadline = asyncio.get_running_loop().time() + self._progress_seconds
            self._deadline_length = self.length + PROGRESS_BYTES
        try:
            async with asyncio.timeout_at(self._deadline):
                message = await self._receive()
        except TimeoutError:
            raise RequestTimedOut("The body did not arrive in time.") from None
        if message["type"] == "http.disconnect":
            raise Departed
        body: bytes = message.get("body", b"")
        self.length += len(body)
        self.is_complete = not message.get("more_body", False)
        self._check(limit, self.length)
        return body

    @staticmethod
    def _check(limit: int | None, length: int | None) -> None:
        if limit is not None and length is not None and length > limit:
            raise RequestTooLarge(f"The body is larger than {limit} bytes, which is what this operation takes.")


def replayed(body: bytes, receive: Receive) -> Receive:
    """Give `body` as the only message of the request, then the server's own: the next is the client's departure."""
    given = False

    async def replay() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay
