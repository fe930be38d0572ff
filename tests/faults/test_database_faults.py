"""Rows 50, 53, 54 and 55: the database is away, silent, busy or locked, before a request or when it is settled."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path

import orjson
import pytest
import structlog
from sqlalchemy import text

from llm_backend.domain import metering
from llm_backend.domain.backlog import Backlog
from llm_backend.errors import Json
from llm_backend.storage import database as storage
from llm_backend.storage import usage as usage_records
from llm_backend.storage.database import Database, Limits
from llm_backend.storage.urls import file_of
from llm_backend.storage.usage import FIELDS, UsageRecord
from tests.databases import ON_POSTGRESQL, ON_SQLITE
from tests.faults.asking import HELLO, Answered, asked
from tests.faults.leaving import Client
from tests.faulty import FaultyUpstream, chunk, completion, usage
from tests.serving import Running, serving
from tests.storage.silence import Passage

SHORT = {"connect_seconds": 0.3, "statement_seconds": 0.3, "lock_seconds": 0.3, "busy_seconds": 0.1}


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
    return running.services.exchanges._bench.metering._ledger._database


def backlog(running: Running) -> Backlog:
    """What waits for the server's database."""
    return running.services.exchanges._bench.metering._backlog


async def entered(running: Running) -> list[UsageRecord]:
    """The records, once the database has taken everything that waited for it."""
    while not backlog(running).is_empty:
        await backlog(running).replay()
    return await running.records()


def journaled(folder: Path) -> list[Json]:
    """What stands in the journals, without the checksums."""
    lines = [line for file in (folder / "journal").glob("*.jsonl") for line in file.read_bytes().splitlines()]
    return [orjson.loads(line)["entry"] for line in lines]


def is_refused(answer: Answered, code: str, retry_after: str) -> bool:
    return (answer.status, answer.error["code"], answer.headers["retry-after"]) == (503, code, retry_after)


def is_paid(record: UsageRecord) -> bool:
    return (record.status, record.basis, record.prompt_tokens, record.completion_tokens) == (
        "completed",
        "reported",
        3,
        2,
    )


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
async def test_a_locked_file_closes_the_door_before_anything_is_sent(
    database_url: str, tmp_path: Path, upstream: FaultyUpstream
) -> None:
    # Row 55
    _tell(upstream, stream=False)
    async with relaying(database_url, tmp_path, upstream) as running:
        with locked(running):
            refused = await asked(running)

        assert is_refused(refused, "database_unavailable", "1")
        assert upstream.requests == []
        assert await entered(running) == []


@ON_SQLITE
@pytest.mark.parametrize("stream", [False, True])
async def test_a_file_that_is_locked_meanwhile_costs_the_client_nothing_and_the_books_neither(
    database_url: str, tmp_path: Path, upstream: FaultyUpstream, *, stream: bool
) -> None:
    # Rows 51 and 55
    goes_on = _holds(upstream, stream=stream)
    async with relaying(database_url, tmp_path, upstream) as running:
        asking = asyncio.create_task(asked(running, HELLO | {"store": True}, stream=stream))
        await upstream.received()
        with locked(running):
            goes_on.set()
            answer = await asking
            waiting = journaled(tmp_path)

        assert (answer.status, answer.said) == (200, "Hello")
        assert [written["settle"]["prompt_tokens"] for written in waiting] == [3]
        (record,) = await entered(running)
        assert is_paid(record)
        assert journaled(tmp_path) == []
        async with running.database.reading() as session:
            assert (await session.execute(text("SELECT attempt_id FROM response"))).scalars().all() == [
                record.attempt_id
            ]


async def test_a_record_that_the_database_refuses_is_in_the_log_complete(
    database_url: str, tmp_path: Path, upstream: FaultyUpstream
) -> None:
    _tell(upstream, stream=False)
    async with relaying(database_url, tmp_path, upstream) as running:
        async with running.database.begin() as session:
            await session.execute(text("ALTER TABLE usage_day RENAME TO elsewhere"))
        with structlog.testing.capture_logs() as lines:
            answer = await asked(running)
            await backlog(running).replay()

        assert (answer.status, answer.said) == (200, "Hello")
        (line,) = [line for line in lines if line["event"] == "usage_record_unwritten"]
        assert line["log_level"] == "critical"
        assert set(FIELDS) == set(line["settle"])
        assert (line["settle"]["prompt_tokens"], line["settle"]["completion_tokens"]) == (3, 2)


@pytest.mark.parametrize("stream", [False, True])
async def test_a_pool_that_is_busy_when_it_ends_does_not_lose_a_record(
    database_url: str, tmp_path: Path, upstream: FaultyUpstream, *, stream: bool
) -> None:
    # Row 54
    goes_on = _holds(upstream, stream=stream)
    async with relaying(database_url, tmp_path, upstream) as running:
        asking = asyncio.create_task(asked(running, stream=stream))
        await upstream.received()
        async with _all_writers(its_database(running)):
            goes_on.set()
            answer = await asking

        assert (answer.status, answer.said) == (200, "Hello")
        (record,) = await entered(running)
        assert is_paid(record)


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
        # But for those that wait for the next statement, and are given to whoever wants one.
        for spares in (database._to_write, database._to_read):
            spares.give_back()
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
    async with passage_to(database_url) as (passage, url), relaying(url, tmp_path, upstream) as running:
        away(passage, is_silent=is_silent)
        refused = await asked(running)

        assert is_refused(refused, "database_unavailable", "2")
        assert upstream.requests == []
        passage.is_open.set()


@ON_POSTGRESQL
@pytest.mark.parametrize("is_silent", [True, False], ids=["silent", "gone"])
@pytest.mark.parametrize("stream", [False, True])
async def test_a_server_that_goes_away_meanwhile_costs_the_client_nothing_and_the_books_neither(
    database_url: str, tmp_path: Path, upstream: FaultyUpstream, *, is_silent: bool, stream: bool
) -> None:
    # Rows 51 and 53
    goes_on = _holds(upstream, stream=stream)
    async with passage_to(database_url) as (passage, url), relaying(url, tmp_path, upstream) as running:
        asking = asyncio.create_task(asked(running, stream=stream))
        await upstream.received()
        away(passage, is_silent=is_silent)
        goes_on.set()
        answer = await asking
        waiting = journaled(tmp_path)
        passage.is_open.set()

    assert (answer.status, answer.said) == (200, "Hello")
    assert [written["settle"]["prompt_tokens"] for written in waiting] == [3]
    # The next process enters what this one could not.
    books = Database(database_url)
    async with books.begin() as session:
        await session.execute(text("UPDATE account SET name = 'before'"))
    async with relaying(database_url, tmp_path, upstream):
        async with books.reading() as session:
            (record,) = await usage_records.of_account(session, running.account_id)
        assert is_paid(record)
        assert journaled(tmp_path) == []
    await books.close()


_BODY = orjson.dumps(completion("Hello"))


def _tell(upstream: FaultyUpstream, *, stream: bool) -> None:
    if stream:
        upstream.streams("Hello", chunk(finish="stop"), usage(3, 2))
    else:
        upstream.answers(completion("Hello"))


def _holds(upstream: FaultyUpstream, *, stream: bool) -> asyncio.Event:
    """Begin an answer, which goes on when the event is set."""
    goes_on = asyncio.Event()
    if stream:
        upstream.streams("Hel", goes_on, "lo", chunk(finish="stop"), usage(3, 2))
    else:
        upstream.raw(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n", goes_on, _BODY)
    return goes_on


def away(passage: Passage, *, is_silent: bool) -> None:
    if is_silent:
        passage.is_open.clear()
    else:
        passage.close()


@asynccontextmanager
async def passage_to(url: str) -> AsyncIterator[tuple[Passage, str]]:
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
