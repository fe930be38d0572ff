"""What is committed in the loop's thread, and when it is not."""

import asyncio
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from typing import Any

import aiosqlite
import pytest
from sqlalchemy import insert, make_url, select, text

from llm_backend.errors import DatabaseUnavailable
from llm_backend.storage import accounts, brief
from llm_backend.storage.database import Database, Limits
from llm_backend.storage.driver import Hot, Plan
from llm_backend.storage.tables import account
from tests.databases import ON_POSTGRESQL, ON_SQLITE
from tests.storage.records import NOON
from tests.storage.sessions import names, opened
from tests.storage.test_database_plans import BRIEF, adding


async def _warm(database: Database) -> None:
    """The connection is made by the first who wants it."""
    assert await database.write(adding(database, "adam")) == ["adam"]


class WithoutLog(sqlite3.Connection):
    """Of a file on a file system that cannot have the log: asked for it, SQLite does not complain."""

    def cursor(self, factory: Any = None) -> Any:
        return super().cursor(factory or _CursorWithoutLog)


class _CursorWithoutLog(sqlite3.Cursor):
    def execute(self, text: str, /, *values: Any) -> Any:
        return super().execute("SELECT 1" if text == "PRAGMA journal_mode=WAL" else text, *values)


@contextmanager
def another(database: Database) -> Iterator[sqlite3.Connection]:
    """Another process's connection, as far as the file can tell."""
    with closing(sqlite3.connect(str(make_url(database.url).database), isolation_level=None)) as other:
        yield other


@ON_SQLITE
async def test_it_is_there_for_everyone_when_the_call_returns(database: Database) -> None:
    await _warm(database)

    assert database.write_at_once(adding(database, "alice")) == ["adam", "alice"]
    with another(database) as other:
        assert other.execute("SELECT count(*) FROM account").fetchone() == (2,)
    assert await names(database) == ["adam", "alice"]


@ON_SQLITE
async def test_nothing_is_done_before_there_is_a_connection(database: Database) -> None:
    assert database.write_at_once(adding(database, "alice")) is None
    assert await names(database) == []


@ON_SQLITE
async def test_nothing_is_done_while_somebody_else_writes_here(database: Database) -> None:
    await _warm(database)
    async with database.begin() as session:
        await accounts.add(session, "alice", NOON)
        at_once = database.write_at_once(adding(database, "bob"))

    assert at_once is None
    assert await names(database) == ["adam", "alice"]
    assert database.write_at_once(adding(database, "carol")) is None, "the session has given its connection to the pool"
    assert await database.write(adding(database, "carol")) == ["adam", "alice", "carol"]
    assert database.write_at_once(adding(database, "dave")) == ["adam", "alice", "carol", "dave"]


@ON_SQLITE
async def test_nothing_is_done_and_nobody_is_held_up_while_another_process_has_the_file(database: Database) -> None:
    await _warm(database)
    with another(database) as other:
        other.execute("BEGIN IMMEDIATE")
        begun = time.monotonic()
        at_once = database.write_at_once(adding(database, "alice"))
        took = time.monotonic() - begun

        assert at_once is None
        assert took < database._limits.busy_seconds
    assert database.write_at_once(adding(database, "alice")) == ["adam", "alice"]


@BRIEF
@ON_SQLITE
async def test_who_has_been_impatient_waits_for_the_file_the_next_time(
    database: Database, turn: dict[str, bool]
) -> None:
    await _warm(database)
    with another(database) as other:
        other.execute("BEGIN IMMEDIATE")
        assert database.write_at_once(adding(database, "alice")) is None
        waiting = asyncio.create_task(database.write(adding(database, "bob"), **turn))
        await asyncio.sleep(0.02)
        was_waiting = not waiting.done()
        other.execute("ROLLBACK")

        assert await waiting == ["adam", "bob"]
    assert was_waiting


@ON_SQLITE
async def test_a_session_waits_for_the_file_after_somebody_was_impatient(database: Database) -> None:
    async def add() -> None:
        async with database.begin() as session:
            await accounts.add(session, "bob", NOON)

    await _warm(database)
    with another(database) as other:
        other.execute("BEGIN IMMEDIATE")
        assert database.write_at_once(adding(database, "alice")) is None
        waiting = asyncio.create_task(add())
        await asyncio.sleep(0.02)
        was_waiting = not waiting.done()
        other.execute("ROLLBACK")
        await waiting

    assert was_waiting
    assert await names(database) == ["adam", "bob"]


@ON_SQLITE
async def test_of_a_plan_that_raises_nothing_is_left_and_the_next_is_not_hindered(database: Database) -> None:
    await _warm(database)

    with pytest.raises(LookupError):
        database.write_at_once(adding(database, "alice", fails=True))

    assert await database.write(adding(database, "bob"), is_brief=True) == ["adam", "bob"]
    assert database.write_at_once(adding(database, "carol")) == ["adam", "bob", "carol"]


@ON_SQLITE
async def test_a_disk_that_is_full_is_told_as_a_database_that_is_away(database: Database) -> None:
    await _warm(database)

    with pytest.raises(DatabaseUnavailable):
        database.write_at_once(_filling())

    assert await database.write(adding(database, "alice"), is_brief=True) == ["adam", "alice"]


def _filling() -> Plan[list[str]]:
    """Writes more than may be in the file, which may not grow."""
    yield Hot(text("PRAGMA max_page_count=1"), is_sqlite=True), {}
    rows = [{"name": f"account {number}", "created_at": NOON} for number in range(10_000)]
    yield Hot(insert(account), is_sqlite=True, keys=["name", "created_at"]), rows
    return []


@ON_SQLITE
async def test_where_a_file_cannot_have_a_log_its_readers_are_waited_for(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(sqlite3.connect(str(make_url(database_url).database), isolation_level=None)) as made:
        made.execute("PRAGMA journal_mode=DELETE")
    monkeypatch.setattr(aiosqlite, "connect", partial(aiosqlite.connect, factory=WithoutLog))
    async with opened(database_url, Limits(busy_seconds=5)) as database:
        await _warm(database)
        async with database.reading() as session:
            await session.execute(select(account.c.id))
            at_once = database.write_at_once(adding(database, "alice"))
            waiting = asyncio.create_task(database.write(adding(database, "bob"), is_brief=True))
            await asyncio.sleep(0.02)
            was_waiting = not waiting.done()

        assert await waiting == ["adam", "bob"]
    assert (at_once, was_waiting) == (None, True)


@ON_SQLITE
async def test_after_a_slow_commit_the_disk_is_waited_for_elsewhere_for_a_while(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _warm(database)
    monkeypatch.setattr(brief, "SLOW_SECONDS", -1.0)
    monkeypatch.setattr(brief, "WARY_SECONDS", 0.05)

    assert database.write_at_once(adding(database, "alice")) == ["adam", "alice"]
    assert database.write_at_once(adding(database, "bob")) is None
    await asyncio.sleep(0.06)
    assert database.write_at_once(adding(database, "bob")) == ["adam", "alice", "bob"]


@ON_POSTGRESQL
async def test_a_server_is_always_waited_for(database: Database) -> None:
    await database.write(adding(database, "adam"))

    assert database.write_at_once(adding(database, "alice")) is None
    assert await names(database) == ["adam"]
