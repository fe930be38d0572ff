"""The same buckets in Redis, where every replica sees them: one script a step, by Redis's own clock.

Not for a cluster: a script touches the buckets of a key, an account and a model at once.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final, cast

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.commands.core import AsyncScript
from redis.exceptions import RedisError

from llm_backend.storage.buckets import BucketsAway, Take, Taken

ANSWER_SECONDS: Final = 0.05
"""Longer than this no request waits for Redis."""

LEASE_SECONDS: Final = 15
"""How long a slot outlives the process that holds it; it is renewed every second."""

SETTLED_SECONDS: Final = 300
"""How long Redis knows that a request has been settled; nobody tries again after so long."""

CONNECTIONS: Final = 16
SLOTS_A_RENEWAL: Final = 500

_LEVELS: Final = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]

local function level_of(bucket, kind, capacity)
  if kind == 'slots' then
    redis.call('ZREMRANGEBYSCORE', bucket, '-inf', now)
    return capacity - redis.call('ZCARD', bucket)
  end
  local kept = redis.call('HMGET', bucket, 'level', 'at')
  if not kept[1] then return capacity end
  return math.min(capacity, kept[1] + math.max(0, now - kept[2]) * capacity / 60000000)
end

local function put(bucket, level, capacity)
  redis.call('HSET', bucket, 'level', string.format('%.17g', level), 'at', string.format('%.0f', now))
  redis.call('PEXPIRE', bucket, math.ceil((capacity - level) * 60000 / capacity) + 1000)
end

local function lend(bucket, id, lease)
  redis.call('ZADD', bucket, now + lease * 1000, id)
  redis.call('PEXPIRE', bucket, lease)
end
"""
"""What the scripts share: a bucket is a level at a moment, slots are the ids of requests by when their lease ends."""

_TAKE: Final = (
    _LEVELS
    + """
local id, lease = ARGV[1], tonumber(ARGV[2])
local fits = 1 - redis.call('EXISTS', KEYS[1])
local levels = {}
for i = 2, #KEYS do
  local kind, capacity, amount = ARGV[3 * i - 3], tonumber(ARGV[3 * i - 2]), tonumber(ARGV[3 * i - 1])
  levels[i] = level_of(KEYS[i], kind, capacity)
  if levels[i] < amount then fits = 0 end
end
local told = {fits}
for i = 2, #KEYS do
  local kind, capacity, amount = ARGV[3 * i - 3], tonumber(ARGV[3 * i - 2]), tonumber(ARGV[3 * i - 1])
  if fits == 1 then
    levels[i] = levels[i] - amount
    if kind == 'slots' then lend(KEYS[i], id, lease) else put(KEYS[i], levels[i], capacity) end
  end
  told[i] = string.format('%.17g', levels[i])
end
return told
"""
)
"""KEYS: the mark of what is settled, then the buckets. ARGV: id, lease, then kind, capacity and amount of each."""

_SETTLE: Final = (
    _LEVELS
    + """
if not redis.call('SET', KEYS[1], 1, 'NX', 'PX', ARGV[2]) then return 0 end
for i = 2, #KEYS do
  local kind, capacity, credit = ARGV[3 * i - 3], tonumber(ARGV[3 * i - 2]), tonumber(ARGV[3 * i - 1])
  if kind == 'slots' then
    redis.call('ZREM', KEYS[i], ARGV[1])
  elseif credit ~= 0 then
    local level = level_of(KEYS[i], kind, capacity) + credit
    put(KEYS[i], math.min(capacity, math.max(-capacity, level)), capacity)
  end
end
return 1
"""
)
"""As above; in the place of the amounts what is given back. A second time changes nothing."""

_RENEW: Final = (
    _LEVELS
    + """
for i = 1, #KEYS, 2 do
  if redis.call('EXISTS', KEYS[i]) == 0 then lend(KEYS[i + 1], ARGV[(i + 3) / 2], tonumber(ARGV[1])) end
end
return 1
"""
)
"""KEYS: mark and slots of each, in turn. ARGV: lease, then the ids. Slots that Redis has lost are there again."""


class RedisBuckets:
    """Takes and settles in Redis. Whatever is not answered in time raises BucketsAway, done or not."""

    def __init__(self, url: str, *, prefix: str = "llm-backend:", answer_seconds: float = ANSWER_SECONDS) -> None:
        """Nothing is connected yet. `prefix` begins every name."""
        # Tried once: whoever waits here is a request, and what may have happened is not done again.
        pool = BlockingConnectionPool.from_url(
            url, max_connections=CONNECTIONS, timeout=None, retry=Retry(NoBackoff(), 0), decode_responses=True
        )
        self._redis = Redis.from_pool(pool)
        self._prefix = prefix
        self._answer_seconds = answer_seconds
        self._take = self._redis.register_script(_TAKE)
        self._settle = self._redis.register_script(_SETTLE)
        self._renew = self._redis.register_script(_RENEW)

    async def take(self, request_id: str, takes: Sequence[Take]) -> Taken:
        """All of `takes`, or nothing. Raises BucketsAway."""
        arguments: list[str | int] = [request_id, LEASE_SECONDS * 1000]
        for take in takes:
            arguments += [take.kind, take.capacity, take.amount]
        told = await self._run(self._take, self._names(request_id, takes), arguments)
        return Taken(bool(int(told[0])), tuple(takes), tuple(map(float, told[1:])))

    async def settle(self, request_id: str, takes: Sequence[Take], tokens: int) -> None:
        """Free the slots and set the tokens right; only the first time counts. Raises BucketsAway."""
        arguments: list[str | int] = [request_id, SETTLED_SECONDS * 1000]
        for take in takes:
            arguments += [take.kind, take.capacity, take.credit(tokens)]
        await self._run(self._settle, self._names(request_id, takes), arguments)

    async def renew(self, running: Mapping[str, Sequence[Take]]) -> None:
        """What runs keeps its slots for another lease; asks even if nothing does. Raises BucketsAway."""
        pairs = [
            (self._mark(request_id), self._prefix + take.name, request_id)
            for request_id, takes in running.items()
            for take in takes
            if take.kind == "slots"
        ]
        for start in range(0, len(pairs) or 1, SLOTS_A_RENEWAL):
            part = pairs[start : start + SLOTS_A_RENEWAL]
            names = [name for mark, slots, _ in part for name in (mark, slots)]
            await self._run(self._renew, names, [LEASE_SECONDS * 1000, *(request_id for _, _, request_id in part)])

    async def close(self) -> None:
        """Let go of the connections."""
        await self._redis.aclose()
        await self._redis.connection_pool.disconnect()

    def _names(self, request_id: str, takes: Sequence[Take]) -> list[str]:
        return [self._mark(request_id), *(self._prefix + take.name for take in takes)]

    def _mark(self, request_id: str) -> str:
        return f"{self._prefix}settled:{request_id}"

    async def _run(self, script: AsyncScript, names: list[str], arguments: list[str | int]) -> list[str]:
        try:
            async with asyncio.timeout(self._answer_seconds):
                return cast("list[str]", await script(keys=names, args=arguments))
        except (RedisError, OSError, TimeoutError) as error:
            raise BucketsAway(type(error).__name__) from error
