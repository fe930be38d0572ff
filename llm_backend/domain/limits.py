"""How fast and how much at once: what a request takes of the limits of its key, account, model and end user."""

from collections.abc import Iterator, Mapping
from dataclasses import astuple, dataclass
from math import ceil

from llm_backend.domain.allowances import NONE, Allowance
from llm_backend.domain.end_users import EndUser
from llm_backend.domain.rate_headers import duration, rate_headers, wait_seconds
from llm_backend.errors import LimitsAway, RateLimited, TokensLimited
from llm_backend.metrics import Metrics
from llm_backend.storage.buckets import Buckets, BucketsAway, State, Take, Taken

_KINDS = {"requests": RateLimited, "tokens": TokensLimited, "slots": RateLimited}
_UNITS = {"requests": "requests per minute", "tokens": "tokens per minute", "slots": "concurrent requests"}


@dataclass(frozen=True, slots=True)
class Asked:
    """Who asks for what."""

    id: str
    """Of the request: no two that run have the same."""
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
    """Leave for one request. `headers` are for its answer, whatever that is."""

    def __init__(self, buckets: Buckets, request_id: str, headers: Mapping[str, str]) -> None:
        self.headers = headers
        self._buckets = buckets
        self._request_id = request_id

    async def settle(self, tokens: int) -> None:
        """The request is over and came to `tokens`, 0 where it never ran. Only the first time counts."""
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
        return await self._taken(asked.id, tuple(self._takes(asked)))

    async def admit_to(self, model: str, request_id: str, tokens: int) -> Permit:
        """The same of the model's limits alone: another model answers than the one that was asked for."""
        return await self._taken(request_id, tuple(_of(f"model:{model}", self.of_model(model), tokens)))

    async def _taken(self, request_id: str, takes: tuple[Take, ...]) -> Permit:
        if not takes:
            return Permit(self._buckets, request_id, {})
        for take in takes:
            if take.amount > take.capacity:
                raise _hopeless(take)
        try:
            taken = await self._buckets.take(request_id, takes)
        except BucketsAway as error:
            raise LimitsAway from error
        if not taken.is_taken:
            raise _refusal(taken)
        return Permit(self._buckets, request_id, rate_headers(taken))

    async def renew(self) -> None:
        """What runs keeps its slots; to be called every second."""
        await self._buckets.renew()

    async def close(self) -> None:
        """Let go of connections, after all is settled."""
        await self._buckets.close()

    def _takes(self, asked: Asked) -> Iterator[Take]:
        own = asked.of_key
        of_key = Allowance(
            *(
                default if limit is None else limit
                for limit, default in zip(astuple(own), astuple(self._of_each_key), strict=True)
            )
        )
        # Where no key is asked for, everybody has the same one.
        yield from _of(f"key:{asked.key_id or ''}", of_key, asked.tokens)
        yield from _of(f"account:{asked.account_id}", asked.of_account, asked.tokens)
        yield from _of(f"model:{asked.model}", asked.of_model, asked.tokens)
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
