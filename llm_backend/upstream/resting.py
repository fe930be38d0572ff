"""Whom not to ask for a moment, where somebody else can answer: less than an open circuit, which refuses everyone."""

from collections.abc import Callable
from time import monotonic

from llm_backend.errors import UpstreamAuthFailed, UpstreamBroken, UpstreamFailed, UpstreamRejected, UpstreamUnreachable

REST_SECONDS = 5.0
"""Where the upstream itself names no time."""

WHOLE = ""
"""Stands for all models of an upstream."""


class Rests:
    """How long an upstream is left out, as a whole or for a model: limits are those of models, mostly."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        """`clock` counts seconds and never goes back."""
        self._clock = clock
        self._until: dict[str, float] = {}

    def note(self, error: UpstreamFailed, model: str) -> None:
        """Leave it out where `error`, in answer to a request for `model`, speaks against asking again soon."""
        if isinstance(error, UpstreamRejected) and error.code == "rate_limit_exceeded":
            self._rest(model, error.retry_after_seconds)
        elif isinstance(error, UpstreamUnreachable | UpstreamAuthFailed) and not error.outcome_unknown:
            self._rest(WHOLE, None)
        elif isinstance(error, UpstreamBroken) and error.retry_after_seconds:
            self._rest(WHOLE, error.retry_after_seconds)

    def hold(self, model: str) -> bool:
        """Whether it is left out now, for `model`."""
        if not self._until:
            return False
        now = self._clock()
        return any(self._until.get(name, now) > now for name in (WHOLE, model))

    def _rest(self, name: str, seconds: float | None) -> None:
        now = self._clock()
        # What is over is forgotten here: names of models are the clients' to choose, and have no end.
        self._until = {each: until for each, until in self._until.items() if until > now}
        self._until[name] = max(self._until.get(name, now), now + (REST_SECONDS if seconds is None else seconds))
