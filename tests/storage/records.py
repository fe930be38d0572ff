"""Usage records for tests."""

from datetime import UTC, datetime
from typing import Any

from llm_backend.domain import budgets
from llm_backend.storage import accounts
from llm_backend.storage import budgets as stored_budgets
from llm_backend.storage.accounts import Account
from llm_backend.storage.database import Database
from llm_backend.storage.usage import UsageRecord

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


async def an_account(database: Database, name: str = "alice") -> Account:
    """An account with a budget that has no limit and never renews."""
    async with database.begin() as session:
        made = await accounts.add(session, name, NOON)
        await budgets.begin(session, made, {}, NOON)
        return made


async def its_period(database: Database, account_id: int) -> int:
    """The number of the period that the account's budget is in."""
    async with database.begin() as session:
        [whole] = await stored_budgets.of_account(session, account_id)
        [period] = await stored_budgets.periods(session, whole.id)
        return period.id


def a_record(account_id: int, **different: Any) -> UsageRecord:
    """A charge of 7 + 5 tokens, but for what is `different`."""
    usual: dict[str, Any] = {
        "attempt_id": "019cae00-0000-7000-8000-000000000001",
        "kind": "charge",
        "request_id": "req_1",
        "account_id": account_id,
        # Accounts and their periods count alike on a fresh database.
        "account_period_id": account_id,
        "key_id": "abcdefghijkl",
        "operation": "createChatCompletion",
        "model": "echo",
        "upstream": "echo",
        "upstream_model": "echo",
        "stream": True,
        "status": "completed",
        "basis": "reported",
        "prompt_tokens": 7,
        "completion_tokens": 5,
        "cached_tokens": 2,
        "reasoning_tokens": 1,
        "cost_microusd": 3,
        "raw_usage": b'{"prompt_tokens":7,"completion_tokens":5}',
        "usage_missing": False,
        "usage_implausible": False,
        "error_code": None,
        "upstream_status": 200,
        "started_at": NOON,
        "ended_at": NOON,
    }
    return UsageRecord(**usual | different)
