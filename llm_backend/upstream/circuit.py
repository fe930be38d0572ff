"""Whether an upstream is worth asking: one that fails half the time is left alone for a while, then tried by one."""

from collections import deque
from collections.abc import Callable
from math import ceil
from time import monotonic

from llm_backend.errors import Overloaded, UpstreamAuthFailed, UpstreamBroken, UpstreamTimedOut, UpstreamUnreachable

WINDOW_SECONDS = 30.0
"""How far back outcomes count; of a busy upstream only the last hundred do."""

LEAST_OUTCOMES = 20
"""Fewer outcomes say nothing: a laptop's first mistakes do not open the circuit."""

FIRST_PAUSE_SECONDS = 5.0
LONGEST_PAUSE_SECONDS = 60.0
"""An open circuit pauses 5 s, then twice as long after each probe that failed, up to a minute."""

FAULTS = (UpstreamUnreachable, UpstreamTimedOut, UpstreamBroken, UpstreamAuthFailed)
"""What speaks against an upstream. A refusal or a strange answer may be the request's own doing."""


class Circuit:
    """Closed while at least half of what is asked succeeds; open: one probe a pause, everyone else is refused."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        """`clock` counts seconds and never goes back."""
        self._clock = clock
        self._outcomes: deque[tuple[float, bool]] = deque(maxlen=100)
        self._pause = FIRST_PAUSE_SECONDS
        self._probe_at: float | None = None
        self._probe: Attempt | None = None
        self.last_error: str | None = None
        """The code of the latest fault, until something succeeds."""

    @property
    def state(self) -> str:
        """`closed`, `open`, or `half_open` while a probe is under way."""
        if self._probe_at is None:
            return "closed"
        return "open" if self._probe is None else "half_open"

    @property
    def lets_through(self) -> bool:
        """Whether an attempt would be admitted now."""
        return self._probe_at is None or self._clock() >= self._probe_at

    def admit(self) -> "Attempt":
        """Begin an attempt, whose end must be told to it. Raises Overloaded while the circuit is open."""
        if self._probe_at is None:
            return Attempt(self)
        now = self._clock()
        if now < self._probe_at:
            wait = max(1, ceil(self._probe_at - now))
            raise Overloaded("The upstream is failing; it is left alone for a moment.", retry_after_seconds=wait)
        # The next probe may go a pause later even if this one never ends: a hanging probe must not hold the door shut.
        self._probe_at = now + self._pause
        self._probe = Attempt(self)
        return self._probe

    def ended(self, attempt: "Attempt", fault: Exception | None) -> None:
        """Count an attempt's end; while the circuit is open only its probe's counts."""
        if self._probe_at is not None:
            if attempt is self._probe:
                self._probed(fault)
            return
        now = self._clock()
        self._outcomes.append((now, fault is not None))
        if fault is None:
            self.last_error = None
        else:
            self._failed(now, fault)

    def abandoned(self, attempt: "Attempt") -> None:
        """Forget an attempt that ended without saying anything of the upstream: its client left."""
        if attempt is self._probe:
            self._probe = None
            self._probe_at = self._clock()

    def _failed(self, now: float, fault: Exception) -> None:
        self.last_error = getattr(fault, "code", None)
        while self._outcomes[0][0] < now - WINDOW_SECONDS:
            self._outcomes.popleft()
        failures = sum(is_fault for _, is_fault in self._outcomes)
        if len(self._outcomes) >= LEAST_OUTCOMES and failures * 2 >= len(self._outcomes):
            self._probe_at = now + self._pause

    def _probed(self, fault: Exception | None) -> None:
        self._probe = None
        if fault is None:
            self._outcomes.clear()
            self._pause = FIRST_PAUSE_SECONDS
            self._probe_at = self.last_error = None
            return
        self.last_error = getattr(fault, "code", None)
        self._pause = min(LONGEST_PAUSE_SECONDS, self._pause * 2)
        self._probe_at = self._clock() + self._pause


class Attempt:
    """One request let through by a circuit; of its ends the first counts."""

    __slots__ = ("_circuit", "_is_over")

    def __init__(self, circuit: Circuit) -> None:
        self._circuit = circuit
        self._is_over = False

    def succeeded(self) -> None:
        self._end(None)

    def failed(self, error: Exception) -> None:
        """End in `error`, which speaks against the upstream only where it is one of FAULTS."""
        self._end(error if isinstance(error, FAULTS) else None)

    def broke_off(self, error: Exception) -> None:
        """Count what became of the answer after the attempt had succeeded."""
        if isinstance(error, FAULTS):
            self._circuit.ended(self, error)

    def abandoned(self) -> None:
        if not self._is_over:
            self._is_over = True
            self._circuit.abandoned(self)

    def _end(self, fault: Exception | None) -> None:
        if not self._is_over:
            self._is_over = True
            self._circuit.ended(self, fault)
