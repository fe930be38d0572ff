"""What is done again and again beside the requests."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import structlog

from llm_backend.errors import Unavailable

Work = Callable[[], Awaitable[object]]

log = structlog.get_logger("llm_backend.rounds")


class Rounds:
    """Pieces of work, each with seconds between its end and its next beginning."""

    def __init__(self) -> None:
        self._closing = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def every(self, seconds: float, work: Work, *, first_seconds: float | None = None) -> None:
        """Do `work` from now on, until the close; for the first time after `first_seconds`, where that is another."""
        first = seconds if first_seconds is None else first_seconds
        self._tasks.append(asyncio.create_task(self._round(first, seconds, work)))

    async def close(self) -> None:
        """Returns when what is under way has ended: asked, not cancelled, for a cut statement costs its connection."""
        self._closing.set()
        await asyncio.gather(*self._tasks)

    async def _round(self, first_seconds: float, seconds: float, work: Work) -> None:
        pause = first_seconds
        while not await self._closes_within(pause):
            pause = seconds
            try:
                with suppress(Unavailable):
                    await work()
            except Exception:
                # The next time may go better, and nothing else would ever try.
                log.exception("round_failed", work=getattr(work, "__qualname__", ""))

    async def _closes_within(self, seconds: float) -> bool:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._closing.wait()
        return self._closing.is_set()
