"""A way to a server that can fall silent: connections stay open and nothing passes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Passage:
    """Passes bytes between a port of its own and PostgreSQL while `is_open` is set."""

    def __init__(self) -> None:
        self.is_open = asyncio.Event()
        self.is_open.set()
        self.port = 0
        self._connections = 0
        self._lost = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    @asynccontextmanager
    async def listening(self) -> AsyncIterator["Passage"]:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            self.close()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def close(self) -> None:
        """Refuse new connections and close those there are."""
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()

    def lose(self) -> None:
        """Let nothing pass on the connections that there are, as a router does that forgot them; new ones work."""
        self._lost = self._connections

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number = self._connections
        self._connections += 1
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", 5432)
        for source, target in ((reader, there_writer), (there_reader, writer)):
            self._tasks.add(asyncio.create_task(self._pass(number, source, target)))

    async def _pass(self, number: int, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        try:
            while piece := await source.read(65536):
                await self.is_open.wait()
                if number < self._lost:
                    continue
                target.write(piece)
        finally:
            target.close()
