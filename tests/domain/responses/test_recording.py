"""Events as they are kept."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncSession

from llm_backend.domain.clock import SystemClock
from llm_backend.domain.responses.event_log import EventLog
from llm_backend.domain.responses.recording import Recorder
from llm_backend.errors import DatabaseUnavailable
from llm_backend.storage import response_events
from llm_backend.storage.database import Database
from llm_backend.storage.response_events import Events
from llm_backend.storage.tables import account
from tests.domain.belongings import a_response


async def test_what_is_left_at_the_end_is_the_settlements_whoever_asks_for_it_meanwhile(database: Database) -> None:
    recorder = Recorder(EventLog(database, "this process"), "resp_1", 1, {}, SystemClock().now())
    recorder.add(b"data: {}\n\n", 1)

    await recorder.stop()
    flushing = asyncio.create_task(recorder.flush())
    recorder.close()
    await flushing

    assert recorder.number is None


async def test_what_was_kept_without_a_word_is_not_kept_twice(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with database.begin() as session:
        made = insert(account).values(name="tests", created_at=SystemClock().now()).returning(account.c.id)
        account_id = (await session.execute(made)).scalar_one()
    opened = a_response(account_id, "resp_1") | {"status": "in_progress", "ended_at": None}
    recorder = Recorder(EventLog(database, "this process"), "resp_1", account_id, opened, SystemClock().now())
    begin = database.begin

    @asynccontextmanager
    async def unconfirmed() -> AsyncIterator[AsyncSession]:
        async with begin() as session:
            yield session
        raise DatabaseUnavailable

    monkeypatch.setattr(database, "begin", unconfirmed)
    recorder.add(b"data: 0\n\n", 1)
    await recorder.flush()
    recorder.add(b"data: 1\n\n", 2)
    await recorder.flush()
    monkeypatch.setattr(database, "begin", begin)
    recorder.add(b"data: 2\n\n", 3)

    await recorder.flush()

    assert recorder.number is not None
    async with database.reading() as session:
        kept = await response_events.after(session, account_id, recorder.number, -1, 9)
    assert kept == [Events(number, number, b"data: %d\n\n" % number) for number in range(3)]
