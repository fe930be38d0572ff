"""The campaigns: each does one thing to the stage, again and again, under streams."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from campaign.books import SILENCE_SECONDS
from campaign.stage import Stage
from campaign.waiting import until

AWAY_SECONDS = (0.0, 0.5, 3.0)
"""How long PostgreSQL is gone, in turn: shorter and longer than an answer takes."""

FROZEN_SECONDS = (1.0, 9.0, 16.0)
"""How long it says nothing, in turn: shorter and longer than a server waits for it."""

NEWCOMERS = 20
"""Requests that come while PostgreSQL is frozen: all other clients soon wait for the end of their answers."""

SPREAD = 7
"""Faults come at so many different times after the streams have begun."""


@dataclass(frozen=True, slots=True)
class Campaign:
    """One kind of fault."""

    name: str
    strike: Callable[[Stage, int], Awaitable[float]]
    """Does it once, given the number of the round; the seconds that recovering took."""
    share: int = 1
    """It has one round for so many of a campaign with 1."""
    kills: bool = False
    """Whether a server dies or falls silent, so that its clients may lose their answers."""


async def _stopped(stage: Stage, number: int) -> float:
    await _some_time(number)
    await stage.postgres.stop_at_once()
    await asyncio.sleep(AWAY_SECONDS[number % len(AWAY_SECONDS)])
    await stage.postgres.start()
    return await stage.recovered()


async def _frozen(stage: Stage, number: int) -> float:
    await _some_time(number)
    stage.postgres.freeze()
    coming = asyncio.gather(*(stage.load.ask(stage.replicas[each % 2]) for each in range(NEWCOMERS)))
    await asyncio.sleep(FROZEN_SECONDS[number % len(FROZEN_SECONDS)])
    stage.postgres.thaw()
    recovery = await stage.recovered()
    await coming
    return recovery


async def _redis_killed(stage: Stage, number: int) -> float:
    await _some_time(number)
    stage.redis.kill()
    await asyncio.sleep(AWAY_SECONDS[number % len(AWAY_SECONDS)])
    await stage.redis.start()
    return await stage.recovered()


async def _redis_frozen(stage: Stage, number: int) -> float:
    await _some_time(number)
    stage.redis.freeze()
    await asyncio.sleep(FROZEN_SECONDS[number % len(FROZEN_SECONDS)])
    stage.redis.thaw()
    return await stage.recovered()


async def _server_frozen(stage: Stage, number: int) -> float:
    """Beyond its lease: another settles what it runs, and it goes on all the same."""
    await _some_time(number)
    replica = stage.replicas[number % 2]
    replica.freeze()
    await _taken_over(stage)
    replica.thaw()
    return await stage.recovered()


async def _server_killed(stage: Stage, number: int) -> float:
    await _some_time(number)
    replica = stage.replicas[number % 2]
    await replica.kill()
    await _taken_over(stage)
    await replica.start(stage.client)
    return await stage.recovered()


CAMPAIGNS = (
    Campaign("PostgreSQL stopped at once", _stopped),
    Campaign("PostgreSQL frozen", _frozen),
    Campaign("Redis killed", _redis_killed),
    Campaign("Redis frozen", _redis_frozen, share=3),
    Campaign("a server frozen beyond its lease", _server_frozen, share=3, kills=True),
    Campaign("a server killed", _server_killed, share=3, kills=True),
)


async def _some_time(number: int) -> None:
    await asyncio.sleep(number % SPREAD * 0.07)


async def _taken_over(stage: Stage) -> None:
    """Returns when what a silent server ran is settled by the other one."""
    await asyncio.sleep(SILENCE_SECONDS + 1)
    await stage.books.end_silent_leases()
    await until(stage.books.has_no_silent_reservations)
