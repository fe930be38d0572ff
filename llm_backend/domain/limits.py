"""How fast and how much at once: what a request takes of the limits of its key, account, model and end user."""

from collections.abc import Iterator, Mapping
from math import ceil
from secrets import token_hex
from typing import NamedTuple

from llm_backend.domain.allowances import NONE, Allowance
from llm_backend.domain.end_users import EndUser
from llm_backend.domain.rate_headers import duration, rate_headers, wait_seconds
from llm_backend.errors import LimitsAway, RateLimited, TokensLimited
from llm_backend.metrics import Metrics
from llm_backend.storage.buckets import Buckets, BucketsAway, State, Take, Taken

_KINDS = {"requests": RateLimited, "tokens": TokensLimited, "slots": RateLimited}
_UNITS = {"requests": "requests per minute", "tokens": "tokens per minute", "slots": "concurrent requests"}


class Asked(NamedTuple):
    """Who asks for what."""

    account_id: int
    key_id: str | None
    model: str
    tokens: int
    """The most that it may come to."""
    of_key: Allowance = NONE
    of_account: Allowance = NONE
    of_model: Allowance = NONE
    end_user: EndUser | None = None
    """For whom it is, on whose terms."""


class Permit:
    """Leave for one request that nothing limits. `headers` are for its answer, whatever that is."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        self.headers = headers

    async def settle(self, tokens: int) -> None:
        """The request is over and came to `tokens`, 0 where it never ran. Only the first time counts."""


FREE = Permit({})


class LimitedPermit(Permit):
    """Leave for one that has taken of its limits."""

    def __init__(self, headers: Mapping[str, str], buckets: Buckets, request_id: str) -> None:
        super().__init__(headers)
        self._buckets = buckets
        self._request_id = request_id

    async def settle(self, tokens: int) -> None:
        await self._buckets.settle(self._request_id, tokens)


class Limits:
    """Admits requests, each by all of its limits or not at all."""

    def __init__(
        self,
        buckets: Buckets,
        metrics: Metrics,
        of_each_key: Allowance = NONE,
        of_models: Mapping[str, Allowance] | None = None,
    ) -> None:
        """`of_each_key` holds where a key has no limit of its own."""
        self._buckets = buckets
        self._of_each_key = of_each_key
        self._of_models = of_models or {}
        metrics.ratelimit_degraded.set_function(lambda: float(self.state == "degraded"))

    def adopt(self, of_models: Mapping[str, Allowance]) -> None:
        """Go by these limits of models from now on."""
        self._of_models = of_models

    @property
    def state(self) -> State:
        """Whether the limits are every replica's, this process's, or its own because the shared ones are away."""
        return self._buckets.state

    def of_model(self, name: str) -> Allowance:
        """The limits of all requests to that model together."""
        return self._of_models.get(name, NONE)

    async def admit(self, asked: Asked) -> Permit:
        """Leave to go on, which has to be settled. Raises RateLimited, or LimitsAway where that is wanted."""
        takes = tuple(self._takes(asked))
        return await self._taken(takes) if takes else FREE

    async def admit_to(self, model: str, tokens: int) -> Permit:
        """The same of the model's limits alone: another model answers than the one that was asked for."""
        takes = tuple(_of(f"model:{model}", self.of_model(model), tokens))
        return await self._taken(takes) if takes else FREE

    async def _taken(self, takes: tuple[Take, ...]) -> Permit:
        request_id = token_hex(16)
        for take in takes:
            if take.amount > take.capacity:
                raise _hopeless(take)
        try:
            taken = await self._buckets.take(request_id, takes)
        except BucketsAway as error:
            raise LimitsAway from error
        if not taken.is_taken:
            raise _refusal(taken)
        return LimitedPermit(rate_headers(taken), self._buckets, request_id)

    async def renew(self) -> None:
        """What runs keeps its slots; to be called every second."""
        await self._buckets.renew()

    async def close(self) -> None:
        """Let go of connections, after all is settled."""
        await self._buckets.close()

    def _takes(self, asked: Asked) -> Iterator[Take]:
        # Where no key is asked for, everybody has the same one.
        for kind, owner, allowance in (
            ("key", asked.key_id or "", asked.of_key.completed(self._of_each_key)),
            ("account", asked.account_id, asked.of_account),
            ("model", asked.model, asked.of_model),
        ):
            if allowance.is_any:
                yield from _of(f"{kind}:{owner}", allowance, asked.tokens)
        if (user := asked.end_user) is not None:
            yield from _of(f"user:{asked.account_id}:{user.id}", user.terms.limits, asked.tokens)


def _of(owner: str, allowance: Allowance, tokens: int) -> Iterator[Take]:
    """What a request takes of the limits of one; a limit that is None is none."""
    if allowance.requests_per_minute is not None:
        yield Take(f"requests:{owner}", "requests", allowance.requests_per_minute)
    if allowance.tokens_per_minute is not None:
        yield Take(f"tokens:{owner}", "tokens", allowance.tokens_per_minute, max(1, tokens))
    if allowance.concurrent_requests is not None:
        yield Take(f"slots:{owner}", "slots", allowance.concurrent_requests)


def _hopeless(take: Take) -> RateLimited:
    """However long the client waits, it never fits."""
    message = f"Request too large for {_limit(take)}: requested {take.amount}. It will not fit later either."
    return _KINDS[take.kind](message, should_retry=False)


def _refusal(taken: Taken) -> RateLimited:
    """By the bucket that takes longest to have room."""
    waits = [wait_seconds(take, level) for take, level in zip(taken.takes, taken.levels, strict=True)]
    wait = max(waits)
    take = taken.takes[waits.index(wait)]
    message = f"Rate limit reached for {_limit(take)}: requested {take.amount}. Please try again in {duration(wait)}."
    return _KINDS[take.kind](message, headers=rate_headers(taken), retry_after_seconds=max(1, ceil(wait)))


def _limit(take: Take) -> str:
    owner = take.name.split(":")[1]
    return f"{_UNITS[take.kind]} of this {owner}, {take.capacity}"
