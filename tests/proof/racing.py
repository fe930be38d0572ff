"""Many who want the last tokens of one budget at the same moment."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from secrets import token_hex

import aiohttp
import orjson
from sqlalchemy import select

from llm_backend.domain.accounts import Accounts
from llm_backend.domain.clock import SystemClock
from llm_backend.domain.doctor import Doctor
from llm_backend.domain.keys import Keys
from llm_backend.domain.secrets import unlock
from llm_backend.errors import Json
from llm_backend.storage.database import Database
from llm_backend.storage.tables import budget_period, reservation
from tests.faulty import FaultyUpstream, completion
from tests.faulty_connection import Received, Script
from tests.serving import SECRET_KEY
from tests.told import written_head

LIMIT, LEFT = 1_000, 100
RACERS, PATIENT = 200, 25
COST = 25
"""What one of them may cost: 17 bytes of prompt with its role, 4 around it, 4 of an answer."""
CHARGED = 5
"""What it does cost."""
FIT_AT_ONCE = LEFT // COST
FIT_IN_ALL = (LEFT - COST) // CHARGED + 1


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    code: str | None
    may_retry: str | None


class Gate(FaultyUpstream):
    """An upstream that answers what it has taken when it is opened, not before."""

    def __init__(self) -> None:
        super().__init__()
        self.open = asyncio.Event()

    async def note(self, request: Received) -> Script:
        await super().note(request)
        answers = completion("Yes", prompt=CHARGED - 2, tokens=2)
        if request.json["max_tokens"] > LEFT:
            answers = completion("Much", prompt=10, tokens=LIMIT - LEFT - 10)
            return _whole(answers)
        return _whole(answers, after=self.open)


@dataclass(frozen=True, slots=True)
class Race:
    """One account with so many tokens left, and one client with connections enough for all who want them."""

    database: Database
    gate: Gate
    client: aiohttp.ClientSession
    roots: Sequence[str]
    account_id: int
    headers: dict[str, str]

    @classmethod
    async def of(cls, database: Database, gate: Gate, client: aiohttp.ClientSession, roots: Sequence[str]) -> "Race":
        """An account that has used all but the last tokens of its budget."""
        clock = SystemClock()
        keys = Keys(database, await unlock(database, SECRET_KEY, clock), clock)
        made = Accounts(database, clock).create_with_key(token_hex(8), keys, token_limit=LIMIT)
        account, key = await made
        race = cls(database, gate, client, roots, account.id, {"authorization": f"Bearer {key.text}"})
        first = await race.asks(0, max_tokens=LIMIT - LEFT)
        assert first.status == 200
        assert await race.sums() == (LIMIT - LEFT, 0)
        return race

    async def asks(self, number: int, *, max_tokens: int = 4) -> Reply:
        """What the racer of this number is told, by the server whose turn it is."""
        body: Json = {"model": "echo", "messages": [{"role": "user", "content": "a"}], "max_tokens": max_tokens}
        url = f"{self.roots[number % len(self.roots)]}/v1/chat/completions"
        async with self.client.post(url, json=body, headers=self.headers) as answer:
            content = await answer.json()
            code = content["error"]["code"] if answer.status != 200 else None
            return Reply(answer.status, code, answer.headers.get("x-should-retry"))

    async def insists(self, number: int) -> Reply:
        """What it is told in the end, asking again as often as it is told that this may help."""
        while (reply := await self.asks(number)).may_retry == "true":
            pass
        return reply

    async def sums(self) -> tuple[int, int]:
        """Tokens used and reserved; together never above the limit."""
        columns = budget_period.c.used_tokens, budget_period.c.reserved_tokens
        async with self.database.reading() as session:
            rows = await session.execute(select(*columns).where(budget_period.c.account_id == self.account_id))
            used, reserved = rows.one()
        assert used + reserved <= LIMIT
        return used, reserved

    async def reserved(self) -> list[int]:
        """What each of the open reservations holds back."""
        query = select(reservation.c.reserved_tokens).where(
            reservation.c.account_id == self.account_id, reservation.c.state == "dispatched"
        )
        async with self.database.reading() as session:
            return list((await session.execute(query)).scalars())


async def raced(race: Race) -> None:
    """One round: everybody asks while nobody is answered; then some of them insist."""
    race.gate.open.clear()
    before = len(race.gate.requests)
    racers = {asyncio.create_task(race.asks(number)) for number in range(RACERS)}

    refused, admitted = await _decided(race, racers, before)

    # As many as fit, no more and no fewer; and the others are told that only these stand in their way.
    assert admitted == FIT_AT_ONCE == len(race.gate.requests) - before
    assert await race.reserved() == [COST] * FIT_AT_ONCE
    assert await race.sums() == (LIMIT - LEFT, LEFT)
    assert set(refused) == {Reply(429, "insufficient_quota", "true")}
    assert len(refused) == RACERS - FIT_AT_ONCE

    race.gate.open.set()
    insisting = [asyncio.create_task(race.insists(number)) for number in range(PATIENT)]
    replies = await asyncio.gather(*insisting)

    # What was given back was had by others, to the last token that could be.
    assert [(await racer).status for racer in racers if racer.result() not in refused] == [200] * FIT_AT_ONCE
    assert sum(reply.status == 200 for reply in replies) == FIT_IN_ALL - FIT_AT_ONCE
    assert {reply for reply in replies if reply.status != 200} == {Reply(429, "insufficient_quota", "false")}
    assert len(race.gate.requests) - before == FIT_IN_ALL
    assert await race.sums() == (LIMIT - LEFT + FIT_IN_ALL * CHARGED, 0)
    assert await Doctor(race.database).violations() == []


async def _decided(race: Race, racers: set[asyncio.Task[Reply]], before: int) -> tuple[list[Reply], int]:
    """The refusals, and how many are held at the upstream, once everybody is one or the other."""
    waiting = set(racers)
    admitted = 0
    arrival = asyncio.create_task(race.gate.received(before + 1))
    while len(racers) - len(waiting) + admitted < len(racers):
        await asyncio.wait((*waiting, arrival), return_when=asyncio.FIRST_COMPLETED)
        waiting = {racer for racer in waiting if not racer.done()}
        admitted = len(race.gate.requests) - before
        if arrival.done():
            arrival = asyncio.create_task(race.gate.received(before + admitted + 1))
        await race.sums()
    arrival.cancel()
    with suppress(asyncio.CancelledError):
        await arrival
    return [racer.result() for racer in racers if racer.done()], admitted


def _whole(answer: Json, *, after: asyncio.Event | None = None) -> Script:
    body = orjson.dumps(answer)
    head = written_head(200, {"content-type": "application/json", "content-length": str(len(body))})
    return Script((head + body,) if after is None else (after, head + body), keeps_open=True)
