"""A stand-in upstream that costs next to nothing: `python -m benchmarks.upstream PORT` serves until it is ended.

Its answers are prepared. Of a request it looks for the end, and for the stream that it asks for.
"""

import asyncio
import gc
import re
import sys
from functools import cache
from typing import cast

import uvloop

from benchmarks import answers

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_STREAM_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


@cache
def _whole(body: bytes) -> bytes:
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
    return head % len(body) + body


@cache
def _parts(stream: answers.Stream) -> tuple[bytes, ...]:
    """What is written of a stream, each with its event: the last ends the answer."""
    events = answers.events(stream.chunks, has_usage=stream.has_usage)
    first, *further = (b"%x\r\n%b\r\n" % (len(event), event) for event in events)
    *further, last = further
    return (_STREAM_HEAD + first, *further, last + b"0\r\n\r\n")


class StandIn(asyncio.Protocol):
    """One connection, kept alive."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._received += data
        while (head := self._received.find(b"\r\n\r\n")) >= 0:
            length = _LENGTH.search(self._received, 0, head)
            end = head + 4 + (int(length[1]) if length else 0)
            if len(self._received) < end:
                return
            request, self._received = self._received[:end], self._received[end:]
            self._answer(request)

    def close(self) -> None:
        """Hang up."""
        self._transport.close()

    def _answer(self, request: bytes) -> None:
        if stream := answers.wished(request):
            self._send(_parts(stream), 0, self._loop.time(), stream.pace_ms / 1000)
            return
        body = answers.models() if request.startswith(b"GET ") else answers.whole()
        self._transport.write(_whole(body))

    def _send(self, parts: tuple[bytes, ...], number: int, begun: float, pace: float) -> None:
        """Write one part, and the next at its time: one part late makes no later one late."""
        if self._transport.is_closing():
            return
        self._transport.write(parts[number])
        number += 1
        if number == len(parts):
            return
        if pace:
            self._loop.call_at(begun + number * pace, self._send, parts, number, begun, pace)
        else:
            # Not in this turn of the loop, where all parts would go out as one.
            self._loop.call_soon(self._send, parts, number, begun, pace)


async def _serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(StandIn, "127.0.0.1", port, backlog=1024)
    sys.stdout.write(f"running on http://127.0.0.1:{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    # A collection would stop all streams at once, and there is nothing to collect.
    gc.disable()
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_serve(int(sys.argv[1])))
