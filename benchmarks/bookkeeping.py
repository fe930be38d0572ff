"""Accounts and entries for measurements of the ledger alone, without a server in front of it."""

import secrets
from dataclasses import dataclass

from llm_backend.domain.accounts import Accounts
from llm_backend.domain.clock import SystemClock, uuid7
from llm_backend.domain.entries import Reserve, Settle
from llm_backend.domain.granting import Ask
from llm_backend.domain.keys import Keys, public_id_of
from llm_backend.domain.ledger import Ledger
from llm_backend.domain.secrets import unlock
from llm_backend.domain.sheet import Terms
from llm_backend.domain.usage import Usage
from llm_backend.domain.work import Details, Ending
from llm_backend.storage import schema
from llm_backend.storage.database import Database

BUDGET_TOKENS = 10**15
"""Never used up, and looked at with every entry."""
_CLOCK = SystemClock()
_ENDING = Ending("completed", upstream_status=200)
_USAGE = Usage(
    120, 240, raw={"prompt_tokens": 120, "completion_tokens": 240, "prompt_tokens_details": {"cached_tokens": 0}}
)
_SECRET = "benchmarks-secret-of-more-than-32-bytes"  # noqa: S105 (of a database that is dropped)


@dataclass(frozen=True, slots=True)
class Book:
    """One account with its key."""

    account_id: int
    key_id: str

    def reserve(self) -> Reserve:
        """For a request as they mostly are."""
        details = Details(
            f"req_{secrets.token_hex(16)}", self.account_id, self.key_id, "createChatCompletion", "gpt-4o-mini",
            "openai", "gpt-4o-mini", True, None, _CLOCK.now(), None,
        )  # fmt: skip
        ask = Ask(200, 1_000)
        return Reserve(uuid7(_CLOCK.now()), self.account_id, self.key_id, "gpt-4o-mini", ask, 120, details.as_json())

    def settle(self, reserved: Reserve) -> Settle:
        """At what the upstream reported."""
        details = Details.from_json(reserved.details)
        record = details.record(reserved.attempt_id, _USAGE, "reported", _ENDING, _CLOCK.now())
        return Settle(record)


def ledger(database: Database) -> Ledger:
    """As one process has it."""
    return Ledger(database, Terms(uuid7(_CLOCK.now()), lease_seconds=60, soft_percent=80, tells=False))


async def opened(url: str, accounts: int) -> list[Book]:
    """So many accounts in a new database."""
    await schema.upgrade(url)
    database = Database(url)
    try:
        keys = Keys(database, await unlock(database, _SECRET, _CLOCK), _CLOCK)
        every = Accounts(database, _CLOCK)

        books = []
        for number in range(accounts):
            account, key = await every.create_with_key(f"account {number}", keys, token_limit=BUDGET_TOKENS)
            books.append(Book(account.id, public_id_of(key.text)))
        return books
    finally:
        await database.close()
