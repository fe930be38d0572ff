"""One connection before there is a request: bounded in bytes, in time and in number, whatever the parser behind."""

import asyncio
import re
from collections import Counter
from http import HTTPStatus
from secrets import token_hex
from typing import Any

import structlog
from uvicorn.protocols.http.flow_control import FlowControl

from llm_backend.edge import head, problems
from llm_backend.edge.departures import DEPARTURE, Departure
from llm_backend.edge.replying import OPENAI_VERSION
from llm_backend.edge.serving import ConnectionLimits
from llm_backend.errors import HeadersTooLarge, InvalidRequest, LLMBackendError

_HEAD_LIMIT = head.HEADER_BYTES_LIMIT + head.URL_BYTES_LIMIT + 1024

# Line ends that some readers take for one and some for none, folded lines, and control characters.
# A CR at the very end may be half of a line end.
_AMBIGUOUS = re.compile(rb"(?<!\r)\n|\r(?!\n|\Z)|\n[ \t]|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_TWO_LENGTHS = re.compile(rb"\ncontent-length:[^\r]*(?:,|\r(?s:.*)\ncontent-length:)", re.IGNORECASE)
_ENDS = re.compile(rb"\r\n\r\n|\n\n|\n\r\n")
_CONTROLS = bytes({*range(0x20), 0x7F} - {*b"\t\r\n"})


class Addresses:
    """Counts the connections of each client address."""

    def __init__(self, limit: int | None) -> None:
        self._limit = limit
        self._open: Counter[str] = Counter()

    def enter(self, address: str) -> bool:
        """Count one more; False where it is one too many."""
        self._open[address] += 1
        return self._limit is None or self._open[address] <= self._limit

    def leave(self, address: str) -> None:
        """Count one less."""
        self._open[address] -= 1
        if not self._open[address]:
            del self._open[address]


class Head:
    """The bytes of one request's head as they come in."""

    def __init__(self) -> None:
        self._seen = bytearray()

    def take(self, data: bytes) -> bool:
        """Look at the next bytes; True where the head ends in them. Raises HeadersTooLarge, InvalidRequest."""
        if not self._seen and _is_ordinary(data):
            return True
        start = max(0, len(self._seen) - 3)
        self._seen += data
        if not start:
            self._seen = self._seen.lstrip(b"\r\n")  # an empty line before the request is usual and harmless
        end = _ENDS.search(self._seen, start)
        if _AMBIGUOUS.search(self._seen, start, end.end() if end else len(self._seen)):
            raise InvalidRequest("The request's head has line ends or bytes that are not read here.")
        if end and _TWO_LENGTHS.search(self._seen, 0, end.end()):
            raise InvalidRequest("The body's length is told twice.")  # h11 would make one of two equal ones
        if end is None and len(self._seen) > _HEAD_LIMIT:
            raise HeadersTooLarge(head.TOO_LARGE)
        return end is not None


def _is_ordinary(data: bytes) -> bool:
    """Whether a whole head stands in `data` in which nothing is ambiguous: so with nearly all, and told much faster."""
    end = data.find(b"\r\n\r\n") + 2
    text = data[:end]
    lines = text.count(b"\r\n")
    return (
        0 < lines == text.count(b"\n") == text.count(b"\r")
        and data[0] > 0x20  # noqa: PLR2004 (neither an empty line nor a folded one)
        and b"\n " not in text
        and b"\n\t" not in text
        and len(text.translate(None, _CONTROLS)) == end
        and not _TWO_LENGTHS.search(text)
    )


class Watch:
    """The deadlines and the refusals of one connection."""

    def __init__(self, loop: asyncio.AbstractEventLoop, limits: ConnectionLimits, addresses: Addresses) -> None:
        self.is_refused = False
        self._loop = loop
        self._limits = limits
        self._addresses = addresses
        self._address: str | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._head: Head | None = Head()
        self._transport: asyncio.Transport | None = None
        self._unread = 0
        self._reading: asyncio.TimerHandle | None = None

    def begin(self, transport: asyncio.Transport) -> None:
        """Start when the connection is made: the first head has to come within its time."""
        self._transport = transport
        peer = transport.get_extra_info("peername")
        self._address = peer[0] if isinstance(peer, tuple) else "local"
        if not self._addresses.enter(self._address):
            self.is_refused = True
            transport.abort()
            return
        self.expect_head()

    def end(self) -> None:
        """Forget the connection."""
        self.forget_head()
        self.forget_reader()
        if self._address is not None:
            self._addresses.leave(self._address)

    def expect_head(self) -> None:
        """Give the head its time, counted once from its first byte: a byte now and then does not prolong it."""
        if self._timer is None:
            self._timer = self._loop.call_later(self._limits.head_seconds, self._too_slow)

    def forget_head(self) -> None:
        """Stop the clock: the head is complete."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def expect_reading(self) -> None:
        """Give the client its time to read some of what waits for it; the rest of the answer is not written before."""
        if self._transport is not None:
            self._unread = self._transport.get_write_buffer_size()
            self._reading = self._loop.call_later(self._limits.stall_seconds, self._look_at_reader)

    def forget_reader(self) -> None:
        """Stop the clock: the client reads."""
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None

    def look(self, data: bytes, *, fresh: bool) -> LLMBackendError | None:
        """Judge bytes before the parser sees them; `fresh` where they begin or go on with a head."""
        if not fresh:
            self._head = None
            return None
        self._head = self._head or Head()
        try:
            if self._head.take(data):
                self._head = None
        except InvalidRequest as error:
            return error
        return None

    def refuse(self, error: LLMBackendError) -> None:
        """Answer, listen for a moment more, and close: a close with bytes unread would destroy the answer."""
        if self.is_refused or self._transport is None:
            return
        self.is_refused = True
        self.forget_head()
        request_id = f"req_{token_hex(16)}"
        self._transport.write(_written(error, request_id))
        if self._transport.can_write_eof():
            self._transport.write_eof()
        self._loop.call_later(self._limits.linger_seconds, self._transport.close)
        log = structlog.get_logger("llm_backend.access")
        log.info("refused", request_id=request_id, status=problems.status_of(error), error=error.code)

    def _look_at_reader(self) -> None:
        if self._transport is not None and self._transport.get_write_buffer_size() < self._unread:
            self.expect_reading()
        elif self._transport is not None:
            self._transport.abort()  # a close would wait for the very reader that does not read

    def _too_slow(self) -> None:
        self._timer = None
        if self._transport is not None:
            self._transport.close()


def _written(error: LLMBackendError, request_id: str) -> bytes:
    response = problems.render(error, request_id)
    lines: list[tuple[bytes, Any]] = [
        *response.raw_headers,
        (b"openai-version", OPENAI_VERSION.encode()),
        (b"openai-processing-ms", b"0"),
        (b"x-content-type-options", b"nosniff"),
        (b"connection", b"close"),
    ]
    status = HTTPStatus(response.status_code)
    first = f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode()
    return first + b"".join(name + b": " + value + b"\r\n" for name, value in lines) + b"\r\n" + bytes(response.body)


class Watched(asyncio.Protocol):
    """What both parsers' protocols tell the watch in the same way; stands before uvicorn's class."""

    _watch: Watch

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # uvicorn narrows it too
        super().connection_made(transport)
        self._watch.begin(transport)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch.expect_reading()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._watch.forget_reader()


def expect_departure(scope: Any, flow: FlowControl) -> None:
    """Have a request know when its client goes; `scope` is the server's own, before the application sees it."""
    scope[DEPARTURE] = Departure(flow.resume_reading)


def departed(scope: Any) -> None:
    """Tell a request that its client has gone."""
    departure: Departure = scope[DEPARTURE]
    departure.happen()
