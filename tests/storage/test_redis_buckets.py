"""Rate limits while Redis forgets, is away, hangs or does what nobody hears of."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest
from redis.asyncio import Redis

from llm_backend.storage.buckets import BucketsAway, BucketsHere, Take, Taken
from llm_backend.storage.redis_buckets import LEASE_SECONDS, RedisBuckets
from llm_backend.storage.sharing_buckets import SharingBuckets, make_buckets
from tests.clocks import SetClock
from tests.redis_servers import ON_ITS_OWN, ON_REDIS, URL, RedisServer, random_prefix

PATIENT = 60
SLOT = Take("slots:key:a", "slots", 1)
TOKENS = Take("tokens:key:a", "tokens", 10, 10)
NOWHERE = "redis://127.0.0.1:1/0"


class Recorded(RedisBuckets):
    """Notes what Redis was asked, and may lose the replies."""

    asked = 0
    loses_replies = False

    async def take(self, request_id: str, takes: Sequence[Take]) -> Taken:
        self.asked += 1
        taken = await super().take(request_id, takes)
        self._lose()
        return taken

    async def settle(self, request_id: str, takes: Sequence[Take], tokens: int) -> None:
        self.asked += 1
        await super().settle(request_id, takes, tokens)
        self._lose()

    def _lose(self) -> None:
        if self.loses_replies:
            raise BucketsAway("lost")


class Held(RedisBuckets):
    """Keeps to itself that something was taken, until it is let."""

    def __init__(self, prefix: str) -> None:
        super().__init__(URL, prefix=prefix, answer_seconds=PATIENT)
        self.took, self.lets = asyncio.Event(), asyncio.Event()

    async def take(self, request_id: str, takes: Sequence[Take]) -> Taken:
        taken = await super().take(request_id, takes)
        self.took.set()
        await self.lets.wait()
        return taken


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
async def prefix() -> AsyncIterator[str]:
    async with random_prefix() as chosen:
        yield chosen


@pytest.fixture
async def client() -> AsyncIterator[Redis]:
    async with Redis.from_url(URL) as opened:
        yield opened


@ON_REDIS
async def test_a_bucket_fills_by_the_clock_of_redis(prefix: str, client: Redis) -> None:
    shared = RedisBuckets(URL, prefix=prefix, answer_seconds=PATIENT)
    await shared.take("1", [TOKENS])
    # Half a minute and more passes.
    await client.hincrby(f"{prefix}{TOKENS.name}", "at", -30_000_000)

    taken = await shared.take("2", [Take(TOKENS.name, "tokens", 10, 5)])

    assert taken.is_taken
    assert 0 <= taken.levels[0] < 5
    await shared.close()


@ON_REDIS
async def test_slots_of_a_process_that_died_are_free_when_their_lease_is_over(prefix: str, client: Redis) -> None:
    shared = RedisBuckets(URL, prefix=prefix, answer_seconds=PATIENT)
    await shared.take("dead", [SLOT])
    assert not (await shared.take("early", [SLOT])).is_taken
    await client.zincrby(f"{prefix}{SLOT.name}", -LEASE_SECONDS * 1_000_000, "dead")

    assert (await shared.take("late", [SLOT])).is_taken

    await shared.close()


@ON_REDIS
async def test_what_runs_has_its_slots_again_after_redis_forgot_them(prefix: str, client: Redis) -> None:
    sharing = SharingBuckets(RedisBuckets(URL, prefix=prefix, answer_seconds=PATIENT), BucketsHere())
    await sharing.take("1", [SLOT])
    await client.delete(f"{prefix}{SLOT.name}")

    await sharing.renew()

    assert await client.zrange(f"{prefix}{SLOT.name}", 0, -1) == [b"1"]
    await sharing.close()


@ON_REDIS
async def test_a_renewal_that_comes_late_lends_nothing_to_what_has_ended(prefix: str, client: Redis) -> None:
    shared = RedisBuckets(URL, prefix=prefix, answer_seconds=PATIENT)
    await shared.take("1", [SLOT])
    await shared.settle("1", [SLOT], 0)

    await shared.renew({"1": [SLOT]})

    assert not await client.exists(f"{prefix}{SLOT.name}")
    await shared.close()


@ON_REDIS
async def test_a_settlement_whose_reply_is_lost_is_sent_again_and_counts_once(prefix: str, clock: SetClock) -> None:
    shared = Recorded(URL, prefix=prefix, answer_seconds=PATIENT)
    sharing = SharingBuckets(shared, BucketsHere(), clock=clock.monotonic)
    await sharing.take("1", [TOKENS])
    shared.loses_replies = True
    await sharing.settle("1", 0)
    shared.loses_replies = False
    await shared.take("2", [TOKENS])

    clock.advance(60)
    await sharing.renew()

    assert (sharing.state, shared.asked) == ("shared", 4)
    assert not (await shared.take("3", [TOKENS])).is_taken
    await sharing.close()


@ON_REDIS
async def test_what_was_taken_unheard_is_counted_here_and_its_slots_given_back(
    prefix: str, client: Redis, clock: SetClock
) -> None:
    shared = Recorded(URL, prefix=prefix, answer_seconds=PATIENT)
    sharing = SharingBuckets(shared, BucketsHere(), clock=clock.monotonic)
    shared.loses_replies = True
    taken = await sharing.take("1", [SLOT])
    shared.loses_replies = False
    assert (taken.is_taken, sharing.state) == (True, "degraded")

    clock.advance(60)
    await sharing.renew()

    assert not await client.exists(f"{prefix}{SLOT.name}")
    await sharing.settle("1", 0)
    assert (await sharing.take("2", [SLOT])).is_taken
    await sharing.close()


@ON_REDIS
async def test_a_renewal_gives_nothing_back_of_what_is_being_taken(prefix: str, client: Redis) -> None:
    # Row 58
    shared = Held(prefix)
    sharing = SharingBuckets(shared, BucketsHere())
    taking = asyncio.create_task(sharing.take("1", [SLOT]))
    await shared.took.wait()

    await sharing.renew()
    shared.lets.set()

    assert (await taking).is_taken
    assert not (await shared.take("2", [SLOT])).is_taken
    await sharing.close()


async def test_without_an_answer_the_share_of_this_process_holds_and_redis_is_left_alone(clock: SetClock) -> None:
    shared = Recorded(NOWHERE, answer_seconds=PATIENT)
    sharing = SharingBuckets(shared, BucketsHere(clock.monotonic, processes=2), clock=clock.monotonic)
    ten = Take("slots:key:a", "slots", 10)

    taken = [await sharing.take(str(n), [ten]) for n in range(10)]

    assert [one.is_taken for one in taken] == [True] * 5 + [False] * 5
    assert (sharing.state, shared.asked) == ("degraded", 1)
    await sharing.settle("0", 0)
    assert (await sharing.take("10", [ten])).is_taken
    await sharing.close()


async def test_pauses_grow_while_redis_stays_away(clock: SetClock) -> None:
    shared = Recorded(NOWHERE, answer_seconds=PATIENT)
    sharing = SharingBuckets(shared, BucketsHere(), clock=clock.monotonic)
    asked_after = []
    for second in range(64):
        before = shared.asked
        await sharing.take(str(second), [SLOT])
        if shared.asked > before:
            asked_after.append(second)
        clock.advance(1)

    assert asked_after == [0, 1, 3, 7, 15, 31, 61]
    await sharing.close()


async def test_nothing_passes_without_redis_where_that_is_wanted() -> None:
    sharing = make_buckets(NOWHERE, 1, fails_closed=True)

    with pytest.raises(BucketsAway):
        await sharing.take("1", [SLOT])

    await sharing.close()


async def test_what_is_owed_is_forgotten_when_it_cannot_matter_any_more(clock: SetClock) -> None:
    sharing = SharingBuckets(RedisBuckets(NOWHERE, answer_seconds=PATIENT), BucketsHere(), clock=clock.monotonic)
    await sharing.take("1", [SLOT])
    assert list(sharing._owed) == ["1"]

    clock.advance(121)
    await sharing.renew()

    assert sharing._owed == {}
    await sharing.close()


@ON_ITS_OWN
async def test_redis_frozen_killed_and_back(clock: SetClock) -> None:
    async with RedisServer() as server:
        shared = RedisBuckets(server.url, answer_seconds=PATIENT)
        sharing = SharingBuckets(shared, BucketsHere(clock.monotonic), clock=clock.monotonic)
        assert (await sharing.take("running", [SLOT])).is_taken

        server.freeze()
        shared._answer_seconds = 0.05
        assert (await sharing.take("frozen", [SLOT])).is_taken
        assert sharing.state == "degraded"
        server.thaw()
        shared._answer_seconds = PATIENT
        await back(sharing, clock)
        assert not (await sharing.take("thawed", [SLOT])).is_taken

        server.kill()
        await sharing.settle("frozen", 0)
        assert (await sharing.take("killed", [SLOT])).is_taken
        assert sharing.state == "degraded"
        await server.start()
        await back(sharing, clock)
        assert not (await sharing.take("restarted", [SLOT])).is_taken
        await sharing.settle("running", 0)
        assert (await sharing.take("next", [SLOT])).is_taken
        await sharing.close()


async def back(sharing: SharingBuckets, clock: SetClock) -> None:
    """Heartbeats until Redis answers; the first may find a connection that is dead."""
    for _ in range(5):
        clock.advance(20)
        await sharing.renew()
        if sharing.state == "shared":
            return
    raise AssertionError("Redis answers, and is not asked.")


@ON_REDIS
async def test_what_arrives_after_it_was_given_up_takes_nothing(prefix: str) -> None:
    shared = RedisBuckets(URL, prefix=prefix, answer_seconds=PATIENT)
    await shared.settle("1", [SLOT], 0)

    assert not (await shared.take("1", [SLOT])).is_taken

    assert (await shared.take("2", [SLOT])).is_taken
    await shared.close()
