"""Waiting for what other processes do: there is nothing but asking again."""

import asyncio
from collections.abc import Awaitable, Callable

PAUSE_SECONDS = 0.05


async def until(is_so: Callable[[], Awaitable[bool]]) -> None:
    """Returns when `is_so` says so."""
    while not await is_so():  # noqa: ASYNC110 (other processes set no event)
        await asyncio.sleep(PAUSE_SECONDS)
