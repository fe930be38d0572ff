"""The database: where transactions are opened."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import structlog
from sqlalchemy import PoolProxiedConnection, Table, select
from sqlalchemy.dialects import postgresql as postgresql_dialect
from sqlalchemy.dialects import sqlite as sqlite_dialect
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession, async_sessionmaker
from sqlalchemy.sql.dml import ReturningInsert
from sqlalchemy.util import greenlet_spawn

from llm_backend.database_urls import is_sqlite, normalise
from llm_backend.storage import brief, driver, engines, faults
from llm_backend.storage.brief import Brief
from llm_backend.storage.driver import Plan
from llm_backend.storage.engines import Limits
from llm_backend.storage.spares import Spares, era
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
        self._limits = limits or Limits()
        self._writer, self._reader = self._engines(self._limits)
        self._writing = async_sessionmaker(self._writer, expire_on_commit=False)
        self._reading = async_sessionmaker(self._reader, expire_on_commit=False)
        self._to_write = Spares(self._writer, is_sqlite=self.is_sqlite)
        # On a server both are of one pool.
        self._to_read = Spares(self._reader, is_sqlite=True) if self.is_sqlite else self._to_write
        self._brief = Brief()
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
        async with self._opened(self._writing, self._to_write) as session:
            yield session

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncSession]:
        """A session for statements that only read; never waits for a writer. Raises as `begin`."""
        async with self._opened(self._reading, self._to_read) as session:
            yield session

    async def write(self, plan: Plan[T], *, is_brief: bool = False) -> T:
        """What `plan` returns, all of it a transaction on the driver itself. Raises as `begin`.

        It takes its turn with the sessions that write, and costs a fraction of one. `is_brief`: of a few statements on
        a few rows, for which SQLite need not leave the loop's thread.
        """
        if not self.is_sqlite:
            return await self._on_driver(self._to_write, lambda lent: driver.written(lent, plan, is_sqlite=False))
        run = self._brief.written if is_brief else brief.waiting
        return await self._on_driver(self._to_write, lambda lent: run(lent, plan, self._limits.busy_seconds))

    def write_at_once(self, plan: Plan[T]) -> T | None:
        """As a brief `write` of what is not None, committed when this returns: for whoever is alone in the process.

        None, and nothing done, where there would be something to be waited for: a server, another who writes here or
        in another process, a disk that was slow lately.
        """
        lent = self._to_write.kept() if self.is_sqlite and self._brief.is_quick else None
        if lent is None:
            return None
        try:
            with faults.TOLD_BY_DRIVER:
                result = self._brief.written_at_once(lent, plan)
        except BaseException:
            self.start(greenlet_spawn(lent.close))
            raise
        self._to_write.put(lent)
        return result

    async def write_one(self, plan: Plan[T]) -> T:
        """As `write`, of a single statement, on a server: it is a transaction by itself, and a single round trip."""
        return await self._on_driver(self._to_write, lambda lent: driver.read(lent, plan, is_sqlite=False))

    async def read(self, plan: Callable[[], Plan[T]]) -> T:
        """What `plan` returns, of statements that only read, each by itself. Never waits for a writer; as `write`.

        Where the connection breaks, another is asked once more from the beginning: nothing was changed.
        """
        return await self._on_driver(
            self._to_read, lambda lent: driver.read(lent, plan(), is_sqlite=self.is_sqlite), is_repeatable=True
        )

    async def ping(self) -> None:
        """Returns where the database answers and has tables of ours. Raises as `begin`."""
        await self.detached(self._ask())

    async def detached(self, work: Coroutine[Any, Any, T]) -> T:
        """What `work` returns or raises; `work` goes on to its end whether or not anyone still waits for it."""
        task = self.begun(work)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            task.add_done_callback(_report)
            raise

    def begun(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """`work`, which goes on to its end; whoever waits for it does so shielded."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def start(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Do `work` beside everything else; its failure is logged."""
        task = self.begun(work)
        task.add_done_callback(_report)
        return task

    async def settled(self) -> None:
        """Returns when no detached work is left."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def close(self) -> None:
        """Finish what is under way, then let every connection go."""
        await self.settled()
        self._to_write.give_back()
        self._to_read.give_back()
        await self._writer.dispose()
        await self._reader.dispose()

    async def _ask(self) -> None:
        async with self.reading() as session:
            # A constant would do on a server, but SQLite answers it without a look at the file.
            await session.execute(select(installation.c.id))

    async def _on_driver(
        self,
        spares: Spares,
        run: Callable[[PoolProxiedConnection], Awaitable[T]],
        *,
        is_repeatable: bool = False,
    ) -> T:
        lent: PoolProxiedConnection | None = None
        try:
            with faults.TOLD, faults.TOLD_BY_DRIVER:
                lent = await spares.take()
                result = await run(lent)
        except BaseException as error:
            if lent is None:
                raise
            if not faults.is_broken(error):
                await self.detached(greenlet_spawn(lent.close))
                raise
            spares.broken(era(lent))
            lent.invalidate()
            if not is_repeatable:
                raise
            return await self._on_driver(spares, run)
        spares.put(lent)
        return result

    @asynccontextmanager
    async def _opened(self, sessions: async_sessionmaker[AsyncSession], spares: Spares) -> AsyncIterator[AsyncSession]:
        session = sessions()
        era_of_it: int | None = None
        try:
            with faults.TOLD:
                with spares.wanted(), faults.TOLD_ON_CONNECTING:
                    # Asked now: where it breaks, SQLAlchemy may have ended it before it is told here.
                    era_of_it = _era(await session.connection())
                yield session
                await session.commit()
        except BaseException as error:
            if faults.is_broken(error):
                spares.broken(era_of_it)
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


def _era(connection: AsyncConnection) -> int | None:
    assert connection.sync_connection is not None
    return era(connection.sync_connection.connection)


def _report(task: asyncio.Task[Any]) -> None:
    """Nobody awaits this task any more: what went wrong is at least said."""
    if not task.cancelled() and (error := task.exception()):
        log.error("detached_work_failed", exc_info=error)
