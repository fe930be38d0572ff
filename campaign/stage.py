"""What the faults are done to: an upstream, PostgreSQL, Redis, two servers, and clients that stream."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import httpx

from campaign.books import Books, Findings
from campaign.commands import environment_of, free_ports, python_module
from campaign.load import Load
from campaign.postgres import Postgres
from campaign.replica import Replica
from campaign.waiting import until
from llm_backend.storage.database import Database
from llm_backend.upstream.echo.core import Echo
from llm_backend.upstream.echo.server import EchoServer
from tests.redis_servers import RedisServer

ADMIN_TOKEN = "admin-token-of-the-campaign-32-bytes"  # noqa: S105 (of servers that live for minutes)
SECRET_KEY = "a-secret-of-the-campaign-of-32-bytes"  # noqa: S105 (as above)
PATIENCE_SECONDS = 180
"""How long after a round something may still be open, before that is a failure."""

CALLS_KEPT = 10_000_000

ACCOUNT = {
    "name": "campaign",
    "budget": 10**12,
    # So that Redis counts every request, and refuses none.
    "requests_per_minute": 10**6,
    "tokens_per_minute": 10**12,
    "concurrent_requests": 10**4,
}


@dataclass(frozen=True, slots=True)
class Stage:
    """All of it, running."""

    client: httpx.AsyncClient
    echo: Echo
    postgres: Postgres
    redis: RedisServer
    replicas: tuple[Replica, Replica]
    books: Books
    load: Load

    async def recovered(self) -> float:
        """Seconds until both servers are ready and each has answered a new request to its end."""
        began = time.monotonic()
        for replica in self.replicas:
            await until(partial(replica.is_ready, self.client))
            await until(partial(self.load.answers, replica))
        return time.monotonic() - began

    async def findings(self, *, guessed: int = 0) -> Findings:
        """What is wrong once the clients have stopped and everything that waits is entered."""
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await until(self._is_quiet)
        except TimeoutError:
            left = [path.name for replica in self.replicas for path in replica.journals]
            number = await self.books.open_reservations()
            problem = f"After {PATIENCE_SECONDS} s {number} reservations are open, and journals left: {left}."
        else:
            problem = ""
        calls = sum(call.method == "POST" for call in self.echo.calls)
        found = await self.books.examined(self.load.asked, calls, guessed=guessed)
        found.problems += [problem] if problem else []
        return found

    async def _is_quiet(self) -> bool:
        return not (await self.books.open_reservations() or any(replica.journals for replica in self.replicas))


@asynccontextmanager
async def set_up(folder: Path, streams: int) -> AsyncIterator[Stage]:
    """Everything, started in `folder`; nothing of it is left at the end."""
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(
            httpx.AsyncClient(timeout=PATIENCE_SECONDS, limits=httpx.Limits(max_connections=None))
        )
        echo = Echo(kept_calls=CALLS_KEPT)
        upstream = await stack.enter_async_context(EchoServer(echo))
        redis = await stack.enter_async_context(RedisServer())
        postgres_port, *ports = free_ports(3)
        postgres = Postgres(folder / "postgresql", postgres_port)
        await postgres.create()
        stack.push_async_callback(postgres.stop_at_once)
        settings = {
            "DATABASE_URL": postgres.url,
            "REDIS_URL": redis.url,
            "OPENAI_BASE_URL": upstream.base_url,
            "ADMIN_TOKEN": ADMIN_TOKEN,
            "SECRET_KEY": SECRET_KEY,
        }
        await _migrate(folder, settings)
        first, second = (Replica(folder / f"server-{port}", port, settings) for port in ports)
        for replica in (first, second):
            stack.push_async_callback(replica.stop)
            await replica.start(client)
        database = Database(postgres.url)
        stack.push_async_callback(database.close)
        load = Load(client, await _key(client, first), (first, second), streams)
        yield Stage(client, echo, postgres, redis, (first, second), Books(database), load)


async def _migrate(folder: Path, settings: dict[str, str]) -> None:
    command = python_module("llm_backend", "db", "upgrade")
    process = await asyncio.create_subprocess_exec(*command, cwd=folder, env=environment_of(settings))
    if await process.wait():
        raise RuntimeError("The database could not be brought up to date.")


async def _key(client: httpx.AsyncClient, replica: Replica) -> str:
    """Of a new account with a budget that nobody exhausts."""
    admin = {"authorization": f"Bearer {ADMIN_TOKEN}"}
    answer = await client.post(f"{replica.url}/api/accounts", headers=admin, json=ACCOUNT)
    answer.raise_for_status()
    return str(answer.json()["api_key"])
