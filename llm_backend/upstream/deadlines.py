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
    """Interrupts whoever waits within it when an answer does not begin, nothing came for a while, or the end is due.

    `with watch:` around each wait costs two clock readings and no timer: one handle of the loop looks now and
    then at when the running wait began. Time in which nobody waits is the reader's own and does not count as idle.
    """

    def __init__(self, *, first: float | None = None, idle: float, end: float) -> None:
        """`first` and `idle` in seconds, `end` by the running loop's clock. None: the answer has begun."""
        self._loop = asyncio.get_running_loop()
        self._is_begun = first is None
        self._patience = idle if first is None else first
        self._idle = idle
        self._end = end
        self._waiter: asyncio.Task[object] | None = None
        self._since = 0.0
        self._interrupted = False
        self._cancelling = 0
        self._handle: asyncio.TimerHandle | None = None
        self._looks_at = end

    def begun(self) -> None:
        """The answer has: from now on its pieces are waited for."""
        self._is_begun = True
        self._patience = self._idle

    def stop(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def __enter__(self) -> None:
        """Begin a wait. Raises UpstreamTimedOut where the end has passed meanwhile."""
        self._since = self._loop.time()
        if self._since >= self._end:
            raise timed_out(self._told(self._since))
        # By its loop: without, Python 3.11 asks the system for the process's number each time.
        self._waiter = asyncio.current_task(self._loop)
        self._cancelling = 0 if self._waiter is None else self._waiter.cancelling()
        due = self._since + self._patience
        if self._handle is None or due < self._looks_at:
            self.stop()
            self._look_at(min(due, self._end))

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        waiter, self._waiter = self._waiter, None
        if not self._interrupted or waiter is None:
            return
        self._interrupted = False
        # Somebody else's cancellation, asked for at the same moment, goes first: it is not ours to swallow.
        if waiter.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise timed_out(self._told(self._loop.time())) from error

    def _told(self, now: float) -> str:
        """What has gone on for too long."""
        if not self._is_begun:
            return "The upstream did not answer in time."
        return "The upstream's answer took too long." if now >= self._end else "The upstream stopped answering."

    def _look_at(self, due: float) -> None:
        self._looks_at = due
        self._handle = self._loop.call_at(due, self._look)

    def _look(self) -> None:
        now = self._loop.time()
        since = now if self._waiter is None else self._since
        due = min(since + self._patience, self._end)
        if due > now:
            self._look_at(due)
            return
        self._handle = None
        if self._waiter is not None:
            self._interrupted = True
            self._waiter.cancel()
