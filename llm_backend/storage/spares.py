"""Connections that hot statements keep for the next of them: a turn at the pool costs more than some statements do."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import PoolProxiedConnection, event
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import ConnectionPoolEntry

from llm_backend.storage import faults

ERA = "era"
"""Under this name a server's connection has the number of those that broke before it last answered."""


def era(lent: PoolProxiedConnection) -> int | None:
    """As of which a connection is trusted. None on SQLite."""
    return lent.info.get(ERA)


class Spares:
    """Of one pool. They are kept only while nobody waits for it: whoever does gets them back at once.

    Where a server's connection breaks, no other is trusted that was made before: a way that was lost (a failover, a
    router that forgot them) is lost to all of them, and each would be waited for anew.
    """

    def __init__(self, engine: AsyncEngine, *, is_sqlite: bool) -> None:
        self._engine = engine
        self._is_sqlite = is_sqlite
        self._kept: list[PoolProxiedConnection] = []
        self._wanted = 0
        self._era = 0
        if not is_sqlite:
            event.listen(engine.sync_engine, "connect", self._made)
            event.listen(engine.sync_engine, "checkout", self._refuse_the_old)

    async def take(self) -> PoolProxiedConnection:
        """A connection in which nothing is open. Raises what the pool and the driver do."""
        while self._kept:
            kept = self._kept.pop()
            driver: Any = kept.driver_connection
            if self._is_sqlite or not driver.is_closed():
                return kept
            # Its server was restarted: the pool makes another.
            kept.close()
        with self.wanted(), faults.TOLD_ON_CONNECTING:
            return await self._engine.raw_connection()

    def kept(self) -> PoolProxiedConnection | None:
        """One of SQLite's that is at hand, in which nothing is open; None where there is none."""
        return self._kept.pop() if self._kept else None

    def put(self, lent: PoolProxiedConnection) -> None:
        """Take back one in which nothing is open."""
        if not self._is_sqlite:
            # It answers, whatever has broken meanwhile.
            lent.info[ERA] = self._era
        if self._wanted:
            # With nothing to be undone, nothing is waited for.
            lent.close()
        else:
            self._kept.append(lent)

    @contextmanager
    def wanted(self) -> Iterator[None]:
        """While somebody waits for the pool."""
        self.give_back()
        self._wanted += 1
        try:
            yield
        finally:
            self._wanted -= 1

    def give_back(self) -> None:
        """Leave to the pool what is kept."""
        while self._kept:
            self._kept.pop().close()

    def broken(self, era: int | None) -> None:
        """One of that era broke: end all that are idle and may be like it.

        Nothing is waited for: outside of a greenlet a connection is ended without a farewell.
        """
        if era == self._era:
            self._era += 1
            while self._kept:
                self._kept.pop().invalidate()

    def _made(self, _connection: object, record: ConnectionPoolEntry) -> None:
        record.info[ERA] = self._era

    def _refuse_the_old(self, connection: Any, record: ConnectionPoolEntry, _proxy: object) -> None:
        if record.info[ERA] != self._era:
            # The pool would say farewell, and wait for an answer.
            connection.driver_connection.terminate()
            raise DisconnectionError
