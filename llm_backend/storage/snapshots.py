"""Statements that all see one moment, although others write meanwhile."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession


async def hold(session: AsyncSession) -> None:
    """From the session's first statement on; nothing can be written in it. SQLite's readers see one state anyway."""
    if session.get_bind().dialect.name == "postgresql":
        await session.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"))
