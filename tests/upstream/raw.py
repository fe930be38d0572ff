"""An upstream made of one coroutine on a socket: for what no HTTP server would send."""

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class RawUpstream:
    """Where it listens, and each request head and body it has read.

    It answers every request by `pieces`, then by `then`; each request of a connection in its turn. `first` runs in the
    middle of a connection's first request.
    """

    pieces: tuple[bytes, ...] = ()
    first: Answer | None = None
    then: Answer | None = None
    port: int = 0
    scheme: str = "http"
    heads: list[str] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    connections: int = 0
    left: asyncio.Event = field(default_factory=asyncio.Event)
    """Set whenever a connection has ended."""
    _writers: list[asyncio.StreamWriter] = field(default_factory=list)
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}/v1"

    async def request(self, reader: asyncio.StreamReader) -> bool:
        """Read one request; False where the client closed instead."""
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        except (asyncio.IncompleteReadError, ConnectionError):
            return False
        lines = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if line)
        self.heads.append(head)
        self.bodies.append(await reader.readexactly(int(lines.get("content-length", "0"))))
        return True

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a connection that has come, until it ends or `stop` is called."""
        self.connections += 1
        self._writers.append(writer)
        self._tasks.append(asyncio.create_task(self._serve(reader, writer)))

    async def stop(self) -> None:
        """Cut every connection."""
        for writer in self._writers:
            writer.transport.abort()
        for serving in self._tasks:
            serving.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):  # the client cut the connection, which several tests want
            await self._answer(reader, writer)
        writer.close()
        self.left.set()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.first is not None:
            await reader.read(1024)
            await self.first(reader, writer)
        while await self.request(reader):
            writer.writelines(self.pieces)
            await writer.drain()
            if self.then is not None:
                await self.then(reader, writer)


@asynccontextmanager
async def raw_upstream(
    *pieces: bytes, first: Answer | None = None, then: Answer | None = None, tls: ssl.SSLContext | None = None
) -> AsyncIterator[RawUpstream]:
    upstream = RawUpstream(pieces, first, then, scheme="https" if tls else "http")
    server = await asyncio.start_server(upstream.accept, "127.0.0.1", 0, ssl=tls)
    upstream.port = server.sockets[0].getsockname()[1]
    try:
        yield upstream
    finally:
        server.close()
        await upstream.stop()


async def finish(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """End the connection cleanly."""
    writer.close()


async def reset(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """End the connection by RST."""
    linger = struct.pack("ii", 1, 0)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    writer.transport.abort()


async def hang(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    """Stay silent until the client goes."""
    while await reader.read(65536):
        pass


def answer(body: bytes, *headers: str, status: str = "200 OK", length: int | None = None) -> bytes:
    """Write one whole HTTP answer; `length` may lie."""
    lines = [f"HTTP/1.1 {status}", *(headers or ("content-type: application/json",))]
    lines.append(f"content-length: {len(body) if length is None else length}")
    return "\r\n".join([*lines, "", ""]).encode() + body
