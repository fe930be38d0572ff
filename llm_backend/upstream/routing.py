"""Where a request goes: whom of several to ask first, and whom after a failure."""

from collections.abc import Callable, Iterable, Sequence
from hashlib import blake2b
from math import log
from random import random
from typing import NamedTuple

from llm_backend.errors import (
    InvalidRequest,
    LLMBackendError,
    Overloaded,
    UpstreamFailed,
    UpstreamRejected,
    UpstreamTimedOut,
)
from llm_backend.upstream.models import Model
from llm_backend.upstream.upstream import Upstream

CONTEXT, CONTENT = "context", "content"

REFUSALS = {
    "context_length_exceeded": CONTEXT,
    "string_above_max_length": CONTEXT,
    "content_filter": CONTENT,
    "content_policy_violation": CONTENT,
    "moderation_blocked": CONTENT,
    "responsible_ai_policy_violation": CONTENT,
}
"""The codes of refusals that another model may not make, by what they are of."""

ELSEWHERE = frozenset({"rate_limit_exceeded", "model_not_found"})
"""The codes of refusals that are no fault of the request."""

StickyKey = Callable[[], bytes | None]
"""What requests have in common that are best answered by the same upstream; None where there is nothing."""


class Route(NamedTuple):
    """Where one request goes."""

    upstream: Upstream
    upstream_model: str
    """What the model is called there."""
    public_model: str
    """What the caller called it."""
    model: Model | None
    """What is configured of it; None where the upstreams' own lists are served."""

    @property
    def is_renamed(self) -> bool:
        """Whether answers must say `public_model` in place of what the upstream says."""
        return self.upstream_model != self.public_model

    @property
    def answering_model(self) -> str:
        """Who answers, by its own name here, whatever it was asked for by."""
        return self.model.name if self.model else self.upstream_model

    @property
    def configured_name(self) -> str:
        """Under which its price and limits stand: a wildcard's where that is what is configured."""
        return self.model.configured_name if self.model else self.upstream_model

    @property
    def output_cap_field(self) -> str:
        """Where a chat's limit of output is written."""
        own = self.model.output_cap_field if self.model else None
        return own or self.upstream.manner.output_cap_field

    @property
    def is_promising(self) -> bool:
        """Whether it is worth asking now."""
        return self.upstream.lets_through and not self.upstream.rests.hold(self.upstream_model)


class Plan:
    """Where one request may go, the best first. What became of an attempt decides where the next one goes."""

    def __init__(self, routes: Sequence[Route]) -> None:
        """At least one route: those of the model that was asked for, then those of its fallbacks."""
        self._asked = routes[0].model
        # Stable: what is not worth asking now comes last, and is asked where all else failed.
        self._waiting = sorted(routes, key=lambda route: not route.is_promising)
        self._tried = 1
        self._go(self._waiting[0])

    def only_at(self, upstream: str) -> "Plan":
        """The same without those who do not have what the request names. Raises InvalidRequest where nobody is left."""
        there = [route for route in (self.route, *self._waiting) if route.upstream.name == upstream]
        if not there:
            message = "What the request names is kept by another upstream than the one that has the model."
            raise InvalidRequest(message, param="model")
        return Plan(there)

    def after(self, error: LLMBackendError, *, remaining_seconds: float, opened: bool = False) -> float | None:
        """Decide on the next attempt, after one that failed by `error`: seconds until it, or None where there is none.

        `opened`: an answer had begun, though nothing of it was of use; the same upstream is not asked again then.
        """
        is_late = remaining_seconds <= 0
        if isinstance(error, Overloaded):
            # The circuit let nothing through: there was no attempt.
            return self._moved([] if is_late else self._waiting)
        if not isinstance(error, UpstreamFailed):
            return None
        self.route.upstream.rests.note(error, self.route.upstream_model)
        reason = REFUSALS.get(error.code or "") if isinstance(error, UpstreamRejected) else None
        if reason is None:
            elsewhere = [] if is_late or not _is_for_another(error, opened=opened) else self._waiting
            return self._after_failure(error, remaining_seconds, elsewhere, opened=opened)
        if is_late or self._asked is None or reason not in self._asked.fallback_on:
            return None
        # What is wrong with the request for one model is so wherever that is served.
        self._waiting = self._of_others()
        return self._moved(self._waiting)

    def passes_over(self) -> bool:
        """Go on without asking the model at hand, where it only stands in; False where nobody is left."""
        if self._asked is None or self.route.answering_model == self._asked.name:
            return False
        self._waiting = self._of_others()
        return self._moved(self._waiting) is not None

    def _of_others(self) -> list[Route]:
        """What waits of other models than the one at hand."""
        return [route for route in self._waiting if not _is_same(route, self.route)]

    def _after_failure(
        self, error: UpstreamFailed, remaining_seconds: float, elsewhere: Sequence[Route], *, opened: bool
    ) -> float | None:
        """Ask the same model elsewhere, else here again, else another one."""
        retries, tried = self.route.upstream.retries, self._tried
        twins = [route for route in elsewhere if _is_same(route, self.route) and route.is_promising]
        if twins:
            if retries.elsewhere(tried):
                return self._moved(twins)
            tried += 1
        if not opened and (self.route.is_promising or not elsewhere):
            delay = retries.delay_before(error, tried, remaining_seconds=remaining_seconds)
            if delay is not None:
                self._tried += 1
                return delay
            tried += 1
        return self._moved(elsewhere) if elsewhere and retries.elsewhere(tried) else None

    def _moved(self, routes: Sequence[Route]) -> float | None:
        """Go to the first of these, at once; None where there is none."""
        if not routes:
            return None
        self._go(routes[0])
        return 0.0

    def _go(self, route: Route) -> None:
        self._waiting.remove(route)
        self.route = route
        self._tried = 1


def preferred(weighted: Iterable[tuple[Route, int]], sticky: StickyKey) -> list[Route]:
    """Order the routes of one model, the first to be asked first: each first as often as its weight says.

    What has a sticky key goes the same way as long as that is open, and where a route is taken away only its own part
    of the keys goes other ways (rendezvous hashing).
    """
    routes = list(weighted)
    if len(routes) == 1:
        return [routes[0][0]]
    key = sticky()

    def rank(each: tuple[Route, int]) -> float:
        route, weight = each
        return -log(_drawn(key, route)) / weight

    return [route for route, _ in sorted(routes, key=rank)]


def _drawn(key: bytes | None, route: Route) -> float:
    """Draw a number above 0 and up to 1: by chance, or always the same for this key and route."""
    if key is None:
        return 1.0 - random()  # noqa: S311 (nobody gains by guessing who answers)
    names = f"\0{route.upstream.name}\0{route.upstream_model}".encode("utf-8", "surrogatepass")
    return (int.from_bytes(blake2b(key + names, digest_size=8).digest()) + 1) / 2**64


def _is_same(route: Route, other: Route) -> bool:
    """Whether both serve one model."""
    return route.answering_model == other.answering_model


def _is_for_another(error: UpstreamFailed, *, opened: bool) -> bool:
    """Whether another upstream may be asked after `error`: surely nothing was worked on, or nothing of use came.

    Who was silent for too long may still be working, and will be paid.
    """
    if isinstance(error, UpstreamRejected):
        return error.code in ELSEWHERE
    return not isinstance(error, UpstreamTimedOut) and (opened or not error.outcome_unknown)
