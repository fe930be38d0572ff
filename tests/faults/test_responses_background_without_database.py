"""Rows 50 and 55 for responses in the background: the database is away between two steps of the beginning of one."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from llm_backend.domain.callers import Callers
from llm_backend.domain.clock import SystemClock
from llm_backend.domain.responses import background
from llm_backend.domain.responses.background import Background
from llm_backend.domain.responses.orphans import Orphans
from llm_backend.errors import DatabaseUnavailable, Json
from llm_backend.storage import database as storage
from llm_backend.storage import responses
from llm_backend.storage.database import Limits
from tests.databases import ON_POSTGRESQL, ON_SQLITE
from tests.faults.responding import HELLO, Answered, asked, kept, said, stored, told_again
from tests.faults.test_database_faults import SHORT, its_database, locked, passage_to
from tests.faulty import Cut, FaultyUpstream
from tests.handlers.resuming import expire
from tests.serving import Running, serving

LATER: Json = HELLO | {"background": True}


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same limits as always, in tenths of seconds."""
    monkeypatch.setattr(storage, "Limits", partial(Limits, **SHORT, pool_size=2, pool_wait_seconds=0.2))
    monkeypatch.setattr(background, "AGAIN_SECONDS", 0.01)


@asynccontextmanager
async def relaying(url: str, folder: Path, upstream: FaultyUpstream) -> AsyncIterator[Running]:
    upstream.streams(*said("chat", "Hel", "lo"), Cut)
    async with serving(url, folder, OPENAI_BASE_URL=upstream.base_url) as running:
        yield running


@asynccontextmanager
async def written_to(running: Running) -> AsyncIterator[None]:
    """Somebody changes all responses, for long."""
    async with running.database.begin() as session:
        await session.execute(text("LOCK TABLE response IN EXCLUSIVE MODE"))
        yield


def once_it_is_kept(monkeypatch: pytest.MonkeyPatch, then: Callable[[], Awaitable[None]]) -> None:
    """Do that when one is noted, before it is claimed."""
    claimed = Background._claimed

    async def late(*given: Json) -> bool | None:
        await then()
        return await claimed(*given)

    monkeypatch.setattr(Background, "_claimed", late)


async def asked_without(
    away: AbstractAsyncContextManager[None], running: Running, monkeypatch: pytest.MonkeyPatch
) -> Answered:
    """The answer to one whose database is away from when it is noted until that answer is there."""
    is_kept, is_away = asyncio.Event(), asyncio.Event()

    async def wait() -> None:
        is_kept.set()
        await is_away.wait()

    once_it_is_kept(monkeypatch, wait)
    asking = asyncio.create_task(asked(running, LATER))
    await is_kept.wait()
    async with away:
        is_away.set()
        return await asking


async def is_made_once(running: Running, upstream: FaultyUpstream, told: Answered) -> bool:
    """Returns when it has ended."""
    assert (told.status, told.response["status"]) == (200, "queued"), told.body
    await told_again(running, told.response["id"])
    found = await kept(running, told.response["id"])
    assert (found.response["status"], found.text) == ("completed", "Hello")
    records = await running.records()
    return len(upstream.requests) == len(records) == len(await stored(running)) == 1


@ON_SQLITE
async def test_one_that_is_noted_before_the_file_is_locked_is_told_and_made_once(
    database_url: str, tmp_path: Path, upstream: FaultyUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    @asynccontextmanager
    async def away() -> AsyncIterator[None]:
        with locked(running):
            yield

    async with relaying(database_url, tmp_path, upstream) as running:
        told = await asked_without(away(), running, monkeypatch)

        assert await is_made_once(running, upstream, told)


@ON_POSTGRESQL
async def test_one_that_is_noted_before_others_hold_its_table_is_told_and_made_once(
    database_url: str, tmp_path: Path, upstream: FaultyUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with relaying(database_url, tmp_path, upstream) as running:
        told = await asked_without(written_to(running), running, monkeypatch)

        assert await is_made_once(running, upstream, told)


@ON_POSTGRESQL
async def test_one_that_is_noted_before_the_server_falls_silent_is_told_and_made_once(
    database_url: str, tmp_path: Path, upstream: FaultyUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with passage_to(database_url) as (passage, url), relaying(url, tmp_path, upstream) as running:

        @asynccontextmanager
        async def away() -> AsyncIterator[None]:
            passage.is_open.clear()
            yield
            passage.is_open.set()

        told = await asked_without(away(), running, monkeypatch)

        assert await is_made_once(running, upstream, told)


@ON_SQLITE
async def test_one_that_waits_longer_than_its_lease_is_made_by_one_of_both(
    database_url: str, tmp_path: Path, upstream: FaultyUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with relaying(database_url, tmp_path, upstream) as running:
        orphans = orphans_of(running)

        async def late() -> None:
            await expire(running)
            await orphans.sweep()

        once_it_is_kept(monkeypatch, late)
        told = await asked(running, LATER)

        assert await is_made_once(running, upstream, told)


@pytest.mark.parametrize("is_kept", [True, False], ids=["kept", "not kept"])
async def test_one_whose_noting_was_not_confirmed_is_told_and_made_once(
    database_url: str,
    tmp_path: Path,
    upstream: FaultyUpstream,
    monkeypatch: pytest.MonkeyPatch,
    is_kept: bool,  # noqa: FBT001 (a parameter of the test)
) -> None:
    async with relaying(database_url, tmp_path, upstream) as running:
        with unconfirmed_once(running, monkeypatch, is_kept=is_kept):
            told = await asked(running, LATER)

            assert await is_made_once(running, upstream, told)


@contextmanager
def unconfirmed_once(running: Running, monkeypatch: pytest.MonkeyPatch, *, is_kept: bool) -> Iterator[None]:
    """The first transaction that adds a response ends without a word; `is_kept`: but is committed."""
    database = its_database(running)
    begin, add = database.begin, responses.add
    added: list[int] = []

    async def noted(session: AsyncSession, values: Json) -> int:
        added.append(await add(session, values))
        return added[-1]

    @asynccontextmanager
    async def unconfirmed() -> AsyncIterator[AsyncSession]:
        before = len(added)
        async with begin() as session:
            yield session
            if len(added) > before and not is_kept:
                raise DatabaseUnavailable
        if len(added) > before:
            raise DatabaseUnavailable

    with monkeypatch.context() as patched:
        patched.setattr(database, "begin", unconfirmed)
        patched.setattr(responses, "add", noted)
        yield


def orphans_of(running: Running) -> Orphans:
    services, clock = running.services.responses, SystemClock()
    callers = Callers(running.database, clock)
    parts = services._asking, services._desk.making, services._background, callers, clock, lambda: False
    return Orphans(*parts, alone=False)
