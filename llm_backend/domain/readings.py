"""What is being read from the database: who asks for the same meanwhile shares the answer; others are read together."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Generic, TypeVar

from llm_backend.storage.database import Database

T = TypeVar("T")

MOST_TOGETHER = 200
"""Names of one reading: more would make the first of them wait for the last."""

PATIENCE_SECONDS = 0.05
MOST_AT_ONCE = 4
"""Who waits longer than that for a reading to end is read beside it. All of them may hang: the others then wait."""


class Readings(Generic[T]):
    """Readings by name. The first to come is read at once; who comes meanwhile is next, with all who came by then.

    However many ask at the same moment, they take one connection in turn, and a further one only where a reading takes
    long: its connection may be silent. Each reading goes on to its end, whoever leaves.
    """

    def __init__(self, database: Database, read: Callable[[Collection[str]], Awaitable[Mapping[str, T]]]) -> None:
        """`read` finds what there is of some names."""
        self._database = database
        self._read = read
        self._asked: dict[str, asyncio.Future[T | None]] = {}
        self._waiting: list[tuple[str, asyncio.Future[T | None]]] = []
        self._under_way = 0
        self._begun_at = 0.0
        """When the newest of those under way began, by the loop's clock."""
        self._losing_patience: asyncio.TimerHandle | None = None

    async def of(self, name: str) -> T | None:
        """What `read` finds of that name, or raises."""
        future = self._asked.get(name)
        if future is None:
            future = self._asked[name] = asyncio.get_running_loop().create_future()
            self._waiting.append((name, future))
            if not self._under_way:
                self._begin()
            else:
                self._watch()
        return await asyncio.shield(future)

    def forget(self) -> None:
        """Share none of what runs: it may have read what was changed a moment ago."""
        self._asked.clear()

    def _begin(self) -> None:
        self._under_way += 1
        self._begun_at = asyncio.get_running_loop().time()
        self._database.start(self._read_all())

    def _watch(self) -> None:
        """See to it that nobody waits for a reading that does not end."""
        if self._losing_patience is None and self._under_way < MOST_AT_ONCE:
            until = self._begun_at + PATIENCE_SECONDS
            self._losing_patience = asyncio.get_running_loop().call_at(until, self._lose_patience)

    def _lose_patience(self) -> None:
        self._losing_patience = None
        if not self._waiting:
            return
        if asyncio.get_running_loop().time() < self._begun_at + PATIENCE_SECONDS:
            # What was waited for has ended: another reading began meanwhile.
            self._watch()
        else:
            self._begin()

    async def _read_all(self) -> None:
        try:
            while self._waiting:
                some, self._waiting = self._waiting[:MOST_TOGETHER], self._waiting[MOST_TOGETHER:]
                self._begun_at = asyncio.get_running_loop().time()
                if self._waiting:
                    self._watch()
                await self._answer(some)
        finally:
            self._under_way -= 1

    async def _answer(self, some: Collection[tuple[str, asyncio.Future[T | None]]]) -> None:
        try:
            found = await self._read({name for name, _ in some})
        except Exception as error:  # noqa: BLE001 (whatever it is, it is told to everyone who asked)
            for _, future in some:
                future.set_exception(error)
                # Whoever asked may have left.
                future.exception()
        else:
            for name, future in some:
                future.set_result(found.get(name))
        for name, future in some:
            if self._asked.get(name) is future:
                del self._asked[name]
