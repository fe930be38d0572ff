"""A database that is quick to give up, and what is asked of it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from llm_backend.storage import accounts
from llm_backend.storage.database import Database, Limits

HASTY = Limits(
    connect_seconds=1, statement_seconds=0.3, lock_seconds=0.1, busy_seconds=0.1, pool_wait_seconds=0.1, pool_size=1
)

ONE = Limits(pool_size=1, pool_wait_seconds=60)
"""With one connection, for which only who would wait for ever waits too long."""


@asynccontextmanager
async def opened(url: str, limits: Limits = HASTY) -> AsyncIterator[Database]:
    database = Database(url, limits)
    try:
        yield database
    finally:
        await database.close()


async def names(database: Database) -> list[str]:
    async with database.reading() as session:
        return [account.name for account in await accounts.every(session)]
