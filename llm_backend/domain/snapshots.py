"""Transactions that read one state of the database, in as many statements as it takes."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy.ext.asyncio import AsyncSession

from llm_backend.storage import snapshots
from llm_backend.storage.database import Database


@asynccontextmanager
async def snapshot(database: Database) -> AsyncIterator[AsyncSession]:
    """A session whose statements all see one moment, and change nothing. Raises as `Database.begin`."""
    # A reader of SQLite's is in a transaction; on a server, reading is without one.
    async with database.reading() if database.is_sqlite else database.begin() as session:
        await snapshots.hold(session)
        yield session
