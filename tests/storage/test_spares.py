"""Connections that are kept for the next plan, beside whoever else wants one."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
from sqlalchemy import event, make_url, select

from llm_backend.errors import DatabaseUnavailable
from llm_backend.storage.database import Database, Limits
from llm_backend.storage.driver import Hot, Plan
from llm_backend.storage.tables import account
from tests.databases import ON_POSTGRESQL
from tests.storage.records import an_account
from tests.storage.sessions import ONE, names, opened
from tests.storage.silence import Passage

FEW = 3
"""Connections of a server."""


def reading(database: Database) -> Plan[list[str]]:
    rows = yield Hot(select(account.c.name), is_sqlite=database.is_sqlite), {}
    return [row[0] for row in rows]


@pytest.fixture
async def small(database_url: str) -> AsyncIterator[Database]:
    """With one connection; on SQLite one to write and one to read."""
    async with opened(database_url, ONE) as database:
        yield database


async def test_a_connection_kept_for_plans_is_given_to_a_session_that_wants_one(small: Database) -> None:
    assert await small.read(lambda: reading(small)) == []
    await an_account(small, "alice")
    assert await small.write(reading(small)) == ["alice"]

    await an_account(small, "bob")

    assert await names(small) == ["alice", "bob"]


async def test_plans_and_sessions_of_one_connection_take_turns(small: Database) -> None:
    await asyncio.gather(
        *(an_account(small, f"{number:02}") for number in range(10)),
        *(small.write(reading(small)) for _ in range(10)),
        *(small.read(lambda: reading(small)) for _ in range(10)),
    )

    assert len(await small.read(lambda: reading(small))) == 10


@ON_POSTGRESQL
async def test_a_connection_that_ended_while_it_was_kept_is_not_used_again(small: Database) -> None:
    await small.read(lambda: reading(small))
    [kept] = small._to_read._kept
    driver = kept.driver_connection
    assert driver is not None
    await driver.close()

    assert await small.read(lambda: reading(small)) == []


@ON_POSTGRESQL
async def test_one_silent_connection_is_waited_for_once_and_all_like_it_are_left(database_url: str) -> None:
    async with _behind_a_passage(database_url) as (passage, database, made):
        await _fill(database, made)
        passage.lose()

        # What was kept, what the pool has and what is being read on: all were made before.
        assert await database.read(lambda: reading(database)) == []
        assert await asyncio.gather(*(database.read(lambda: reading(database)) for _ in range(FEW))) == [[]] * FEW
        assert await names(database) == []
        assert len(made) == 2 * FEW


@ON_POSTGRESQL
async def test_a_write_on_a_connection_that_fell_silent_is_not_repeated_and_the_next_gets_another(
    database_url: str,
) -> None:
    async with _behind_a_passage(database_url) as (passage, database, made):
        await _fill(database, made)
        passage.lose()

        with pytest.raises(DatabaseUnavailable):
            await database.write(reading(database))

        assert await database.write(reading(database)) == []


@ON_POSTGRESQL
async def test_a_session_that_meets_a_silent_connection_spares_the_plans(database_url: str) -> None:
    async with _behind_a_passage(database_url) as (passage, database, made):
        await _fill(database, made)
        passage.lose()

        with pytest.raises(DatabaseUnavailable):
            await names(database)

        asked = 0

        def counted() -> Plan[list[str]]:
            nonlocal asked
            asked += 1
            return reading(database)

        assert await asyncio.gather(*(database.read(counted) for _ in range(FEW))) == [[]] * FEW
        assert asked == FEW


@ON_POSTGRESQL
async def test_readings_that_meet_the_silence_at_once_end_no_connection_that_was_made_since(database_url: str) -> None:
    async with _behind_a_passage(database_url) as (passage, database, made):
        await _fill(database, made)
        passage.lose()

        assert await asyncio.gather(*(database.read(lambda: reading(database)) for _ in range(FEW))) == [[]] * FEW
        assert len(made) == 2 * FEW


async def _fill(database: Database, made: Sequence[object]) -> None:
    """Have all connections made, and kept for the next plan."""
    await asyncio.gather(*(database.read(lambda: reading(database)) for _ in range(FEW)))
    assert len(made) == FEW


@asynccontextmanager
async def _behind_a_passage(url: str) -> AsyncIterator[tuple[Passage, Database, list[object]]]:
    """A server that can be lost, a database there, and the connections that were made to it."""
    async with Passage().listening() as passage:
        there = make_url(url).set(port=passage.port).render_as_string(hide_password=False)
        # The driver gives up a second later than the server would, which may be slow.
        async with opened(there, Limits(statement_seconds=1, pool_size=FEW)) as database:
            made: list[object] = []
            event.listen(database._writer.sync_engine, "connect", lambda connection, _: made.append(connection))
            yield passage, database, made
