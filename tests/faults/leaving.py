"""Clients on raw sockets, that leave when and how a test says."""

import asyncio
import socket
import struct
from collections.abc import Callable
from typing import Self

import orjson

from llm_backend.errors import Json
from tests.serving import Running

CHATS = "/v1/chat/completions"


class Client:
    """One connection, with one request after another written as it is."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def of(cls, running: Running, *, receive_buffer: int | None = None) -> Self:
        """Connect; `receive_buffer` in bytes, where the kernel is not to read ahead."""
        connection = socket.socket()
        if receive_buffer is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        connection.setblocking(False)
        await asyncio.get_running_loop().sock_connect(connection, ("127.0.0.1", running.port))
        limit = 2**16 if receive_buffer is None else receive_buffer
        return cls(*await asyncio.open_connection(sock=connection, limit=limit))

    @classmethod
    async def asking(
        cls, running: Running, body: Json, *, path: str = CHATS, receive_buffer: int | None = None
    ) -> Self:
        client = await cls.of(running, receive_buffer=receive_buffer)
        client.writer.write(request(running, body, path))
        return client

    async def events(self, number: int) -> list[bytes]:
        """Read until so many events have come, keep-alive comments aside."""
        found: list[bytes] = []
        while len(found) < number:
            line = await self.reader.readuntil(b"\n")
            if line.startswith(b"data: "):
                found.append(line.strip())
        return found

    async def head(self) -> bytes:
        return await self.reader.readuntil(b"\r\n\r\n")

    def leaves(self) -> None:
        """FIN."""
        self.writer.close()

    def is_reset(self) -> None:
        """RST."""
        connection: socket.socket = self.writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    def half_closes(self) -> None:
        """FIN, still ready to read."""
        self.writer.write_eof()


Leaving = Callable[[Client], None]
WAYS = [Client.leaves, Client.is_reset]


def request(running: Running, body: Json, path: str = CHATS) -> bytes:
    """A request to the byte."""
    content = orjson.dumps(body)
    lines = [
        f"POST {path} HTTP/1.1",
        f"Host: 127.0.0.1:{running.port}",
        f"Authorization: Bearer {running.key}",
        "Content-Type: application/json",
        f"Content-Length: {len(content)}",
    ]
    return "\r\n".join([*lines, "", ""]).encode() + content
