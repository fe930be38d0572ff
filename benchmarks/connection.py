"""One client's connection: asks, reads the answer and judges it."""

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from itertools import cycle, islice
from typing import Protocol, cast

import httptools

from benchmarks import answers
from benchmarks.answers import Stream

OK = 200


class Phase:
    """So many requests, which the connections share, and what came of them."""

    def __init__(self, requests: list[bytes], number: int, stream: Stream | None, connections: int) -> None:
        """`requests`: as they are written, used in turn."""
        self.stream = stream
        self._next: Iterator[bytes] = islice(cycle(requests), number)
        self._number = number
        self._connections = connections
        self._begun = 0
        self.all_begun = asyncio.Event()
        """Whether so many answers have begun as there are connections."""
        self.latencies_ns: list[int] = []
        self.firsts_ns: list[int] = []
        self.chunks = 0
        self.failures: Counter[str] = Counter()

    def take(self) -> bytes | None:
        """The next request; None where all were taken."""
        return next(self._next, None)

    def begin(self) -> None:
        """Note that an answer's body has begun."""
        self._begun += 1
        if self._begun == self._connections:
            self.all_begun.set()

    def fail(self, fault: str) -> None:
        self.failures[fault] += 1

    def finish(self, status: int, body: bytes, latency_ns: int, first_ns: int) -> None:
        """Judge an answer that came to its end."""
        fault = self._fault(status, body)
        if fault is not None:
            self.fail(fault)
            return
        self.latencies_ns.append(latency_ns)
        self.firsts_ns.append(first_ns)
        self.chunks += self.stream.chunks if self.stream else 0

    def end(self) -> None:
        """Count as failures the requests of which nothing was heard."""
        self.all_begun.set()
        if missing := self._number - len(self.latencies_ns) - self.failures.total():
            self.failures["no answer in time"] += missing

    def _fault(self, status: int, body: bytes) -> str | None:
        if status != OK:
            return f"status {status}"
        return answers.fault_of_stream(body, self.stream) if self.stream else answers.fault_of_whole(body)


class _Parser(Protocol):
    """What is used of httptools' parser."""

    def feed_data(self, data: bytes) -> None: ...
    def get_status_code(self) -> int: ...
    def should_keep_alive(self) -> bool: ...


class Connection(asyncio.Protocol):
    """Kept alive from request to request, and from phase to phase."""

    def __init__(self) -> None:
        self._parser: _Parser = httptools.HttpResponseParser(self)
        self._phase: Phase | None = None
        self._left: asyncio.Future[None] | None = None
        self._body: list[bytes] = []
        self._asked_ns = 0
        self._first_ns = 0
        self.is_open = True
        self.closed = asyncio.Event()

    async def work(self, phase: Phase) -> None:
        """Ask until nothing is left to be asked, or the connection has ended."""
        self._left = asyncio.get_running_loop().create_future()
        self._ask(phase)
        try:
            await self._left
        finally:
            if self._phase is not None:  # given up
                self.close()

    def close(self) -> None:
        """At once, whatever was still to come."""
        self._phase = None
        self._transport.abort()

    def _ask(self, phase: Phase) -> None:
        request = phase.take() if self.is_open else None
        if request is None:
            self._leave()
            return
        self._phase, self._body, self._first_ns = phase, [], 0
        self._asked_ns = time.perf_counter_ns()
        self._transport.write(request)

    def _leave(self) -> None:
        if self._left is not None and not self._left.done():
            self._left.set_result(None)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._fail("not HTTP")
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_open = False
        self._fail("connection lost" if exc is None else type(exc).__name__)
        self._leave()
        self.closed.set()

    def _fail(self, fault: str) -> None:
        if self._phase is not None:
            self._phase.fail(fault)
            self._phase = None

    # Called by the parser.

    def on_body(self, piece: bytes) -> None:
        if not self._first_ns and self._phase is not None:
            self._first_ns = time.perf_counter_ns()
            self._phase.begin()
        self._body.append(piece)

    def on_message_complete(self) -> None:
        phase, self._phase = self._phase, None
        if phase is None:
            return
        now = time.perf_counter_ns()
        first_ns = (self._first_ns or now) - self._asked_ns
        phase.finish(self._parser.get_status_code(), b"".join(self._body), now - self._asked_ns, first_ns)
        if self._parser.should_keep_alive():
            self._ask(phase)
        else:
            self.is_open = False
            self.close()
