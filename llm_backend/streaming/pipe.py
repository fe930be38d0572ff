"""What lies between the pump and the response: bytes in order, bounded, with a sign of life when there are none."""

import asyncio
from collections import deque
from collections.abc import Callable
from math import inf
from typing import Self

from llm_backend.streaming.sse import KEEP_ALIVE

_TAKE_BYTES = 64 * 1024
"""The reader gets about so much at once: enough to save wake-ups, little enough that its progress shows."""


Take = Callable[[bytes], bool]
"""Sends a block to where the reader would send it; False where it did not, as it would have to wait."""


class Abandoned(Exception):
    """The reader has gone."""


class Stalled(Exception):
    """The reader is there, but took nothing for too long."""


class Pipe:
    """One writer, one reader, each of which may be cancelled at any await: no block is lost, doubled or cut.

    `limit_bytes`: what may lie unread before the writer waits; a larger block passes alone.
    `stall_seconds`: how long the writer waits for a reader that takes nothing.
    `keep_alive_seconds`: after so long without a block the reader gets a comment, counted from the pipe's making on;
    infinite where it gets none.
    """

    def __init__(
        self,
        *,
        limit_bytes: int = 256 * 1024,
        stall_seconds: float = 60.0,
        keep_alive_seconds: float = 15.0,
    ) -> None:
        self._limit_bytes = limit_bytes
        self._stall_seconds = stall_seconds
        self._keep_alive_seconds = keep_alive_seconds
        self._loop = asyncio.get_running_loop()
        self._blocks: deque[bytes] = deque()
        self._size = 0
        self._is_closed = False
        self._is_abandoned = False
        self._room: asyncio.Future[bool] | None = None
        self._arrival: asyncio.Future[bool] | None = None
        self._last_sign = self._loop.time()
        self._is_silent = False
        self._timer: asyncio.TimerHandle | None = None
        self._take_past: Take | None = None

    def shorten(self, take: Take) -> None:
        """Say how blocks may go past the reader while it waits for one. From the reader, whose own way is the same."""
        if not self._is_closed and not self._is_abandoned:
            self._take_past = take

    def passes(self, block: bytes) -> bool:
        """Send `block` past the reader, which nobody has to wake up then; False where it has to be `put`."""
        # While the reader waits with nothing before it, no block can overtake another.
        if self._arrival is None or self._blocks or self._take_past is None or not self._take_past(block):
            return False
        self._last_sign = self._loop.time()
        self._is_silent = False
        return True

    async def put(self, block: bytes) -> None:
        """Hand `block`, whole events, to the reader; waits while there is no room for it.

        Raises `Abandoned` or `Stalled`, and the block is not taken then; RuntimeError after `close`.
        """
        while self._size and self._size + len(block) > self._limit_bytes and not self._is_abandoned:
            await self._wait_for_room()
        if self._is_abandoned:
            raise Abandoned
        if self._is_closed:
            raise RuntimeError("the pipe is closed")
        self._blocks.append(block)
        self._size += len(block)
        self._last_sign = self._loop.time()
        _wake(self._arrival)

    def close(self, last: bytes = b"") -> None:
        """Say that nothing follows but `last`, for which there is always room; the reader takes all, then ends."""
        if last and not self._is_abandoned:
            self._blocks.append(last)
            self._size += len(last)
        self._is_closed = True
        self._take_past = None
        self._stop_timer()
        _wake(self._arrival)

    def abandon(self) -> None:
        """Say that the reader has gone.

        Awaits nothing: on a disconnect every await of the response's cleanup fails.
        """
        self._is_abandoned = True
        self._take_past = None
        self._stop_timer()
        self._blocks.clear()
        self._size = 0
        _wake(self._room)
        _wake(self._arrival)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        while not self._blocks:
            if self._is_closed or self._is_abandoned:
                raise StopAsyncIteration
            if self._is_silent:
                self._is_silent = False
                return KEEP_ALIVE
            await self._wait_for_arrival()
        self._is_silent = False
        return self._take()

    def _take(self) -> bytes:
        taken = [self._blocks.popleft()]
        size = len(taken[0])
        while self._blocks and size + len(self._blocks[0]) <= _TAKE_BYTES:
            taken.append(self._blocks.popleft())
            size += len(taken[-1])
        self._size -= size
        _wake(self._room)
        return taken[0] if len(taken) == 1 else b"".join(taken)

    async def _wait_for_room(self) -> None:
        """Wait until the reader takes something or goes. Raises `Stalled` where it does neither."""
        if self._room is not None:
            raise RuntimeError("the pipe has a writer already")
        self._room = room = self._loop.create_future()
        timer = self._loop.call_later(self._stall_seconds, _give_up, room)
        try:
            if not await room:
                raise Stalled
        finally:
            timer.cancel()
            self._room = None

    async def _wait_for_arrival(self) -> None:
        """Wait until something is put, the pipe ends, or it has been silent for long."""
        if self._arrival is not None:
            raise RuntimeError("the pipe has a reader already")
        if self._timer is None and self._keep_alive_seconds < inf:
            self._arm()
        self._arrival = arrival = self._loop.create_future()
        try:
            await arrival
        finally:
            self._arrival = None

    def _arm(self) -> None:
        self._timer = self._loop.call_at(self._last_sign + self._keep_alive_seconds, self._on_timer)

    def _on_timer(self) -> None:
        """One timer for the whole stream: blocks only move the time it is re-armed for."""
        now = self._loop.time()
        if self._last_sign + self._keep_alive_seconds <= now:
            self._last_sign = now
            self._is_silent = self._arrival is not None
            _wake(self._arrival)
        self._arm()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()


def _wake(waiter: asyncio.Future[bool] | None) -> None:
    if waiter is not None and not waiter.done():
        waiter.set_result(True)


def _give_up(waiter: asyncio.Future[bool]) -> None:
    # A result, never an exception: one that nobody fetches because its task was cancelled meanwhile would be a warning.
    if not waiter.done():
        waiter.set_result(False)
