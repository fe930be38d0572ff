"""What keeps leases alive while others settle, on a server where both happen at once."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import select, text

from llm_backend.storage.database import Database, Limits
from llm_backend.storage.tables import reservation
from tests.domain.booked import Books

WAITERS = text("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'")


@pytest.fixture
async def unhurried(database: Database) -> AsyncIterator[Database]:
    """The same database, with limits that no busy machine reaches."""
    limits = Limits(statement_seconds=60, lock_seconds=60, idle_in_transaction_seconds=60, pool_wait_seconds=60)
    slow = Database(database.url, limits)
    yield slow
    await slow.close()


async def test_the_beat_takes_reservations_in_the_order_in_which_they_are_settled(unhurried: Database) -> None:
    if unhurried.is_sqlite:
        return  # one writer: nobody waits crosswise
    books = await Books.of(unhurried)
    # What is made in the same moment is not always written in the order of its names.
    second, first = await books.reserved(attempt_id="attempt 2"), await books.reserved(attempt_id="attempt 1")

    async with unhurried.begin() as settling:
        held = select(reservation.c.attempt_id).with_for_update(nowait=True)
        await settling.execute(held.where(reservation.c.attempt_id == first))
        beating = asyncio.create_task(books.ledger.beat([first, second], {}))
        while not await _someone_waits(unhurried):
            assert not beating.done()
        free = (await settling.execute(held.where(reservation.c.attempt_id == second))).scalar_one()
    await beating

    assert free == second


async def _someone_waits(database: Database) -> bool:
    async with database.reading() as session:
        return bool((await session.execute(WAITERS)).scalar_one())
