"""What outlives a server, and what has to be true of it after every death."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
from sqlalchemy import Table, func, select, update

from llm_backend.domain.accounts import Accounts
from llm_backend.domain.clock import SystemClock
from llm_backend.domain.doctor import Doctor
from llm_backend.domain.keys import Keys
from llm_backend.domain.secrets import unlock
from llm_backend.storage import usage
from llm_backend.storage.database import Database
from llm_backend.storage.tables import budget_period, idempotency_key, reservation
from llm_backend.storage.usage import UsageRecord
from tests.proof.lives import ANSWERED, PROMPT, SAID, Asked, Life, Teller
from tests.proof.mortals import Mortals, mortals
from tests.serving import SECRET_KEY

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
KEY = "sk-upstream-canary-0123456789abcdef"


@dataclass(frozen=True)
class Survivors:
    """A database, an upstream and a client, with one server after the other between them."""

    database: Database
    teller: Teller
    servers: Mortals
    client: aiohttp.ClientSession
    account_id: int
    headers: dict[str, str]

    @classmethod
    @asynccontextmanager
    async def of(cls, database: Database, folder: Path) -> AsyncIterator["Survivors"]:
        """With the first server."""
        clock = SystemClock()
        keys = Keys(database, await unlock(database, SECRET_KEY, clock), clock)
        account, key = await Accounts(database, clock).create_with_key("tests", keys, token_limit=10**9)
        headers = {"authorization": f"Bearer {key.text}"}
        ours = {"DATABASE_URL": database.url, "SECRET_KEY": SECRET_KEY, "LLM_BACKEND_HOME": str(folder)}
        async with Teller() as teller:
            upstream = {"OPENAI_BASE_URL": teller.base_url, "OPENAI_API_KEY": KEY}
            async with aiohttp.ClientSession() as client, mortals(folder, **ours, **upstream) as servers:
                survivors = cls(database, teller, servers, client, account.id, headers)
                await survivors.start()
                yield survivors

    async def start(self) -> None:
        assert await self.servers.start(), "".join(self.servers.lines)

    async def kill(self, point: str, passing: int) -> None:
        """The server that runs dies there, with requests running; the next one finds all as it has to be."""
        earlier, calls = len(await self._records()), len(self.teller.calls)
        life = await Life.of(self.servers.root, self.client, self.headers)
        assert await life.load()

        await self._die(life, point, passing)
        await self.start()

        await self._wait_out()
        assert await self._held_back() == (0, 0)
        await self._expire(idempotency_key)
        for one in life.asked:
            if one.key is not None:
                await asks_again(life, one, self.servers.root)
        asked_once = Counter(self.teller.calls[calls:])
        assert set(asked_once.values()) == {1}
        are_paid(life.asked, (await self._records())[earlier:], asked_once)
        is_said_once(life.asked, await life.messages(self.servers.root))
        assert await Doctor(self.database).violations() == []

    async def _die(self, life: Life, point: str, passing: int) -> None:
        is_late = point == "recovering"
        self.servers.order(*(("asked", 7) if is_late else (point, passing)))
        dying = asyncio.create_task(life.end(self.servers.ended))
        while point == "sweeping" and not dying.done():
            # It finds requests of its own process, which has stopped to beat.
            await self._expire(reservation)
            await asyncio.wait((dying,), timeout=0.1)
        await dying
        # On SQLite the next one knows that it is alone; elsewhere a minute has to go by.
        await self._expire(reservation)
        if is_late:
            self.servers.order(point, passing)
            assert not await self.servers.start()
        assert self.servers.killed, "".join(self.servers.lines)
        self.servers.countermand()

    async def _wait_out(self) -> None:
        """A statement that was sent before the death may be a transaction: a server carries it out after that.

        What it reserves is swept as all else, when its own minute has gone by.
        """
        while not self.database.is_sqlite and (await self._held_back())[1]:
            await self._expire(reservation)

    async def _records(self) -> list[UsageRecord]:
        async with self.database.reading() as session:
            return await usage.of_account(session, self.account_id)

    async def _expire(self, table: Table) -> None:
        """Put all leases back."""
        async with self.database.begin() as session:
            await session.execute(update(table).values(lease_until=LONG_AGO))

    async def _held_back(self) -> tuple[int, int]:
        """How many tokens, and by how many reservations."""
        are_open = reservation.c.state.in_(("held", "dispatched"))
        async with self.database.reading() as session:
            tokens = (await session.execute(select(func.sum(budget_period.c.reserved_tokens)))).scalar_one()
            number = (await session.execute(select(func.count()).where(are_open))).scalar_one()
        return int(tokens), number


async def asks_again(life: Life, one: Asked, root: str) -> None:
    """A client sends its request again under the same key; who was answered gets the same answer, or none.

    None where the settlement came from the journal: it has the charge, and not what was to be kept with it.
    """
    again = Asked(one.name, one.key)
    told = await life.ask(again, root)
    assert told in {(200, None), (409, "previous_attempt_incomplete")}
    assert one.answer is None or again.answer in {one.answer, None}
    one.answer = one.answer or again.answer


def are_paid(asked: list[Asked], records: list[UsageRecord], calls: Counter[str]) -> None:
    """What the upstream was asked is charged once; what was answered, at what the upstream reported."""
    in_chats = [record.basis for record in records if record.end_user is None]
    chats = [one for one in asked if one.is_in_chat]
    # A chat's record does not say whose question it was.
    assert sum(calls[one.name] for one in chats) <= len(in_chats) <= len(chats)
    assert in_chats.count("reported") >= sum(one.answer is not None for one in chats)
    for one in asked:
        own = [record for record in records if record.end_user == one.name]
        assert one.is_in_chat or calls[one.name] <= len(own) <= 1
        if one.answer is not None and not one.is_in_chat:
            tokens = len(SAID) if one.streams else ANSWERED
            told = own[0].basis, own[0].prompt_tokens, own[0].completion_tokens
            assert told == ("reported", PROMPT, tokens)


def is_said_once(asked: list[Asked], messages: list[tuple[str, str]]) -> None:
    """A chat has each question at most once, with its answer; whoever was answered finds both."""
    chats = [one for one in asked if one.is_in_chat]
    told = {one.name for one in chats if one.answer is not None}
    found = {content for role, content in messages if role == "user"}
    assert told <= found
    assert messages == [
        each for one in chats if one.name in found for each in (("user", one.name), ("assistant", "Yes"))
    ]
