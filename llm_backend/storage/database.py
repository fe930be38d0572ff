"""The database: where transactions are opened."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import structlog
from sqlalchemy import Table, select
from sqlalchemy.dialects import postgresql as postgresql_dialect
from sqlalchemy.dialects import sqlite as sqlite_dialect
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker
from sqlalchemy.sql.dml import ReturningInsert

from llm_backend.database_urls import is_sqlite, normalise
from llm_backend.storage import engines, faults
from llm_backend.storage.engines import Limits
from llm_backend.storage.tables import installation
from llm_backend.storage.urls import file_of

__all__ = ["Database", "Limits", "insert_once"]

T = TypeVar("T")

log = structlog.get_logger("llm_backend.database")


class Database:
    """One database, as sessions that write and sessions that read.

    What is done in `begin` and `reading` has to be statements only. A request may be cancelled at any await, and a
    statement cut in the middle costs its connection: work of a request goes through `detached`, work of tasks that
    nobody cancels need not.
    """

    def __init__(self, url: str, limits: Limits | None = None) -> None:
        self.url = normalise(url)
        limits = limits or Limits()
        self._writer, self._reader = self._engines(limits)
        self._writing = async_sessionmaker(self._writer, expire_on_commit=False)
        self._reading = async_sessionmaker(self._reader, expire_on_commit=False)
        self._tasks: set[asyncio.Task[Any]] = set()

    def _engines(self, limits: Limits) -> tuple[AsyncEngine, AsyncEngine]:
        if self.is_sqlite:
            return engines.sqlite_writer(self.url, limits), engines.sqlite_reader(self.url, limits)
        engine = engines.postgresql(self.url, limits)
        # Reading needs no transaction there, and two round trips less without.
        return engine, engine.execution_options(isolation_level="AUTOCOMMIT")

    @property
    def is_sqlite(self) -> bool:
        return is_sqlite(self.url)

    @property
    def file(self) -> Path | None:
        """The SQLite file; None for a server."""
        return file_of(self.url)

    @property
    def folder(self) -> Path | None:
        """Where the SQLite file is; None for a server."""
        return self.file.parent if self.file else None

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[AsyncSession]:
        """A transaction: committed at the end, rolled back where the block raises. Never open one inside another.

        Raises DatabaseUnavailable, or Overloaded where no connection came free in time. Either may come from the
        commit itself: then it is unknown whether it happened.
        """
        async with self._opened(self._writing) as session:
            yield session

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncSession]:
        """A session for statements that only read; never waits for a writer. Raises as `begin`."""
        async with self._opened(self._reading) as session:
            yield session

    async def ping(self) -> None:
        """Returns where the database answers and has tables of ours. Raises as `begin`."""
        await self.detached(self._ask())

    async def detached(self, work: Coroutine[Any, Any, T]) -> T:
        """What `work` returns or raises; `work` goes on to its end whether or not anyone still waits for it."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            task.add_done_callback(_report)
            raise

    def start(self, work: Coroutine[Any, Any, object]) -> None:
        """Do `work` beside everything else; its failure is logged."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(_report)

    async def settled(self) -> None:
        """Returns when no detached work is left."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def close(self) -> None:
        """Finish what is under way, then let every connection go."""
        await self.settled()
        await self._writer.dispose()
        await self._reader.dispose()

    async def _ask(self) -> None:
        async with self.reading() as session:
            # A constant would do on a server, but SQLite answers it without a look at the file.
            await session.execute(select(installation.c.id))

    @asynccontextmanager
    async def _opened(self, sessions: async_sessionmaker[AsyncSession]) -> AsyncIterator[AsyncSession]:
        session = sessions()
        try:
            with faults.told():
                with faults.told_on_connecting():
                    await session.connection()
                yield session
                await session.commit()
        except BaseException as error:
            if faults.is_broken(error):
                await self.detached(session.invalidate())
            raise
        finally:
            await self.detached(session.close())


def insert_once(
    session: AsyncSession, table: Table, values: Mapping[str, Any], key: tuple[str, ...]
) -> ReturningInsert[Any]:
    """An insert that does nothing where the columns `key` are taken, and returns `key` where they were free."""
    columns = [table.c[name] for name in key]
    if session.get_bind().dialect.name == "sqlite":
        once = sqlite_dialect.insert(table).values(values).on_conflict_do_nothing(index_elements=columns)
        return once.returning(*columns)
    once_there = postgresql_dialect.insert(table).values(values).on_conflict_do_nothing(index_elements=columns)
    return once_there.returning(*columns)


def _report(task: asyncio.Task[Any]) -> None:
    """Nobody awaits this task any more: what went wrong is at least said."""
    if not task.cancelled() and (error := task.exception()):
        log.error("detached_work_failed", exc_info=error)
