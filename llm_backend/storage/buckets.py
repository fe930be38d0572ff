"""How fast somebody may ask: buckets that fill by the minute and slots that are lent, here in this process."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Literal, Protocol

MINUTE_SECONDS = 60

FULL_BUCKETS_KEPT = 10_000
"""With more buckets than this the full ones are forgotten: a bucket that is not known is full."""

Kind = Literal["requests", "tokens", "slots"]
State = Literal["shared", "alone", "degraded"]
"""Whether the buckets are every replica's, this process's own, or its own because the shared ones are away."""


class BucketsAway(Exception):
    """The shared buckets do not answer, or not in time."""


@dataclass(frozen=True, slots=True)
class Take:
    """What a request takes of one bucket; slots are lent, the rest flows back by the minute."""

    name: str
    kind: Kind
    capacity: int
    """At least 1; a bucket fills from empty to this in a minute."""
    amount: int = 1

    def credit(self, tokens: int) -> int:
        """What is given back where the request came to `tokens` in the end; below 0: what is owed besides."""
        return self.amount - tokens if self.kind == "tokens" else 0


@dataclass(frozen=True, slots=True)
class Taken:
    """All was taken, or nothing; what is left in each bucket then."""

    is_taken: bool
    takes: tuple[Take, ...]
    """As they were tried: a share of the limit has a smaller capacity than the limit."""
    levels: tuple[float, ...]


class Buckets(Protocol):
    """Where the levels are kept."""

    @property
    def state(self) -> State: ...

    async def take(self, request_id: str, takes: Sequence[Take]) -> Taken:
        """All of `takes`, or nothing. Raises BucketsAway."""
        ...

    async def settle(self, request_id: str, tokens: int) -> None:
        """The request has ended and came to `tokens`: its slots are free; only the first time counts."""
        ...

    async def renew(self) -> None:
        """What runs keeps its slots; to be called every second."""
        ...

    async def close(self) -> None: ...


class BucketsHere:
    """The levels of this process, which gets an equal share where others are beside it."""

    def __init__(self, clock: Callable[[], float] = monotonic, *, processes: int = 1) -> None:
        """`clock` counts seconds and never goes back; `processes` share each limit, this one included."""
        self._clock = clock
        self._processes = processes
        self._levels: dict[str, tuple[float, float, int]] = {}
        self._slots: dict[str, int] = {}
        self._held: dict[str, tuple[Take, ...]] = {}
        self._too_many = FULL_BUCKETS_KEPT

    @property
    def state(self) -> State:
        return "alone"

    def holds(self, request_id: str) -> bool:
        """Whether that request has taken here, and has not ended."""
        return request_id in self._held

    async def take(self, request_id: str, takes: Sequence[Take]) -> Taken:
        """All of `takes`, or nothing. Nobody comes between: nothing in here waits."""
        shares = tuple(map(self._share, takes))
        levels = tuple(map(self._level, shares))
        if any(level < take.amount for take, level in zip(shares, levels, strict=True)):
            return Taken(is_taken=False, takes=shares, levels=levels)
        for take, level in zip(shares, levels, strict=True):
            self._put(take, level - take.amount)
        self._held[request_id] = shares
        left = tuple(level - take.amount for take, level in zip(shares, levels, strict=True))
        return Taken(is_taken=True, takes=shares, levels=left)

    async def settle(self, request_id: str, tokens: int) -> None:
        """Free its slots, and set right what it took of tokens: the debt is never more than a minute's worth."""
        for take in self._held.pop(request_id, ()):
            level = self._level(take)
            if take.kind == "slots":
                self._put(take, level + take.amount)
            else:
                self._put(take, min(take.capacity, max(-take.capacity, level + take.credit(tokens))))

    async def renew(self) -> None:
        """Nothing to do: slots of a process end with it."""

    async def close(self) -> None:
        """Nothing to let go of."""

    def _share(self, take: Take) -> Take:
        """The part of the limit for this process. A request larger than that takes all of it, or it could never run."""
        capacity = max(1, take.capacity // self._processes)
        return Take(take.name, take.kind, capacity, min(take.amount, capacity))

    def _level(self, take: Take) -> float:
        if take.kind == "slots":
            return take.capacity - self._slots.get(take.name, 0)
        now = self._clock()
        level, since, _ = self._levels.get(take.name, (take.capacity, now, take.capacity))
        return min(take.capacity, level + (now - since) * take.capacity / MINUTE_SECONDS)

    def _put(self, take: Take, level: float) -> None:
        if take.kind != "slots":
            self._levels[take.name] = (level, self._clock(), take.capacity)
            if len(self._levels) > self._too_many:
                self._forget_full()
        elif used := take.capacity - int(level):
            self._slots[take.name] = used
        else:
            self._slots.pop(take.name, None)

    def _forget_full(self) -> None:
        now = self._clock()
        for name, (level, since, capacity) in tuple(self._levels.items()):
            if level + (now - since) * capacity / MINUTE_SECONDS >= capacity:
                del self._levels[name]
        self._too_many = max(FULL_BUCKETS_KEPT, 2 * len(self._levels))
