"""Redis for tests: the server on 127.0.0.1:6379 under names of a random beginning, and servers to be killed."""

import asyncio
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest
from redis.asyncio import Redis
from redis.exceptions import RedisError

from tests.databases import SERVERS_ARE_TRIED

URL = "redis://127.0.0.1:6379/0"

ON_REDIS = pytest.mark.skipif(not SERVERS_ARE_TRIED, reason="Redis is tried with SERVERS=1 or CI=true")

ON_ITS_OWN = pytest.mark.skipif(
    not SERVERS_ARE_TRIED or shutil.which("redis-server") is None,
    reason="a Redis to be killed is started with SERVERS=1 or CI=true, where redis-server is installed",
)
"""For what stops, freezes or empties the server."""


@asynccontextmanager
async def random_prefix() -> AsyncIterator[str]:
    """The beginning of every name of one test; what begins so is removed at the end."""
    prefix = f"llm-backend-test-{secrets.token_hex(6)}:"
    try:
        yield prefix
    finally:
        async with Redis.from_url(URL) as client:
            async for name in client.scan_iter(match=f"{prefix}*", count=1000):
                await client.delete(name)


class RedisServer:
    """A server of the test's own, which it may kill, freeze and start again."""

    def __init__(self) -> None:
        # A socket's path has to be short.
        self._folder = Path(tempfile.mkdtemp(prefix="redis-"))
        self.url = f"unix://{self._folder}/socket"

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.kill()
        shutil.rmtree(self._folder)

    async def start(self) -> None:
        """Returns when it answers; it is empty then."""
        settings = {"port": "0", "unixsocket": f"{self._folder}/socket", "save": "", "dir": str(self._folder)}
        arguments = [part for name, value in settings.items() for part in (f"--{name}", value)]
        program = shutil.which("redis-server")
        assert program is not None, "redis-server is not installed."
        self._process = subprocess.Popen([program, *arguments], stdout=subprocess.DEVNULL)  # noqa: S603, ASYNC220 (returns at once)
        async with asyncio.timeout(60), Redis.from_url(self.url) as client:
            while not await self._answers(client):  # noqa: ASYNC110 (another process)
                await asyncio.sleep(0.02)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def freeze(self) -> None:
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    @staticmethod
    async def _answers(client: Redis) -> bool:
        try:
            return bool(await client.ping())
        except (RedisError, OSError):
            return False
