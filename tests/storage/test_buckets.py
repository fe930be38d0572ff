"""Buckets and slots, in this process and in Redis: the same rules."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from llm_backend.storage import buckets as module
from llm_backend.storage.buckets import Buckets, BucketsHere, Take
from llm_backend.storage.redis_buckets import RedisBuckets
from llm_backend.storage.sharing_buckets import SharingBuckets, make_buckets
from tests.clocks import SetClock
from tests.redis_servers import ON_REDIS, URL, random_prefix

PATIENT = 60
"""Seconds in which a loaded machine surely answers."""


@pytest.fixture(params=["here", pytest.param("redis", marks=ON_REDIS)])
async def doors(request: pytest.FixtureRequest) -> AsyncIterator[list[Buckets]]:
    """The buckets, by every process that uses them."""
    if request.param == "here":
        yield [BucketsHere(SetClock().monotonic)]
        return
    async with random_prefix() as prefix:
        clients = [RedisBuckets(URL, prefix=prefix, answer_seconds=PATIENT) for _ in range(2)]
        yield [SharingBuckets(client, BucketsHere()) for client in clients]
        for client in clients:
            await client.close()


def requests(capacity: int) -> Take:
    return Take("requests:key:a", "requests", capacity)


def tokens(amount: int, capacity: int = 10) -> Take:
    return Take("tokens:key:a", "tokens", capacity, amount)


def slots(capacity: int, owner: str = "key:a") -> Take:
    return Take(f"slots:{owner}", "slots", capacity)


async def test_two_hundred_at_once_get_exactly_the_hundred_slots(doors: list[Buckets]) -> None:
    takes = [slots(100), slots(150, "account:1"), slots(200, "model:m")]

    taken = await asyncio.gather(*(doors[n % len(doors)].take(str(n), takes) for n in range(200)))

    assert sum(one.is_taken for one in taken) == 100


async def test_all_is_taken_or_nothing(doors: list[Buckets]) -> None:
    door = doors[0]
    await door.take("1", [slots(1, "model:m")])

    refused = await door.take("2", [requests(1), tokens(10), slots(1), slots(1, "model:m")])

    assert not refused.is_taken
    assert refused.levels == (1, 10, 1, 0)
    assert (await door.take("3", [requests(1), tokens(10), slots(1)])).is_taken


async def test_an_empty_bucket_is_empty_for_every_process(doors: list[Buckets]) -> None:
    assert (await doors[0].take("1", [tokens(10)])).levels == (0,)

    assert not (await doors[-1].take("2", [tokens(10)])).is_taken


async def test_what_was_not_used_comes_back_once(doors: list[Buckets]) -> None:
    door = doors[0]
    await door.take("1", [tokens(10), slots(1)])

    await door.settle("1", 0)
    assert (await door.take("2", [tokens(10), slots(1)])).is_taken
    await door.settle("1", 0)

    assert not (await door.take("3", [tokens(10)])).is_taken
    assert not (await door.take("4", [slots(1)])).is_taken


async def test_what_was_used_besides_is_owed_up_to_a_minutes_worth(doors: list[Buckets]) -> None:
    door = doors[0]
    await door.take("1", [tokens(1)])

    await door.settle("1", 1000)

    refused = await door.take("2", [tokens(1)])
    assert not refused.is_taken
    assert refused.levels[0] >= -10


async def test_a_request_counts_although_it_failed(doors: list[Buckets]) -> None:
    await doors[0].take("1", [requests(1)])

    await doors[0].settle("1", 0)

    assert not (await doors[0].take("2", [requests(1)])).is_taken


async def test_a_bucket_fills_evenly_and_no_further_than_its_capacity() -> None:
    clock = SetClock()
    here = BucketsHere(clock.monotonic)
    await here.take("1", [tokens(60, 60)])

    clock.advance(20)
    assert (await here.take("2", [tokens(1, 60)])).levels == (19,)
    clock.advance(3600)
    assert (await here.take("3", [tokens(1, 60)])).levels == (59,)


async def test_a_process_among_others_gets_its_share_and_a_larger_request_all_of_it() -> None:
    here = BucketsHere(SetClock().monotonic, processes=3)

    taken = [await here.take(str(n), [slots(10)]) for n in range(4)]
    large = await here.take("large", [tokens(10, 10)])

    assert [one.is_taken for one in taken] == [True, True, True, False]
    assert (large.is_taken, large.levels) == (True, (0,))


async def test_buckets_that_are_full_again_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FULL_BUCKETS_KEPT", 10)
    clock = SetClock()
    here = BucketsHere(clock.monotonic)
    for n in range(10):
        await here.take(str(n), [Take(f"requests:key:{n}", "requests", 5)])
    clock.advance(60)

    await here.take("11", [requests(5)])

    assert list(here._levels) == ["requests:key:a"]


async def test_without_redis_the_process_is_alone() -> None:
    here = make_buckets(None, 2, fails_closed=False)

    assert here.state == "alone"
    assert [(await here.take(str(n), [slots(2)])).is_taken for n in range(2)] == [True, False]
    await here.renew()
    await here.close()
