"""Who waits for more of a response, and is woken where there is more."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class Arrivals:
    """Of all responses that somebody waits for here."""

    def __init__(self) -> None:
        self.readers = 0
        """How many read events, and do not only wait."""
        self._awaited: dict[str, set[asyncio.Event]] = {}

    @contextmanager
    def of(self, public_id: str) -> Iterator[asyncio.Event]:
        """What is set whenever there is more of that response. Cleared before one looks, it misses nothing."""
        arrival = asyncio.Event()
        awaited = self._awaited.setdefault(public_id, set())
        awaited.add(arrival)
        try:
            yield arrival
        finally:
            awaited.discard(arrival)
            if not awaited:
                del self._awaited[public_id]

    @contextmanager
    def read(self, public_id: str) -> Iterator[asyncio.Event]:
        """The same, for one who is counted among the readers."""
        self.readers += 1
        try:
            with self.of(public_id) as arrival:
                yield arrival
        finally:
            self.readers -= 1

    def wake(self, public_id: str) -> None:
        """Tell whoever waits that there is more of it."""
        for arrival in self._awaited.get(public_id, ()):
            arrival.set()

    def wake_all(self) -> None:
        """Tell whoever waits for anything."""
        for public_id in self._awaited:
            self.wake(public_id)


async def within(arrival: asyncio.Event, seconds: float) -> None:
    """Returns when it is there, or after so many seconds."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await arrival.wait()
