"""A database that cannot be had: gone, locked, silent, full, or asked by too many."""

import asyncio
import socket
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import make_url, text

from llm_backend.errors import DatabaseUnavailable, Overloaded
from llm_backend.storage import accounts
from llm_backend.storage.database import Database
from tests.databases import ON_POSTGRESQL, ON_SQLITE
from tests.storage.records import NOON, an_account
from tests.storage.sessions import names, opened
from tests.storage.silence import Passage


async def test_more_sessions_than_connections_wait_and_are_then_refused(database_url: str) -> None:
    async with opened(database_url) as database, database.reading():
        with pytest.raises(Overloaded) as refused:
            await names(database)

    assert refused.value.retry_after_seconds == 1


@ON_SQLITE
async def test_a_file_that_another_process_holds_is_unavailable_not_an_error_of_ours(database_url: str) -> None:
    with closing(sqlite3.connect(str(make_url(database_url).database), isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        async with opened(database_url) as database:
            with pytest.raises(DatabaseUnavailable) as refused:
                await an_account(database)
            other.execute("ROLLBACK")
            await an_account(database)

    assert refused.value.retry_after_seconds == 1


async def test_a_file_that_cannot_be_opened_is_unavailable(tmp_path: Path) -> None:
    async with opened(f"sqlite:///{tmp_path}/no/such/folder.db") as database:
        with pytest.raises(DatabaseUnavailable):
            await names(database)


async def test_a_server_that_is_not_there_is_unavailable() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        async with opened(f"postgresql://postgres@127.0.0.1:{taken.getsockname()[1]}/d") as database:
            with pytest.raises(DatabaseUnavailable) as refused:
                await names(database)

    assert refused.value.retry_after_seconds == 2


@ON_POSTGRESQL
async def test_a_database_that_is_gone_is_unavailable(database_url: str) -> None:
    async with opened(f"{database_url}_gone") as database:
        with pytest.raises(DatabaseUnavailable):
            await names(database)


@ON_POSTGRESQL
async def test_a_row_that_stays_locked_is_unavailable(database: Database, database_url: str) -> None:
    alice = await an_account(database)
    async with database.begin() as session, opened(database_url) as other:
        await accounts.close(session, alice.id)

        with pytest.raises(DatabaseUnavailable):
            async with other.begin() as waiting:
                await accounts.close(waiting, alice.id)


@ON_POSTGRESQL
async def test_a_statement_that_takes_too_long_is_cut_by_the_server(database_url: str) -> None:
    async with opened(database_url) as database:
        with pytest.raises(DatabaseUnavailable):
            async with database.reading() as session:
                await session.execute(text("SELECT pg_sleep(60)"))

        assert await names(database) == []


@ON_POSTGRESQL
async def test_a_server_that_falls_silent_is_unavailable_and_found_again(database_url: str) -> None:
    async with Passage().listening() as passage:
        url = make_url(database_url).set(port=passage.port).render_as_string(hide_password=False)
        async with opened(url) as database:
            assert await names(database) == []
            passage.is_open.clear()

            with pytest.raises(DatabaseUnavailable):
                await names(database)

            passage.is_open.set()
            assert await names(database) == []


@ON_POSTGRESQL
async def test_connections_that_the_server_closed_cost_no_request(database: Database) -> None:
    async with database.reading() as session:
        connection = (await (await session.connection()).get_raw_connection()).driver_connection
        assert connection is not None
        number = connection.get_server_pid()
    async with opened(database.url) as other, other.reading() as session:
        await session.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": number})
    while not connection.is_closed():  # noqa: ASYNC110 (the driver tells nobody when it notices)
        await asyncio.sleep(0)

    assert await names(database) == []


@ON_POSTGRESQL
async def test_a_server_that_goes_in_the_middle_of_a_transaction_is_unavailable(
    database: Database, database_url: str
) -> None:
    async def write_while_the_server_goes() -> None:
        async with database.begin() as session:
            await accounts.add(session, "alice", NOON)
            number = (await session.execute(text("SELECT pg_backend_pid()"))).scalar_one()
            async with opened(database_url) as other, other.reading() as outside:
                await outside.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": number})
            await accounts.add(session, "bob", NOON)

    with pytest.raises(DatabaseUnavailable):
        await write_while_the_server_goes()

    assert await names(database) == []


@ON_SQLITE
async def test_a_full_disk_refuses_writers_and_not_readers_and_is_over_when_there_is_room(database: Database) -> None:
    await an_account(database)
    await limit_pages(database, 1)

    with pytest.raises(DatabaseUnavailable):
        await fill(database)

    assert await names(database) == ["alice"]
    await limit_pages(database, 1_000_000)
    await fill(database)


async def limit_pages(database: Database, pages: int) -> None:
    """The file may grow to so many pages, or not beyond what it has."""
    async with database.begin() as session:
        await session.execute(text(f"PRAGMA max_page_count = {pages}"))


async def fill(database: Database) -> None:
    async with database.begin() as session:
        await session.execute(text("CREATE TABLE filling AS SELECT zeroblob(1000000) AS bytes"))


async def test_a_database_that_is_not_there_does_not_answer(tmp_path: Path) -> None:
    async with opened(f"sqlite:///{tmp_path}/no/such/folder.db") as away:
        with pytest.raises(DatabaseUnavailable):
            await away.ping()
