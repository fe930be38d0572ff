import asyncio

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from llm_backend.errors import DatabaseUnavailable
from llm_backend.storage import accounts
from llm_backend.storage.database import Database
from tests.databases import ON_SQLITE
from tests.storage.records import NOON, an_account
from tests.storage.sessions import names


async def test_what_was_done_in_a_block_is_kept_when_it_ends(database: Database) -> None:
    await an_account(database)

    assert await names(database) == ["alice"]


async def test_what_was_done_in_a_block_that_raises_never_happened(database: Database) -> None:
    async def add_and_fail() -> None:
        async with database.begin() as session:
            await accounts.add(session, "alice", NOON)
            raise LookupError

    with pytest.raises(LookupError):
        await add_and_fail()

    assert await names(database) == []


async def test_readers_neither_wait_for_a_writer_nor_see_it_halfway(database: Database) -> None:
    async with database.begin() as session:
        await accounts.add(session, "alice", NOON)

        assert await names(database) == []


async def test_a_statement_of_ours_that_is_wrong_is_not_called_an_outage(database: Database) -> None:
    with pytest.raises(DBAPIError):
        async with database.reading() as session:
            await session.execute(text("SELECT nonsense FROM nowhere"))


async def test_times_come_back_aware_and_in_utc(database: Database) -> None:
    await an_account(database)

    async with database.reading() as session:
        alice = await accounts.find_active(session, "alice")

    assert alice is not None
    assert alice.created_at == NOON
    assert alice.created_at.utcoffset() == NOON.utcoffset()
    assert alice.updated_at is None


@ON_SQLITE
async def test_writers_of_one_process_take_turns(database: Database) -> None:
    await an_account(database)

    async def count_up() -> None:
        async with database.begin() as session:
            seen = (await session.execute(text("SELECT name FROM account"))).scalar_one()
            number = int(seen) if seen.isdigit() else 0
            await session.execute(text("UPDATE account SET name = :n"), {"n": str(number + 1)})

    await asyncio.gather(*(count_up() for _ in range(20)))

    assert await names(database) == ["20"]


@ON_SQLITE
async def test_a_session_for_reading_cannot_write(database: Database) -> None:
    with pytest.raises(DatabaseUnavailable):
        async with database.reading() as session:
            await accounts.add(session, "alice", NOON)

    assert await names(database) == []


@ON_SQLITE
async def test_sqlite_keeps_what_it_acknowledged_and_checks_what_points_to_what(database: Database) -> None:
    async with database.begin() as session:
        kept = [(await session.execute(text(f"PRAGMA {name}"))).scalar_one() for name in PRAGMAS]

    assert kept == list(PRAGMAS.values())


PRAGMAS = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 5000}


async def test_a_database_that_is_there_says_so(database: Database) -> None:
    (said,) = await asyncio.gather(database.ping(), return_exceptions=True)

    assert said is None
