"""Rows 48 and 49: the server is told to stop while streams are open, as a process of its own."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import orjson

from llm_backend.errors import Json
from llm_backend.storage import usage
from llm_backend.storage.database import Database
from llm_backend.storage.usage import UsageRecord
from tests.databases import ON_SQLITE
from tests.faults.asking import HELLO, asked, events_in
from tests.faults.stage import told
from tests.faulty import FaultyUpstream, Hang, chunk
from tests.faulty import usage as used
from tests.serving import ADMIN_TOKEN, SECRET_KEY, Running, _account

STREAMED = HELLO | {"stream": True}
MANY = 50
CUT_OFF = ("incomplete", "estimated", "draining")


@dataclass
class Served:
    """A process that serves, with an account on its database."""

    process: Process
    port: int
    key: str
    account_id: int
    database: Database
    log: list[Json]

    def told(self, number: int) -> None:
        self.process.send_signal(number)

    async def records(self) -> list[UsageRecord]:
        """What the process left behind."""
        async with self.database.reading() as session:
            return await usage.of_account(session, self.account_id)

    async def logged(self, event: str) -> Json:
        """The next line of the log about `event`."""
        assert self.process.stderr is not None
        async for line in self.process.stderr:
            self.log.append(orjson.loads(line))
            if event in str(self.log[-1]["event"]):
                return self.log[-1]
        raise AssertionError(self.log)


@asynccontextmanager
async def process(url: str, folder: Path, upstream: FaultyUpstream, *, drain_seconds: float) -> AsyncIterator[Served]:
    """`llm-backend serve` on a free port; ended at the end, should the test not have done so."""
    config = folder / "served.toml"
    config.write_text(f"[limits]\ndrain_seconds = {drain_seconds}\n")
    environment = {
        "PATH": os.environ["PATH"],
        "DATABASE_URL": url,
        "SECRET_KEY": SECRET_KEY,
        "ADMIN_TOKEN": ADMIN_TOKEN,
        "LLM_BACKEND_HOME": str(folder),
        "LLM_BACKEND_CONFIG": str(config),
        "OPENAI_BASE_URL": upstream.base_url,
        "OPENAI_API_KEY": "none",
    }
    database = Database(url)
    account_id, key = await _account(database)
    command = (sys.executable, "-m", "llm_backend", "serve", "--port", "0")
    running = await asyncio.create_subprocess_exec(*command, env=environment, stderr=PIPE, stdout=PIPE, cwd=folder)
    try:
        served = Served(running, 0, key, account_id, database, [])
        line = await served.logged("running on http://127.0.0.1:")
        served.port = int(str(line["event"]).partition("127.0.0.1:")[2].split()[0].rstrip("/"))
        yield served
    finally:
        if running.returncode is None:
            running.kill()
        await running.communicate()
        await database.close()


@asynccontextmanager
async def streams(served: Served, number: int) -> AsyncIterator[list[aiohttp.ClientResponse]]:
    """So many open streams, each of which has had its first event."""
    url = f"http://127.0.0.1:{served.port}/v1/chat/completions"
    headers = {"authorization": f"Bearer {served.key}"}
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(headers=headers, connector=connector) as client:
        yield list(await asyncio.gather(*(client.post(url, json=STREAMED) for _ in range(number))))


@ON_SQLITE
async def test_told_once_it_lets_streams_end_and_ends_those_that_do_not(
    database_url: str, tmp_path: Path, upstream: FaultyUpstream
) -> None:
    # Row 48
    goes_on = asyncio.Event()
    for _ in range(MANY // 2):
        upstream.streams("Hel", goes_on, "lo", chunk(finish="stop"), used(3, 2))
    upstream.streams("Hello", Hang)
    async with process(database_url, tmp_path, upstream, drain_seconds=1.0) as served:
        async with streams(served, MANY) as answers, aiohttp.ClientSession() as client:
            served.told(signal.SIGTERM)

            url = f"http://127.0.0.1:{served.port}"
            await _is_draining(served)
            async with client.post(f"{url}/v1/chat/completions", json=HELLO) as refused:
                assert (refused.status, refused.headers["retry-after"]) == (503, "5")
                assert (await refused.json())["error"]["code"] == "draining"
            goes_on.set()
            endings = [events_in(await answer.read())[-1] for answer in answers]

        assert await served.process.wait() == 0
        assert endings.count("[DONE]") == MANY // 2
        assert [ending["error"]["code"] for ending in endings if ending != "[DONE]"] == ["draining"] * (MANY // 2)
        records = await served.records()
    assert len(records) == len(upstream.requests) == MANY
    assert sorted(told(record) for record in records) == sorted(
        [("completed", "reported", None), CUT_OFF] * (MANY // 2), key=str
    )


@ON_SQLITE
async def test_told_twice_it_ends_every_stream_at_once_and_writes_what_they_used(
    database_url: str, tmp_path: Path, upstream: FaultyUpstream
) -> None:
    # Row 49: nothing here waits for the hour of grace.
    upstream.streams("Hello", Hang)
    async with process(database_url, tmp_path, upstream, drain_seconds=3600) as served:
        async with streams(served, MANY) as answers:
            served.told(signal.SIGTERM)
            await _is_draining(served)
            served.told(signal.SIGINT)

            endings = [events_in(await answer.read())[-1] for answer in answers]

        assert await served.process.wait() == 0
        assert [ending["error"]["code"] for ending in endings] == ["draining"] * MANY
        records = await served.records()
    assert [told(record) for record in records] == [CUT_OFF] * MANY
    assert len({record.attempt_id for record in records}) == len(upstream.requests) == MANY


@ON_SQLITE
async def test_a_whole_answer_under_way_is_refused_at_the_second_signal(
    database_url: str, tmp_path: Path, upstream: FaultyUpstream
) -> None:
    # Row 49
    upstream.hangs()
    async with process(database_url, tmp_path, upstream, drain_seconds=3600) as served:
        headers = {"authorization": f"Bearer {served.key}"}
        async with aiohttp.ClientSession(headers=headers) as client:
            asking = asyncio.create_task(client.post(f"http://127.0.0.1:{served.port}/v1/chat/completions", json=HELLO))
            await upstream.received()
            served.told(signal.SIGTERM)
            await _is_draining(served)
            served.told(signal.SIGTERM)
            answer = await asking

            assert (answer.status, answer.headers["retry-after"]) == (503, "5")
            assert (await answer.json())["error"]["code"] == "draining"
        assert await served.process.wait() == 0
        assert [told(record) for record in await served.records()] == [("failed", "estimated", "draining")]


@ON_SQLITE
async def test_whoever_comes_after_the_cut_is_refused_and_nothing_is_sent(running: Running) -> None:
    # Row 49: let in before the doors closed, and only now at the upstream's
    running.services.exchanges.cut()

    for stream in (False, True):
        answer = await asked(running, stream=stream)

        assert (answer.status, answer.error["code"], answer.headers["retry-after"]) == (503, "draining", "5")
    assert await running.records() == []
    assert running.echo is not None
    assert len(running.echo.calls) == 0


async def _is_draining(served: Served) -> None:
    """Returns when readiness says so."""
    status = 200
    async with aiohttp.ClientSession() as client:
        while status != 503:
            async with client.get(f"http://127.0.0.1:{served.port}/readyz") as answer:
                status = answer.status
