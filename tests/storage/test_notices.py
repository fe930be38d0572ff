"""What a process keeps, told to others: those that listen hear it, and whoever cannot is told nothing wrong."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeVar

import pytest
from sqlalchemy import text
from structlog.testing import capture_logs

from llm_backend.storage import notices
from llm_backend.storage.database import Database
from llm_backend.storage.driver import Plan
from llm_backend.storage.notices import Notices
from tests.databases import ON_POSTGRESQL

T = TypeVar("T")

LATE = 30.0

NOWHERE = "postgresql://nobody@127.0.0.1:1/nothing"

LISTENERS = text(
    "SELECT pid FROM pg_locks JOIN pg_database ON pg_database.oid = database"
    " WHERE datname = current_database() AND locktype = 'advisory' AND mode = 'ShareLock' AND granted"
)


class Counted(Database):
    """Counts what is written by a statement alone."""

    count = 0

    async def write_one(self, plan: Plan[T]) -> T:
        self.count += 1
        return await super().write_one(plan)


class Ear:
    """One process that may listen."""

    def __init__(self, database: Database, name: str = "one") -> None:
        self.heard: asyncio.Queue[str] = asyncio.Queue()
        self.begun = asyncio.Event()
        self.notices = Notices(database, name, self.heard.put_nowait, self.begun.set)

    async def next(self) -> str:
        async with asyncio.timeout(LATE):
            return await self.heard.get()

    async def listening(self) -> None:
        """Returns when it does."""
        self.begun.clear()
        async with asyncio.timeout(LATE):
            while not self.begun.is_set():
                self.notices.listen()
                await asyncio.sleep(0.01)

    async def ended(self) -> None:
        """Returns when it does not listen any more."""
        async with asyncio.timeout(LATE):
            while self.notices._listening is not None:
                await asyncio.wait((self.notices._listening,))


@asynccontextmanager
async def ear(database: Database, name: str = "one") -> AsyncIterator[Ear]:
    made = Ear(database, name)
    yield made
    await made.notices.close()


async def listeners(database: Database) -> int:
    async with database.reading() as session:
        return len((await session.execute(LISTENERS)).all())


@ON_POSTGRESQL
async def test_others_hear_what_one_tells_and_it_does_not_hear_itself(database: Database) -> None:
    async with ear(database) as one, ear(database, "another") as other:
        await one.listening()
        await other.listening()

        one.notices.tell("resp_1")
        other.notices.tell("resp_2")

        assert (await other.next(), await one.next()) == ("resp_1", "resp_2")
        assert (one.heard.empty(), other.heard.empty()) == (True, True)


@ON_POSTGRESQL
async def test_more_than_one_notice_holds_are_told_in_several(database: Database) -> None:
    public_ids = [f"resp_{number:053}" for number in range(250)]
    async with ear(database) as one, ear(database, "another") as other:
        await other.listening()

        for each in public_ids:
            one.notices.tell(each)

        assert [await other.next() for _ in public_ids] == public_ids


@ON_POSTGRESQL
async def test_where_nobody_listens_that_is_asked_once_in_a_while_and_nothing_told(database_url: str) -> None:
    database = Counted(database_url)
    async with ear(database) as one, ear(database, "another") as other:
        for _ in range(5):
            one.notices.tell("resp_1")
            await database.settled()
        unheard = database.count

        await other.listening()
        # A while later.
        one.notices._ask_from = one.notices._tell_from = 0.0
        for _ in range(5):
            one.notices.tell("resp_1")
            await database.settled()

        assert [await other.next() for _ in range(5)] == ["resp_1"] * 5
        assert (unheard, database.count - unheard) == (1, 6)
    await database.close()


@ON_POSTGRESQL
async def test_a_connection_that_nobody_wants_any_more_is_closed(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notices, "IDLE_SECONDS", 0.05)
    async with ear(database) as one:
        with capture_logs() as lines:
            await one.listening()
            await one.ended()

        assert (await listeners(database), lines) == (0, [])
        await one.listening()


@ON_POSTGRESQL
async def test_a_connection_that_broke_is_one_line_and_made_again_after_a_pause(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with ear(database) as one, ear(database, "another") as other:
        await other.listening()
        with capture_logs() as lines:
            async with database.begin() as session:
                (process,) = (await session.execute(LISTENERS)).scalars()
                await session.execute(text("SELECT pg_terminate_backend(:process)"), {"process": process})
            await other.ended()
            other.notices.listen()
        assert [line["event"] for line in lines] == ["notices_unheard"]
        assert other.notices._listening is None

        monkeypatch.setattr(other.notices, "_listen_from", 0.0)
        await other.listening()
        one.notices.tell("resp_1")

        assert await other.next() == "resp_1"


@ON_POSTGRESQL
async def test_who_was_closed_listens_no_more_and_is_heard(database: Database) -> None:
    async with ear(database) as one, ear(database, "another") as other:
        await one.listening()
        await other.listening()

        await one.notices.close()
        one.notices.listen()
        one.notices.tell("resp_1")

        assert await other.next() == "resp_1"
        assert one.notices._listening is None


async def test_where_there_is_no_server_each_way_is_given_up_for_a_while_with_a_line() -> None:
    database = Database(NOWHERE)
    async with ear(database) as one:
        with capture_logs() as lines:
            for _ in range(2):
                one.notices.listen()
                one.notices.tell("resp_1")
                await one.ended()
                await database.settled()

    await database.close()
    assert sorted(line["event"] for line in lines) == ["notices_unheard", "notices_untold"]
