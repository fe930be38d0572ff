"""An upstream on a raw socket, which does exactly what a test tells it, to the byte and to the packet.

    async with FaultyUpstream() as upstream:
        upstream.streams(chunk("Hel"), chunk("lo"), Cut)
        ...
        assert upstream.requests[0].json["model"] == "echo"

Each of `answers`, `streams`, `raw`, `hangs`, `resets_after` scripts one request, in order; the last one stays for
all that follow. What comes above the socket (statuses, wrong JSON, lies) the echo model can do too: docs/echo.md.
"""

import asyncio
import socket
import ssl
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Self

import orjson

from tests.faulty_connection import Connection, Received, Script
from tests.told import (
    DONE,
    Cut,
    End,
    Hang,
    Item,
    Json,
    Pause,
    Repeated,
    Reset,
    Torn,
    chunk,
    completion,
    counts,
    error,
    event,
    finishes,
    framed,
    head,
    usage,
    written_head,
)

__all__ = [
    "DONE",
    "Cut",
    "End",
    "FaultyUpstream",
    "Hang",
    "Pause",
    "Received",
    "Repeated",
    "Reset",
    "Torn",
    "chunk",
    "closed_port",
    "completion",
    "counts",
    "error",
    "event",
    "head",
    "usage",
]


_UNTOLD = error("The test told this upstream no answer.")


class FaultyUpstream:
    """Listens on 127.0.0.1 at a free port from entry to exit; by TLS where it is given a context for that."""

    def __init__(self, *, tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls
        self.requests: list[Received] = []
        self.connections = 0
        """How many were accepted, whether or not a request came."""
        self._scripts: deque[Script] = deque([_json_script(_UNTOLD, 500, {})])
        self._untold = True
        self._tasks: set[asyncio.Task[None]] = set()
        self._news = asyncio.Condition()
        self._server: asyncio.Server | None = None

    @property
    def port(self) -> int:
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    @property
    def base_url(self) -> str:
        return f"http{'s' if self._tls else ''}://127.0.0.1:{self.port}/v1"

    def answers(self, value: Json, *, status: int = 200, headers: Mapping[str, str] | None = None) -> None:
        """Answer `value` whole."""
        self._tell(_json_script(value, status, headers or {}))

    def streams(self, *items: Json | Item | str, headers: Mapping[str, str] | None = None) -> None:
        """Answer a stream of events: payloads (dict), words (str), raw bytes, pauses, events of the test, an end.

        Without an end among them, a finish chunk (where none has a finish reason) and `[DONE]` are added.
        """
        told = {"content-type": "text/event-stream; charset=utf-8", "transfer-encoding": "chunked"}
        body = [framed(item) for item in items]
        if not any(isinstance(item, End) for item in items):
            body += [] if any(map(finishes, items)) else [event(chunk(finish="stop"))]
            body += [DONE]
        self._tell(Script((written_head(200, told | dict(headers or {})), *body), chunked=True, keeps_open=True))

    def raw(self, *items: Item) -> None:
        """Send exactly these bytes, status line and all, then FIN unless an end says otherwise."""
        self._tell(Script(items))

    def hangs(self) -> None:
        """Take the request and never answer."""
        self._tell(Script((Hang,)))

    def resets_after(self, number: int) -> None:
        """Reset the connection once `number` bytes of the request have come: 0 is at once."""
        self._tell(Script(reset_after=number))

    def endless_header(self, megabytes: int = 1024) -> None:
        line = b"x-endless: " + b"x" * 1011 + b"\r\n"
        self._tell(Script((b"HTTP/1.1 200 OK\r\n", Repeated(line, megabytes * 1024))))

    def forget(self) -> None:
        """Be as new: nothing told, nothing received."""
        self._scripts.clear()
        self._scripts.append(_json_script(_UNTOLD, 500, {}))
        self._untold = True
        self.requests.clear()
        self.connections = 0

    async def received(self, number: int = 1) -> Received:
        """The request of this number, counted from 1, as soon as it has come in full."""
        async with self._news:
            await self._news.wait_for(lambda: len(self.requests) >= number)
        return self.requests[number - 1]

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accepted, "127.0.0.1", 0, ssl=self._tls)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    def _tell(self, script: Script) -> None:
        if self._untold:
            self._scripts.clear()
            self._untold = False
        self._scripts.append(script)

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            await Connection(self, reader, writer).serve()
        except asyncio.CancelledError:
            # The end of the test: asyncio would log the cancellation of its own callback as an error.
            writer.transport.abort()
        except ConnectionError:
            writer.transport.abort()

    def upcoming(self) -> Script:
        """The script of the request that comes next."""
        return self._scripts[0]

    async def note(self, request: Received) -> Script:
        """Log `request`; its script."""
        script = self._scripts.popleft() if len(self._scripts) > 1 else self._scripts[0]
        async with self._news:
            self.requests.append(request)
            self._news.notify_all()
        return script


@contextmanager
def closed_port() -> Iterator[int]:
    """A port of 127.0.0.1 that refuses connections: bound, so that nobody else takes it, and not listening."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


def _json_script(value: Json, status: int, headers: Mapping[str, str]) -> Script:
    body = orjson.dumps(value)
    told = {"content-type": "application/json", "content-length": str(len(body))} | dict(headers)
    return Script((written_head(status, told) + body,), keeps_open=True)
