"""Work that goes on when the request it was begun for has gone."""

import asyncio

from sqlalchemy import text
from structlog.testing import capture_logs

from llm_backend.storage import accounts
from llm_backend.storage.database import Database
from tests.databases import ON_POSTGRESQL
from tests.storage.records import NOON, an_account
from tests.storage.sessions import ONE, names, opened


@ON_POSTGRESQL
async def test_a_transaction_cancelled_in_the_middle_leaves_the_pool_whole(database_url: str) -> None:
    async with opened(database_url, ONE) as database:
        begun = asyncio.Event()

        async def write_slowly() -> None:
            async with database.begin() as session:
                await accounts.add(session, "alice", NOON)
                begun.set()
                await session.execute(text("SELECT pg_sleep(300)"))

        for _ in range(3):
            begun.clear()
            task = asyncio.create_task(write_slowly())
            await begun.wait()
            task.cancel()
            await asyncio.wait([task])
            assert task.cancelled()

        await an_account(database, "bob")
        assert await names(database) == ["bob"]


async def test_requests_that_leave_at_any_moment_leave_the_pool_whole(database_url: str) -> None:
    async with opened(database_url, ONE) as database:
        for moment in range(1, 30):
            request = asyncio.create_task(database.detached(an_account(database, f"{moment:02}")))
            for _ in range(moment):
                await asyncio.sleep(0)
            request.cancel()
            await asyncio.wait([request])
        await database.settled()

        assert await names(database) == [f"{moment:02}" for moment in range(1, 30)]


async def test_detached_work_ends_well_although_its_request_was_cancelled(database: Database) -> None:
    begun, may_end = asyncio.Event(), asyncio.Event()

    async def write() -> None:
        async with database.begin() as session:
            await accounts.add(session, "alice", NOON)
            begun.set()
            await may_end.wait()

    request = asyncio.create_task(database.detached(write()))
    await begun.wait()
    request.cancel()
    await asyncio.wait([request])
    may_end.set()
    await database.settled()

    assert request.cancelled()
    assert await names(database) == ["alice"]


async def test_detached_work_that_fails_when_nobody_waits_is_logged(database: Database) -> None:
    begun, may_end = asyncio.Event(), asyncio.Event()

    async def fail() -> None:
        begun.set()
        await may_end.wait()
        raise LookupError

    request = asyncio.create_task(database.detached(fail()))
    await begun.wait()
    request.cancel()
    await asyncio.wait([request])
    with capture_logs() as logged:
        may_end.set()
        await database.settled()

    assert [line["event"] for line in logged] == ["detached_work_failed"]


async def test_work_started_beside_a_request_is_finished_before_the_database_closes(database_url: str) -> None:
    async with opened(database_url) as database:

        async def write() -> None:
            await an_account(database)

        database.start(write())

    async with opened(database_url) as again:
        assert await names(again) == ["alice"]
