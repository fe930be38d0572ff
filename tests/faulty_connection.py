"""One connection to a faulty upstream: it reads requests, plays scripts, and watches its client."""

import asyncio
import socket
import struct
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol

import httptools
import orjson

from tests.told import Cut, End, Hang, Item, Json, Pause, Repeated, Reset


@dataclass(slots=True)
class Received:
    """One request as it came, and what became of its client."""

    method: str
    path: str
    headers: dict[str, str]
    """Lower case."""
    body: bytes
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the client closed the connection, by FIN or RST, before we did."""
    answered: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when all items have been written."""

    @property
    def json(self) -> Json:
        return orjson.loads(self.body)


@dataclass(frozen=True, slots=True)
class Script:
    items: tuple[Item, ...] = ()
    chunked: bool = False
    """Each item of the body is one chunk of the transfer coding."""
    keeps_open: bool = False
    reset_after: int | None = None
    """Reset when so many bytes of the request have come."""


class Director(Protocol):
    """Who knows what comes next."""

    def upcoming(self) -> Script: ...
    async def note(self, request: Received) -> Script: ...


class Connection:
    """One client: reads requests, answers each in turn, and notices when the client leaves meanwhile."""

    def __init__(self, upstream: Director, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._upstream = upstream
        self._reader = reader
        self._writer = writer
        self._waiting = b""

    async def serve(self) -> None:
        while (request := await self._request()) is not None:
            script = await self._upstream.note(request)
            if not await self._exchange(script, request):
                return
        self._writer.close()

    async def _request(self) -> Received | None:
        """The next request; None where the client closed, or was reset as the script asks."""
        gathered = _Gathered()
        parser = httptools.HttpRequestParser(gathered)
        number = 0
        while not gathered.complete:
            limit = self._upstream.upcoming().reset_after
            if limit is not None and number >= limit:
                self._reset()
                return None
            size = 65536 if limit is None else limit - number
            data = self._waiting or await self._reader.read(size)
            self._waiting = b""
            if not data:
                return None
            number += len(data)
            parser.feed_data(data)
        method = parser.get_method().decode()
        return Received(method, gathered.path, gathered.headers, bytes(gathered.body))

    async def _exchange(self, script: Script, request: Received) -> bool:
        """Play `script` while watching the client; whether the connection goes on."""
        playing = asyncio.create_task(self._play(script, request))
        watching = asyncio.create_task(self._reader.read(65536))
        try:
            await asyncio.wait((playing, watching), return_when=asyncio.FIRST_COMPLETED)
            if playing.done() and not playing.result():
                return False
            self._waiting = await self._watched(watching)
            if not self._waiting:
                request.gone.set()
                return False
            return await playing
        finally:
            for task in (playing, watching):
                task.cancel()
            await asyncio.gather(playing, watching, return_exceptions=True)
            if request.gone.is_set():
                self._writer.transport.abort()

    async def _watched(self, watching: "asyncio.Task[bytes]") -> bytes:
        try:
            return await watching
        except ConnectionError:
            return b""

    async def _play(self, script: Script, request: Received) -> bool:
        """Write all items; whether the connection stays open. Returns False after an end of its own."""
        head, *rest = script.items or (b"",)
        first: Iterable[Item] = (head,)
        with suppress(ConnectionError):
            for items, chunked in ((first, False), (rest, script.chunked)):
                for item in items:
                    if isinstance(item, End):
                        await self._end(item, chunked=script.chunked)
                        return False
                    await self._do(item, chunked=chunked)
            if script.chunked:
                await self._write(b"0\r\n\r\n")
            request.answered.set()
            if not script.keeps_open:
                self._writer.close()
            return script.keeps_open
        request.gone.set()
        return False

    async def _do(self, item: Item, *, chunked: bool) -> None:
        match item:
            case Pause(seconds):
                await asyncio.sleep(seconds)
            case asyncio.Event():
                await item.wait()
            case bytes():
                await self._write(_coded(item) if chunked else item)
            case Repeated():
                for block in item:
                    await self._write(_coded(block) if chunked else block)

    async def _end(self, end: End, *, chunked: bool) -> None:
        if end is Reset:
            # uvloop writes at the end of the turn; what came before the reset is to be sent.
            await asyncio.sleep(0)
            self._reset()
        elif end is Hang:
            await asyncio.Event().wait()
        else:
            if end is Cut and chunked:
                await self._write(b"0\r\n\r\n")
            self._writer.close()

    async def _write(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    def _reset(self) -> None:
        # Lingering for no time makes the kernel send RST instead of FIN.
        connection: socket.socket = self._writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()


class _Gathered:
    """What httptools' parser reports of one request."""

    def __init__(self) -> None:
        self.path = ""
        self.headers: dict[str, str] = {}
        self.body = bytearray()
        self.complete = False

    def on_url(self, url: bytes) -> None:
        self.path += url.decode()

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers[name.decode().lower()] = value.decode("latin-1")

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        self.complete = True


def _coded(data: bytes) -> bytes:
    """One chunk of the chunked transfer coding; an empty one would end the body."""
    return b"%x\r\n%b\r\n" % (len(data), data) if data else b""
