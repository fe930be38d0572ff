"""An account with something of every kind, and what a test asks of the books afterwards."""

from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from sqlalchemy import insert, select

from llm_backend.domain.audit import Author
from llm_backend.domain.users import Users
from llm_backend.storage import budgets, invariants, parrot, tables
from llm_backend.storage.database import Database
from llm_backend.storage.invariants import Violation
from tests.domain.parts import Parts
from tests.storage.records import NOON, a_record

ADMIN = Author("admin", "req_1")


async def furnished(
    parts: Parts, name: str = "alice", *, ended_for: tuple[str | None, ...] = ("s1", "s1", None)
) -> int:
    """The number of an account with a key, user, limit, one attempt for each of `ended_for`, a chat and a result."""
    account, _ = await parts.accounts.create_with_key(name, parts.keys, ADMIN, token_limit=1000, course="Physics")
    await Users(parts.database, parts.clock).create(f"{name}-1", "Ann Onymous", account.id, ADMIN)
    async with parts.database.begin() as session:
        [whole] = await budgets.of_account(session, account.id)
        [period] = await budgets.periods(session, whole.id)
    for number, end_user in enumerate(ended_for):
        await used(parts.database, account.id, period.id, f"{name}-{number}", end_user)
    await _chat(parts.database, account.id, name)
    return account.id


async def used(database: Database, account_id: int, period_id: int, attempt_id: str, end_user: str | None) -> None:
    """One settled attempt, told in records, days and sums as the ledger tells it."""
    record = a_record(account_id, attempt_id=attempt_id, account_period_id=period_id, end_user=end_user)
    # A day each, so that none of them is in the way of another.
    hours = timedelta(days=int(attempt_id.rpartition("-")[2]))
    record = record._replace(started_at=NOON + hours, ended_at=NOON + hours)
    async with database.begin() as session:
        await parrot.enter(session, record, NOON)
        await budgets.charge(session, period_id, record.total_tokens, record.cost_microusd)


async def running(database: Database, account_id: int, end_user: str | None) -> None:
    """An attempt that has not ended."""
    async with database.begin() as session:
        [whole] = await budgets.of_account(session, account_id)
        [period] = await budgets.periods(session, whole.id)
        details = orjson.dumps({"account_id": account_id, "end_user": end_user})
        values = {
            "attempt_id": f"running-{account_id}",
            "account_id": account_id,
            "state": "dispatched",
            "owner": "somebody",
            "lease_until": datetime(2100, 1, 1, tzinfo=UTC),
            "created_at": NOON,
            "account_period_id": period.id,
            "reserved_tokens": 5,
            "reserved_microusd": 0,
            "observed_prompt_tokens": 0,
            "observed_completion_tokens": 0,
            "details": details,
        }
        await session.execute(insert(tables.reservation).values(values))
        await budgets.change_period(session, period.id, {"reserved_tokens": 5})


def a_response(account_id: int, public_id: str) -> dict[str, Any]:
    """The columns of an answer that was kept: its input is one item, and it has no output."""
    return {
        "public_id": public_id,
        "account_id": account_id,
        "kind": "response",
        "is_stored": True,
        "status": "completed",
        "model": "gpt-5",
        "first_sequence": 0,
        "output_sequence": 1,
        "end_sequence": 1,
        "body": b'{"temperature": 1}',
        "metadata": {"topic": "tides"},
        "created_at": NOON,
        "ended_at": NOON,
    }


async def rows(database: Database, table: str, *columns: str) -> list[tuple[Any, ...]]:
    """What a table holds, of these columns or all."""
    there = tables.metadata.tables[table]
    wanted = [there.c[name] for name in columns] or list(there.c)
    async with database.reading() as session:
        found = await session.execute(select(*wanted).order_by(*there.primary_key.columns))
        return [tuple(row) for row in found]


async def violations(database: Database) -> list[Violation]:
    """What is not as it has to be."""
    async with database.reading() as session:
        return await invariants.violations(session)


async def _chat(database: Database, account_id: int, name: str) -> None:
    async with database.begin() as session:
        conversation = {
            "public_id": f"conv_{name}",
            "account_id": account_id,
            "kind": "chat",
            "name": "Homework",
            "settings": b"{}",
            "next_sequence": 1,
            "created_at": NOON,
        }
        made = insert(tables.conversation).values(conversation).returning(tables.conversation.c.id)
        conversation_id = (await session.execute(made)).scalar_one()
        item = {
            "public_id": f"msg_{name}",
            "conversation_id": conversation_id,
            "account_id": account_id,
            "kind": "message",
            "role": "user",
            "status": "completed",
            "content": b'"a \\u0000 secret"',
            "sequence": 0,
            "created_at": NOON,
        }
        await session.execute(insert(tables.item).values(item))
        response = a_response(account_id, f"resp_{name}") | {"conversation_id": conversation_id}
        made = insert(tables.response).values(response).returning(tables.response.c.id)
        event = {"response_id": (await session.execute(made)).scalar_one(), "account_id": account_id}
        await session.execute(insert(tables.response_event).values(event | {"first": 0, "last": 3, "frames": b"data"}))
        result = {
            "holder": f"account:{account_id}",
            "key_hash": name.encode(),
            "fingerprint": b"",
            "request_id": "req_2",
            "state": "done",
            "owner": "somebody",
            "lease_until": NOON,
            "created_at": NOON,
            "expires_at": NOON,
        }
        await session.execute(insert(tables.idempotency_key).values(result))
        kept = {"upstream": "openai", "kind": "files", "object_id": f"file-{name}", "created_at": NOON}
        await session.execute(insert(tables.upstream_object).values(kept | {"account_id": account_id}))
        told = {"id": f"evt_{name}", "account_id": account_id, "payload": b"{}", "created_at": NOON}
        await session.execute(insert(tables.webhook_event).values(told))
