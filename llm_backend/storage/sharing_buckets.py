"""Shared buckets while they answer, this process's share of every limit while they do not."""

from collections.abc import Awaitable, Callable, Sequence
from time import monotonic
from typing import TYPE_CHECKING, Final, TypeVar

import structlog

from llm_backend.storage.buckets import Buckets, BucketsAway, BucketsHere, State, Take, Taken

if TYPE_CHECKING:
    from llm_backend.storage.redis_buckets import RedisBuckets

FIRST_PAUSE_SECONDS: Final = 1.0
LONGEST_PAUSE_SECONDS: Final = 30.0
"""Buckets that did not answer are left alone for a second, then twice as long after each try, up to this."""

OWED_SECONDS: Final = 120
"""After so long nothing is owed any more: a bucket fills in a minute, a lease ends sooner."""

T = TypeVar("T")

log = structlog.get_logger("llm_backend.limits")


def make_buckets(redis_url: str | None, processes: int, *, fails_closed: bool) -> Buckets:
    """Those in Redis where there is one, else those of this process, which is one of `processes`."""
    alone = BucketsHere(processes=processes)
    if redis_url is None:
        return alone
    from llm_backend.storage.redis_buckets import RedisBuckets  # noqa: PLC0415 (loaded where it is used only)

    return SharingBuckets(RedisBuckets(redis_url), alone, fails_closed=fails_closed)


class SharingBuckets:
    """Asks the shared buckets; those of its own while they are away. What could not be settled is settled later."""

    def __init__(
        self,
        shared: "RedisBuckets",
        alone: BucketsHere,
        *,
        fails_closed: bool = False,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        """`fails_closed`: nothing is taken while the shared ones are away."""
        self._shared = shared
        self._alone = alone
        self._fails_closed = fails_closed
        self._clock = clock
        self._try_at: float | None = None
        self._pause = FIRST_PAUSE_SECONDS
        self._running: dict[str, tuple[Take, ...]] = {}
        self._owed: dict[str, tuple[float, tuple[Take, ...], int]] = {}

    @property
    def state(self) -> State:
        return "shared" if self._try_at is None else "degraded"

    async def take(self, request_id: str, takes: Sequence[Take]) -> Taken:
        """All of `takes`, or nothing. Raises BucketsAway where it fails closed."""
        if self._may_try() and (taken := await self._take_shared(request_id, tuple(takes))):
            return taken
        if self._fails_closed:
            raise BucketsAway
        return await self._alone.take(request_id, takes)

    async def settle(self, request_id: str, tokens: int) -> None:
        """Where it was taken: at once, or as soon as the shared buckets answer again."""
        if self._alone.holds(request_id):
            await self._alone.settle(request_id, tokens)
        elif takes := self._running.pop(request_id, None):
            self._owed[request_id] = (self._clock(), takes, tokens)
            if self._may_try():
                await self._ask(self._pay(request_id))

    async def renew(self) -> None:
        """Settle what is owed, and keep the slots of what runs; asks even where there is neither: do they answer?"""
        oldest = self._clock() - OWED_SECONDS
        self._owed = {request_id: debt for request_id, debt in self._owed.items() if debt[0] > oldest}
        if self._may_try():
            await self._ask(self._catch_up())

    async def close(self) -> None:
        """Let go of the connections."""
        await self._shared.close()

    async def _take_shared(self, request_id: str, takes: tuple[Take, ...]) -> Taken | None:
        """None where nothing was heard of it: it may be taken all the same, so its slots are given back later."""
        taken: Taken | None = None
        try:
            taken = await self._ask(self._shared.take(request_id, takes))
        finally:
            # Not before: what is owed is settled by whoever comes, and this may be about to run.
            if taken is None:
                self._owed[request_id] = (self._clock(), tuple(take for take in takes if take.kind == "slots"), 0)
        if taken is not None and taken.is_taken:
            self._running[request_id] = takes
        return taken

    async def _catch_up(self) -> None:
        for request_id in tuple(self._owed):
            await self._pay(request_id)
        await self._shared.renew(self._running)

    async def _pay(self, request_id: str) -> None:
        if debt := self._owed.get(request_id):
            await self._shared.settle(request_id, debt[1], debt[2])
            self._owed.pop(request_id, None)

    def _may_try(self) -> bool:
        """Whether to ask them: always while they answer, then once a pause."""
        if self._try_at is None:
            return True
        now = self._clock()
        if now < self._try_at:
            return False
        self._pause = min(2 * self._pause, LONGEST_PAUSE_SECONDS)
        self._try_at = now + self._pause
        return True

    async def _ask(self, asking: Awaitable[T]) -> T | None:
        """What they answer; None where they do not."""
        try:
            answer = await asking
        except BucketsAway as error:
            if self._try_at is None:
                log.warning("limits_degraded", reason=str(error))
                self._pause = FIRST_PAUSE_SECONDS
                self._try_at = self._clock() + self._pause
            return None
        if self._try_at is not None:
            log.warning("limits_shared_again")
            self._try_at = None
        return answer
