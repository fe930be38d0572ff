"""Accounts with budgets, and what they are told."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import httpx
from sqlalchemy import select

from llm_backend.domain.key_text import public_id_of
from llm_backend.errors import Json
from llm_backend.storage import usage
from llm_backend.storage.tables import budget_period
from llm_backend.storage.usage import UsageRecord
from tests.faults.asking import saying
from tests.faults.charged import TEXT
from tests.faulty import FaultyUpstream
from tests.serving import Running

HELLO = saying(TEXT)
BOUND = 31
"""The most tokens that the prompt of HELLO can have."""
USED = 5
"""What the upstream reports of each answer, prompt and completion together."""
CAPS = {"max_tokens", "max_completion_tokens"}


@dataclass(frozen=True)
class Payer:
    """An account with a budget, that asks."""

    running: Running
    account: Json
    client: httpx.AsyncClient

    @property
    def key_id(self) -> str:
        return public_id_of(self.account["api_key"])

    async def asks(self, *, key: str | None = None, **options: Json) -> httpx.Response:
        answer = await self.begins(key=key, **options)
        await answer.aread()
        return answer

    async def begins(self, *, key: str | None = None, **options: Json) -> httpx.Response:
        """The head of the answer; of a stream, its first event has come then."""
        headers = {"authorization": f"Bearer {key or self.account['api_key']}"}
        asked = self.client.build_request("POST", "/v1/chat/completions", json=HELLO | options, headers=headers)
        return await self.client.send(asked, stream=True)

    async def records(self) -> list[UsageRecord]:
        await self.running.quiet()
        async with self.running.database.reading() as session:
            return await usage.of_account(session, self.account["id"])

    async def microusd(self) -> tuple[int, int]:
        """Micro-dollars used and held back, of its one budget."""
        await self.running.quiet()
        columns = budget_period.c.used_microusd, budget_period.c.reserved_microusd
        async with self.running.database.reading() as session:
            used, reserved = (
                await session.execute(select(*columns).where(budget_period.c.account_id == self.account["id"]))
            ).one()
        return used, reserved

    async def sums(self) -> list[tuple[int, int]]:
        """Tokens used and held back, of each period of its budgets."""
        await self.running.quiet()
        columns = budget_period.c.used_tokens, budget_period.c.reserved_tokens
        own = select(*columns).where(budget_period.c.account_id == self.account["id"]).order_by(budget_period.c.id)
        async with self.running.database.reading() as session:
            return [(used, reserved) for used, reserved in await session.execute(own)]


Pays = Callable[..., Awaitable[Payer]]


def sent(upstream: FaultyUpstream) -> Json:
    """The limits of output that were sent upstream last."""
    return {name: value for name, value in upstream.requests[-1].json.items() if name in CAPS}


def budget_headers(answer: httpx.Response) -> dict[str, str]:
    names = [name for name in answer.headers if name.startswith("x-budget-")]
    return {name.removeprefix("x-budget-"): answer.headers[name] for name in names}
