"""Rows 48 and 49: the server is told to stop while streams are open or answers made, as a process of its own."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest
from sqlalchemy import Row, select

from llm_backend.domain.doctor import Doctor
from llm_backend.errors import Draining, Json
from llm_backend.storage import usage
from llm_backend.storage.database import Database
from llm_backend.storage.tables import response
from llm_backend.storage.usage import UsageRecord
from tests.databases import ON_POSTGRESQL, ON_SQLITE
from tests.faults.asking import HELLO, asked, events_in
from tests.faults.stage import told
from tests.faulty import FaultyUpstream, Hang, chunk
from tests.faulty import usage as used
from tests.handlers.resuming import asking, text
from tests.proof.mortals import REPOSITORY
from tests.serving import ADMIN_TOKEN, SECRET_KEY, Running, _account, serving

STREAMED = HELLO | {"stream": True}
MANY = 50
CUT_OFF = ("incomplete", "estimated", "draining")
ANSWERED = ("completed", "reported", None)


@dataclass(frozen=True)
class Unattended:
    """A request whose answer is made though nobody waits for it."""

    path: str
    body: Json
    headers: Mapping[str, str] = field(default_factory=dict)
    cut_short: str = "failed"
    """What it is noted as when it does not come to its end."""


BACKGROUND = Unattended("/v1/responses", {"model": "echo", "input": "Hello there", "background": True})
KEPT = Unattended("/v1/responses", {"model": "echo", "input": "Hello there", "stream": True})
RESUMABLE = Unattended("/v1/chat/completions", STREAMED, {"x-resumable": "true"}, "incomplete")


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
        "PYTHONPATH": str(REPOSITORY),
        "DATABASE_URL": url,
        "SECRET_KEY": SECRET_KEY,
        "ADMIN_TOKEN": ADMIN_TOKEN,
        "LLM_BACKEND_HOME": str(folder),
        "LLM_BACKEND_CONFIG": str(config),
        "OPENAI_BASE_URL": upstream.base_url,
        "OPENAI_API_KEY": "none",
        "UPSTREAM_RESPONSES": "chat",
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
    assert sorted(told(record) for record in records) == sorted([ANSWERED, CUT_OFF] * (MANY // 2), key=str)


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
@pytest.mark.parametrize("asked_for", [BACKGROUND, KEPT, RESUMABLE], ids=["background", "kept", "resumable"])
async def test_what_nobody_waits_for_is_let_end(
    database_url: str, tmp_path: Path, upstream: FaultyUpstream, asked_for: Unattended
) -> None:
    # Row 48
    goes_on = asyncio.Event()
    upstream.streams("Hel", goes_on, "lo", chunk(finish="stop"), used(3, 2))
    async with process(database_url, tmp_path, upstream, drain_seconds=60.0) as served:
        await _left(served, asked_for, upstream)
        served.told(signal.SIGTERM)
        stopping = await served.logged("stopping")

        goes_on.set()

        assert await served.process.wait() == 0
        assert stopping["made"] == 1
        assert [told(record) for record in await served.records()] == [ANSWERED]
        (found,) = await _made(served)
        assert found.status == "completed"
        assert await Doctor(served.database).violations() == []


@ON_SQLITE
@pytest.mark.parametrize("drain_seconds", [0.3, 3600.0], ids=["too long", "told twice"])
@pytest.mark.parametrize("asked_for", [BACKGROUND, KEPT, RESUMABLE], ids=["background", "kept", "resumable"])
async def test_what_nobody_waits_for_is_ended_where_it_takes_too_long_or_the_server_is_told_twice(
    database_url: str, tmp_path: Path, upstream: FaultyUpstream, asked_for: Unattended, drain_seconds: float
) -> None:
    # Row 49
    upstream.streams("Hello", Hang)
    async with process(database_url, tmp_path, upstream, drain_seconds=drain_seconds) as served:
        await _left(served, asked_for, upstream)

        served.told(signal.SIGTERM)
        if drain_seconds > 1:
            await _is_draining(served)
            served.told(signal.SIGTERM)

        assert await served.process.wait() == 0
        assert [told(record) for record in await served.records()] == [CUT_OFF]
        (found,) = await _made(served)
        assert (found.status, found.owner, found.ended_at is None) == (asked_for.cut_short, None, False)
        if asked_for is not RESUMABLE:
            assert orjson.loads(found.body)["error"] == {"code": "server_error", "message": str(Draining())}
        assert await Doctor(served.database).violations() == []


@ON_POSTGRESQL
async def test_who_reads_what_another_server_makes_is_let_go_of_and_holds_nobody_up(
    database_url: str, tmp_path: Path, upstream: FaultyUpstream
) -> None:
    # Nothing here waits for the hour of grace.
    upstream.streams("Hello", Hang)
    async with (
        serving(
            database_url, tmp_path, name="another", OPENAI_BASE_URL=upstream.base_url, UPSTREAM_RESPONSES="chat"
        ) as maker,
        process(database_url, tmp_path, upstream, drain_seconds=3600) as served,
        aiohttp.ClientSession(headers=maker.headers) as client,
    ):
        async with client.post(f"{maker.base_url}/responses", json=BACKGROUND.body) as begun:
            response_id = (await begun.json())["id"]
        async with client.get(f"http://127.0.0.1:{served.port}/v1/responses/{response_id}?stream=true") as reading:
            await reading.content.readline()

            served.told(signal.SIGTERM)

            with pytest.raises(aiohttp.ClientPayloadError):
                await reading.read()
        assert await served.process.wait() == 0
        async with client.post(f"{maker.base_url}/responses/{response_id}/cancel") as cancelled:
            assert (await cancelled.json())["status"] == "cancelled"


@ON_SQLITE
async def test_what_is_queued_when_all_is_cut_is_begun_by_the_next_server(
    database_url: str, tmp_path: Path, upstream: FaultyUpstream
) -> None:
    upstream.streams("Hello", chunk(finish="stop"), used(3, 2))
    async with serving(database_url, tmp_path, OPENAI_BASE_URL=upstream.base_url, UPSTREAM_RESPONSES="chat") as running:
        running.services.exchanges.cut()
        async with asking(running) as asker:
            begun = await asker.begin("Hi")
        asked_of = len(upstream.requests)
    again = serving(database_url, tmp_path, name="others", OPENAI_BASE_URL=upstream.base_url, UPSTREAM_RESPONSES="chat")
    async with again as after, asking(running, after.root) as asker:
        told_then = await asker.ended(begun["id"])

    assert asked_of == 0
    assert (told_then["status"], text(told_then)) == ("completed", "Hello")


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


async def _left(served: Served, wanted: Unattended, upstream: FaultyUpstream) -> None:
    """Ask for it, and leave once it has begun."""
    headers = {"authorization": f"Bearer {served.key}", **wanted.headers}
    async with (
        aiohttp.ClientSession(f"http://127.0.0.1:{served.port}", headers=headers) as client,
        client.post(wanted.path, json=wanted.body) as answer,
    ):
        assert answer.status == 200
        await upstream.received()
        if wanted is not BACKGROUND:
            await answer.content.readline()


async def _made(served: Served) -> list[Row[Any]]:
    """The rows of what is kept."""
    async with served.database.reading() as session:
        return list(await session.execute(select(response)))


async def _is_draining(served: Served) -> None:
    """Returns when readiness says so."""
    status = 200
    async with aiohttp.ClientSession() as client:
        while status != 503:
            async with client.get(f"http://127.0.0.1:{served.port}/readyz") as answer:
                status = answer.status
