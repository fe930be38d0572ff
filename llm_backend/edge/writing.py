"""One answer on its way to the connection: as uvicorn would write it, in fewer steps and fewer packets."""

import re
from functools import lru_cache

from starlette.types import Message
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

_CONTROLS = bytes({*range(0x20), 0x7F} - {*b"\t"})
_WITHOUT_BODY = frozenset({204, 304})
_LAST_CHUNK = b"0\r\n\r\n"
_NAME = re.compile(rb"[a-z0-9!#$%&'*+.^_`|~-]+")

Headers = list[tuple[bytes, bytes]]


class Writing:
    """Takes the application's messages in place of the server's `cycle`, whose state it keeps for the server.

    A head that tells the body's length goes out together with the body's first bytes.
    """

    __slots__ = ("_cycle", "_has_length", "_held", "_is_chunked", "_is_silent", "_left", "bytes_taken")

    def __init__(self, cycle: RequestResponseCycle) -> None:
        self._cycle = cycle
        self._held = b""
        self._has_length = False
        self._left = 0
        self._is_chunked = False
        self._is_silent = False
        self.bytes_taken = 0

    def take(self, block: bytes) -> bool:
        """Write `block` as `send` would: `Outlet` of `outlets`, within a body that goes out in chunks."""
        cycle = self._cycle
        if not self._is_chunked or cycle.flow.write_paused or cycle.response_complete or cycle.transport.is_closing():
            return False
        if not block:
            return False  # an empty chunk would be the last
        cycle.transport.write(b"%x\r\n%b\r\n" % (len(block), block))
        self.bytes_taken += len(block)
        return True

    async def send(self, message: Message) -> None:
        """Write `message` once the connection takes more; nothing where it is gone.

        Raises RuntimeError for what is no answer of HTTP: messages out of order, a wrong length, a broken header.
        """
        cycle = self._cycle
        if cycle.flow.write_paused and not cycle.disconnected:
            await cycle.flow.drain()
        if cycle.disconnected:
            return
        kind = message["type"]
        if kind == "http.response.start" and not cycle.response_started:
            self._begin(message["status"], message["headers"])
        elif kind == "http.response.body" and cycle.response_started and not cycle.response_complete:
            self._go_on(message.get("body", b""), is_last=not message.get("more_body", False))
        else:
            raise RuntimeError(f"{kind} out of order.")

    def _begin(self, status: int, headers: Headers) -> None:
        cycle = self._cycle
        cycle.response_started = True
        cycle.waiting_for_100_continue = False
        named = dict(headers)
        if not all(map(_is_name, named)):
            raise RuntimeError("A header has no name of HTTP in lower case.")
        self._measure(status, named.get(b"content-length"))
        lines = [*map(b": ".join, cycle.default_headers), *map(b": ".join, headers)]
        if named.get(b"connection") == b"close":
            cycle.keep_alive = False
        elif not cycle.keep_alive:
            lines.append(b"connection: close")
        if self._is_chunked:
            lines.append(b"transfer-encoding: chunked")
        if len(b"".join(lines).translate(None, _CONTROLS)) != sum(map(len, lines)):
            raise RuntimeError("A header's value has control characters.")
        head = b"%b%b\r\n\r\n" % (STATUS_LINE[status], b"\r\n".join(lines))
        if self._has_length:
            self._held = head
        else:
            cycle.transport.write(head)

    def _measure(self, status: int, length: bytes | None) -> None:
        """Settle how the client finds the end of the body."""
        cycle = self._cycle
        self._is_silent = cycle.scope["method"] == "HEAD" or status in _WITHOUT_BODY
        if self._is_silent or length is not None:
            self._has_length = True
            self._left = 0 if self._is_silent else int(length or b"0")
        elif cycle.scope["http_version"] == "1.0":
            cycle.keep_alive = False  # it knows no chunks: the body ends with its connection
        else:
            self._is_chunked = True

    def _go_on(self, body: bytes, *, is_last: bool) -> None:
        cycle = self._cycle
        if self._has_length:
            self._write_measured(b"" if self._is_silent else body, is_last=is_last)
        elif self._is_chunked:
            data = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
            cycle.transport.write(data + _LAST_CHUNK if is_last else data)
        else:
            cycle.transport.write(body)
        if is_last:
            cycle.response_complete = True
            cycle.message_event.set()
            if not cycle.keep_alive:
                cycle.transport.close()
            cycle.on_response()

    def _write_measured(self, body: bytes, *, is_last: bool) -> None:
        self._left -= len(body)
        if self._left < 0 or (is_last and self._left):
            raise RuntimeError("The body is not as long as its head says.")
        head, self._held = self._held, b""
        self._cycle.transport.writelines((head, body) if head else (body,))


@lru_cache(maxsize=1024)
def _is_name(name: bytes) -> bool:
    return _NAME.fullmatch(name) is not None
