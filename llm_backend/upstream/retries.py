"""When a failed attempt is made once more: rarely, soon, never where it could cost twice, and never as a storm."""

from collections.abc import Callable
from random import uniform

from llm_backend.errors import UpstreamFailed

MOST_RETRIES = 2
"""After the first attempt of one request."""

LONGEST_WAIT_SECONDS = 5
"""An upstream that asks for a longer pause is not tried again here: the client is told how long to wait."""

FIRST_DELAY_SECONDS = 0.25
"""The delay before the first retry; the second waits twice as long. Each is drawn from its upper half."""

RESERVE = 10.0
EARNED = 0.1
"""A bucket of ten retries, filled by a tenth with each request: over many requests at most 1.1 attempts each."""


class Retries:
    """The policy of one upstream; the loop is the caller's, since each attempt has a record of its own."""

    def __init__(self, jitter: Callable[[float, float], float] = uniform) -> None:
        """`jitter`: a number of seconds between two bounds."""
        self._jitter = jitter
        self._left = RESERVE

    def delay_before(self, error: UpstreamFailed, attempt: int, *, remaining_seconds: float) -> float | None:
        """Seconds to wait before the next attempt after `attempt` (1 is the first) failed by `error`.

        None where there is no next one. Where this server did all that may be done, `error` then tells the SDKs not to
        begin again themselves (`should_retry` False).
        """
        if attempt == 1:
            self._earn()
        if not error.retriable:
            return None
        delay = self._delay(error, attempt)
        if attempt > MOST_RETRIES or delay >= remaining_seconds or not self._spend():
            error.should_retry = False
            return None
        return delay

    def elsewhere(self, attempt: int) -> bool:
        """Whether an attempt may be made at another upstream at once, after `attempt` failed here."""
        if attempt == 1:
            self._earn()
        return self._spend()

    def _earn(self) -> None:
        self._left = min(RESERVE, self._left + EARNED)

    def _spend(self) -> bool:
        if self._left < 1:
            return False
        self._left -= 1
        return True

    def _delay(self, error: UpstreamFailed, attempt: int) -> float:
        """Draw a jittered, growing delay, or what the upstream asked for where that is longer."""
        longest = FIRST_DELAY_SECONDS * 2 ** (attempt - 1)
        asked = error.retry_after_seconds if error.upstream_status is not None else None
        return max(self._jitter(longest / 2, longest), float(asked or 0))
