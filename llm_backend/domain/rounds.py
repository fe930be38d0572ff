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

    def every(self, seconds: float, work: Work) -> None:
        """Do `work` from now on, until the close."""
        self._tasks.append(asyncio.create_task(self._round(seconds, work)))

    async def close(self) -> None:
        """Returns when what is under way has ended: asked, not cancelled, for a cut statement costs its connection."""
        self._closing.set()
        await asyncio.gather(*self._tasks)

    async def _round(self, seconds: float, work: Work) -> None:
        while not await self._closes_within(seconds):
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
