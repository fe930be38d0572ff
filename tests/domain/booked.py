"""A ledger on a database of its own, for tests, and what it has in its books."""

from dataclasses import dataclass
from typing import Any, cast

from sqlalchemy import func, select

from llm_backend.domain import budgets
from llm_backend.domain.budgets import Rules
from llm_backend.domain.clock import SystemClock, uuid7
from llm_backend.domain.entries import Granted, Reserve, Settle
from llm_backend.domain.granting import Ask
from llm_backend.domain.ledger import Ledger
from llm_backend.domain.sheet import Terms
from llm_backend.domain.usage import Usage
from llm_backend.domain.work import Details, Ending
from llm_backend.storage import accounts, usage
from llm_backend.storage import budgets as stored
from llm_backend.storage.accounts import Account
from llm_backend.storage.budgets import Period
from llm_backend.storage.database import Database
from llm_backend.storage.tables import reservation, usage_day
from llm_backend.storage.usage import UsageRecord
from tests.storage.records import NOON

TERMS = Terms("this process", lease_seconds=60, soft_percent=75, tells=True)


@dataclass(frozen=True)
class Books:
    """One account's ledger."""

    database: Database
    account: Account
    ledger: Ledger

    @classmethod
    async def of(cls, database: Database, terms: Terms = TERMS, **rules: Any) -> "Books":
        async with database.begin() as session:
            account = await accounts.add(session, "alice", NOON)
            await budgets.begin(session, account, cast("Rules", rules), NOON)
        return cls(database, account, Ledger(database, terms))

    def asks(self, tokens: int = 10, **different: Any) -> Reserve:
        """A reservation of so many tokens, a third of them the prompt's."""
        prompt = tokens // 3
        ask = Ask(prompt, tokens - prompt, least_output_tokens=tokens - prompt)
        attempt = uuid7(SystemClock().now())
        usual = Reserve(attempt, self.account.id, None, "echo", ask, prompt, self.details().as_json())
        return usual._replace(**different)

    def details(self) -> Details:
        return Details(
            "req_1", self.account.id, None, "createChatCompletion", "echo", "echo", "echo", True, None, NOON, None
        )

    def settles(self, attempt_id: str, prompt: int = 2, completion: int = 3, **different: Any) -> Settle:
        """A settlement at what the upstream reported."""
        raw = {"prompt_tokens": prompt, "completion_tokens": completion}
        record = self.details().record(
            attempt_id, Usage(prompt, completion, raw=raw), "reported", Ending("completed"), NOON
        )
        return Settle(record._replace(**different))

    async def reserved(self, tokens: int = 10, **different: Any) -> str:
        """The attempt of a reservation that was granted."""
        entry = self.asks(tokens, **different)
        assert isinstance(await self.ledger.reserve(entry), Granted)
        return entry.attempt_id

    async def period(self) -> Period:
        async with self.database.begin() as session:
            [whole] = await stored.of_account(session, self.account.id)
            return (await stored.periods(session, whole.id))[0]

    async def sums(self) -> tuple[int, int]:
        """Tokens used and reserved in the newest period."""
        period = await self.period()
        return period.used_tokens, period.reserved_tokens

    async def records(self) -> list[UsageRecord]:
        async with self.database.reading() as session:
            return await usage.of_account(session, self.account.id)

    async def states(self) -> list[str]:
        """Of all reservations, in the order of their attempts."""
        async with self.database.reading() as session:
            rows = await session.execute(select(reservation.c.state).order_by(reservation.c.attempt_id))
            return list(rows.scalars())

    async def day(self) -> tuple[int, int]:
        """Requests and tokens of the account's days together."""
        both = func.sum(usage_day.c.requests), func.sum(usage_day.c.prompt_tokens + usage_day.c.completion_tokens)
        async with self.database.reading() as session:
            requests, tokens = (await session.execute(select(*both))).one()
            return int(requests or 0), int(tokens or 0)
