"""Rows 50, 53, 54 and 55: the database is away, silent, busy or locked, before a request or when it is settled."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator, MutableMapping
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import orjson
import pytest
import structlog
from sqlalchemy import text

from llm_backend.domain import metering
from llm_backend.storage import database as storage
from llm_backend.storage.database import Database, Limits
from llm_backend.storage.urls import file_of
from llm_backend.storage.usage import FIELDS
from tests.databases import ON_POSTGRESQL, ON_SQLITE
from tests.faults.asking import HELLO, Answered, asked
from tests.faults.leaving import Client
from tests.faulty import FaultyUpstream, chunk, completion, usage
from tests.serving import Running, serving
from tests.storage.silence import Passage

SHORT = {"connect_seconds": 0.3, "statement_seconds": 0.3, "lock_seconds": 0.3, "busy_seconds": 0.1}
Lines = list[MutableMapping[str, Any]]


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same limits as always, in tenths of seconds."""
    monkeypatch.setattr(storage, "Limits", partial(Limits, **SHORT, pool_size=2, pool_wait_seconds=0.2))
    monkeypatch.setattr(metering, "SETTLE_PAUSE_SECONDS", 0.01)


@asynccontextmanager
async def relaying(url: str, folder: Path, upstream: FaultyUpstream) -> AsyncIterator[Running]:
    async with serving(url, folder, OPENAI_BASE_URL=upstream.base_url) as running:
        yield running


def its_database(running: Running) -> Database:
    """The server's own, of which the test's is independent."""
    return running.services.exchanges._bench.metering._database


def unwritten(lines: Lines) -> list[MutableMapping[str, Any]]:
    return [line for line in lines if line["event"] == "usage_record_unwritten"]


def is_refused(answer: Answered, code: str, retry_after: str) -> bool:
    return (answer.status, answer.error["code"], answer.headers["retry-after"]) == (503, code, retry_after)


def is_complete(line: MutableMapping[str, Any], running: Running) -> bool:
    """Whether everything that a record needs can be entered by hand from `line`."""
    told = {
        "log_level": "critical",
        "account_id": running.account_id,
        "model": "echo",
        "status": "completed",
        "basis": "reported",
        "prompt_tokens": 3,
        "completion_tokens": 2,
        "cost_microusd": 0,
    }
    return set(FIELDS) <= set(line) and {name: line[name] for name in told} == told


@contextmanager
def locked(running: Running) -> Iterator[None]:
    """The file is written to by another process, for long."""
    file = file_of(running.database.url)
    assert file is not None
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    try:
        yield
    finally:
        other.execute("ROLLBACK")
        other.close()


@ON_SQLITE
@pytest.mark.parametrize("stream", [False, True])
async def test_a_locked_file_costs_the_log_a_line_and_the_client_nothing(
    database_url: str, tmp_path: Path, upstream: FaultyUpstream, *, stream: bool
) -> None:
    # Row 55
    _tell(upstream, stream=stream)
    async with relaying(database_url, tmp_path, upstream) as running:
        with structlog.testing.capture_logs() as lines, locked(running):
            answer = await asked(running, stream=stream)
            await running.quiet()

        assert (answer.status, answer.said) == (200, "Hello")
        (line,) = unwritten(lines)
        assert is_complete(line, running)
        assert await running.records() == []
        await asked(running, stream=stream)
        assert len(await running.records()) == 1


async def test_a_table_that_refuses_the_record_costs_the_log_a_line_and_the_client_nothing(
    database_url: str, tmp_path: Path, upstream: FaultyUpstream
) -> None:
    _tell(upstream, stream=False)
    async with relaying(database_url, tmp_path, upstream) as running:
        async with running.database.begin() as session:
            await session.execute(text("ALTER TABLE usage_record RENAME TO elsewhere"))
        with structlog.testing.capture_logs() as lines:
            answer = await asked(running)

        assert (answer.status, answer.said) == (200, "Hello")
        (line,) = unwritten(lines)
        assert is_complete(line, running)


async def test_a_busy_pool_does_not_lose_a_record(
    database_url: str, tmp_path: Path, upstream: FaultyUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Row 54
    _tell(upstream, stream=False)
    async with relaying(database_url, tmp_path, upstream) as running:
        await asked(running)  # the key is known from now on, for a second
        upstream.forget()
        _tell(upstream, stream=False)
        with structlog.testing.capture_logs() as lines:
            async with _all_writers(its_database(running)):
                answer = await asked(running)
                await running.quiet()

        assert (answer.status, answer.said) == (200, "Hello")
        (line,) = unwritten(lines)
        assert is_complete(line, running)
        assert len(await running.records()) == 1


async def test_a_pool_that_stays_busy_refuses_who_comes(
    database_url: str, tmp_path: Path, upstream: FaultyUpstream
) -> None:
    # Row 54
    async with relaying(database_url, tmp_path, upstream) as running:
        database = its_database(running)
        async with database.reading(), database.reading():
            refused = await asked(running)

        assert is_refused(refused, "overloaded", "1")
        assert upstream.requests == []


async def test_no_connection_is_held_while_a_stream_is_open(
    database_url: str, tmp_path: Path, upstream: FaultyUpstream
) -> None:
    # Row 54
    goes_on = asyncio.Event()
    upstream.streams("Hel", goes_on, "lo")
    async with relaying(database_url, tmp_path, upstream) as running:
        clients = [await Client.asking(running, HELLO | {"stream": True}) for _ in range(20)]
        for client in clients:
            await client.events(1)

        database = its_database(running)
        await database.settled()  # the day of the key's last use is written beside the requests
        assert [engine.pool.checkedout() for engine in (database._writer, database._reader)] == [0, 0]  # type: ignore[attr-defined]
        goes_on.set()
        for client in clients:
            assert (await client.events(3))[-1] == b"data: [DONE]"
            client.writer.close()
        assert len(await running.records()) == 20


@ON_POSTGRESQL
@pytest.mark.parametrize("is_silent", [True, False], ids=["silent", "gone"])
async def test_a_server_that_is_away_closes_the_door_before_anything_is_sent(
    database_url: str, tmp_path: Path, upstream: FaultyUpstream, *, is_silent: bool
) -> None:
    # Rows 50 and 53
    async with _passage(database_url) as (passage, url), relaying(url, tmp_path, upstream) as running:
        _away(passage, is_silent=is_silent)
        refused = await asked(running)

        assert is_refused(refused, "database_unavailable", "2")
        assert upstream.requests == []
        passage.is_open.set()


@ON_POSTGRESQL
@pytest.mark.parametrize("is_silent", [True, False], ids=["silent", "gone"])
@pytest.mark.parametrize("stream", [False, True])
async def test_a_server_that_goes_away_meanwhile_costs_the_log_a_line_and_the_client_nothing(
    database_url: str, tmp_path: Path, upstream: FaultyUpstream, *, is_silent: bool, stream: bool
) -> None:
    # Row 53
    goes_on = asyncio.Event()
    if stream:
        upstream.streams("Hel", goes_on, "lo", chunk(finish="stop"), usage(3, 2))
    else:
        upstream.raw(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n", goes_on, _BODY)
    async with _passage(database_url) as (passage, url), relaying(url, tmp_path, upstream) as running:
        with structlog.testing.capture_logs() as lines:
            asking = asyncio.create_task(asked(running, stream=stream))
            await upstream.received()
            _away(passage, is_silent=is_silent)
            goes_on.set()
            answer = await asking
            await running.quiet()

        assert (answer.status, answer.said) == (200, "Hello")
        (line,) = unwritten(lines)
        assert is_complete(line, running)
        passage.is_open.set()


_BODY = orjson.dumps(completion("Hello"))


def _tell(upstream: FaultyUpstream, *, stream: bool) -> None:
    if stream:
        upstream.streams("Hello", chunk(finish="stop"), usage(3, 2))
    else:
        upstream.answers(completion("Hello"))


def _away(passage: Passage, *, is_silent: bool) -> None:
    if is_silent:
        passage.is_open.clear()
    else:
        passage.close()


@asynccontextmanager
async def _passage(url: str) -> AsyncIterator[tuple[Passage, str]]:
    async with Passage().listening() as passage:
        yield passage, url.replace(":5432", f":{passage.port}")


@asynccontextmanager
async def _all_writers(database: Database) -> AsyncIterator[None]:
    if database.is_sqlite:
        async with database.begin():
            yield
        return
    async with database.begin(), database.begin():
        yield
