"""Retention: what models and their users said goes when it has been kept for as long as its account wants it.

The books are no part of it: what was used is known for good.
"""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial

from sqlalchemy.ext.asyncio import AsyncSession

from llm_backend.storage import moments, retention
from llm_backend.storage.database import Database

Some = Callable[[AsyncSession], Awaitable[int]]
"""Takes some of it away; how much."""


class Retention:
    """Takes away from one database, by its clock, in short transactions: nobody waits for long."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def tidy(self) -> None:
        """Take away all that is kept no longer. Raises Unavailable."""
        await self._all(retention.forget_events)
        async with self._database.reading() as session:
            bounded = await retention.days(session)
        for account_id, days in bounded:
            await self._forget(account_id, timedelta(days=days))

    async def _forget(self, account_id: int, kept: timedelta) -> None:
        async with self._database.reading() as session:
            before = await moments.now(session) - kept
        await self._all(partial(retention.forget_responses, account_id=account_id, before=before))
        is_more = True
        while is_more:
            # What was expired before, and not taken away to its end, goes too.
            is_more = await self._some(partial(retention.expire, account_id=account_id, before=before)) > 0
            for clear in (retention.clear_responses, retention.clear_items, retention.clear_conversations):
                await self._all(partial(clear, account_id=account_id))

    async def _all(self, some: Some) -> None:
        while await self._some(some):
            pass

    async def _some(self, some: Some) -> int:
        async with self._database.begin() as session:
            return await some(session)
