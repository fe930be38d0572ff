"""How long an upstream may take, and one timer an answer that holds it to that."""

import asyncio
from dataclasses import dataclass
from types import TracebackType

from llm_backend.errors import UpstreamTimedOut


@dataclass(frozen=True, slots=True)
class Timeouts:
    """All in seconds. `connect` is the transport's; the others hold for every transport."""

    connect: float = 5.0
    first_byte: float = 600.0
    """To the status line of a whole answer: the upstream computes all of it first."""
    first_byte_streamed: float = 120.0
    idle: float = 120.0
    """Between two pieces of a body."""
    total: float = 600.0
    total_streamed: float = 3600.0

    def to_first_byte(self, *, stream: bool) -> float:
        return self.first_byte_streamed if stream else self.first_byte

    def to_end(self, *, stream: bool) -> float:
        return self.total_streamed if stream else self.total


def timed_out(message: str) -> UpstreamTimedOut:
    """Of a request that the upstream has: it may be worked on and paid for, so nobody sends it again by itself."""
    return UpstreamTimedOut(message, outcome_unknown=True, should_retry=False)


class Watch:
    """Interrupts whoever waits within it when nothing came for `idle` seconds, or the end is due.

    `with watch:` around each wait costs two clock readings and no timer: one handle of the loop looks now and
    then at when the running wait began. Time in which nobody waits is the reader's own and does not count as idle.
    """

    def __init__(self, *, idle: float, end: float) -> None:
        """`end` by the running loop's clock."""
        self._loop = asyncio.get_running_loop()
        self._idle = idle
        self._end = end
        self._waiter: asyncio.Task[object] | None = None
        self._since = self._loop.time()
        self._interrupted = False
        self._cancelling = 0
        self._handle: asyncio.TimerHandle | None = self._loop.call_at(min(self._since + idle, end), self._look)

    def stop(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def __enter__(self) -> None:
        """Begin a wait. Raises UpstreamTimedOut where the end has passed meanwhile."""
        self._since = self._loop.time()
        if self._since >= self._end:
            raise timed_out("The upstream's answer took too long.")
        self._waiter = asyncio.current_task()
        self._cancelling = 0 if self._waiter is None else self._waiter.cancelling()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        waiter, self._waiter = self._waiter, None
        if not self._interrupted or waiter is None:
            return
        self._interrupted = False
        # Somebody else's cancellation, asked for at the same moment, goes first: it is not ours to swallow.
        if waiter.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            is_late = self._loop.time() >= self._end
            message = "The upstream's answer took too long." if is_late else "The upstream stopped answering."
            raise timed_out(message) from error

    def _look(self) -> None:
        now = self._loop.time()
        since = now if self._waiter is None else self._since
        due = min(since + self._idle, self._end)
        if due > now:
            self._handle = self._loop.call_at(due, self._look)
            return
        self._handle = None
        if self._waiter is not None:
            self._interrupted = True
            self._waiter.cancel()
