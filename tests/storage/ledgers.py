"""A ledger in which everything is as it has to be: rows that tests read, or damage."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import insert, update
from sqlalchemy.ext.asyncio import AsyncSession

from llm_backend.storage import usage
from llm_backend.storage.database import Database
from llm_backend.storage.ledger_tables import DAILY_SUMS
from llm_backend.storage.tables import (
    account,
    api_key,
    budget,
    budget_period,
    conversation,
    idempotency_key,
    item,
    reservation,
    response,
    usage_day,
)
from llm_backend.storage.usage import UsageRecord
from tests.storage.records import a_record

NOW = datetime.now(UTC)
AN_HOUR_AGO = NOW - timedelta(hours=1)
KEY_ID = "abcdefghijkl"
SETTLED, OPEN, CRASHED = (f"019cae00-0000-7000-8000-00000000000{number}" for number in (1, 2, 3))

ALICE, BOB = 1, 2
WHOLE, OF_KEY, OF_MODEL, OF_BOB = 1, 2, 3, 4
"""Budgets, and their periods: they count alike on a fresh database."""


async def keep_a_sound_ledger(database: Database) -> None:
    """Alice with budgets for all, a key and a model: a charge, a crash with its truth, and a request that runs."""
    async with database.begin() as session:
        await _accounts(session)
        await _budgets(session)
        for attempt_id, state in ((SETTLED, "settled"), (CRASHED, "settled"), (OPEN, "dispatched")):
            await session.execute(insert(reservation).values(a_reservation(attempt_id, state)))
        await keep(session, records())
        await _chat(session)


def records() -> list[UsageRecord]:
    """Two charges and an adjustment downwards: 12 + 12 - 2 tokens, 3 + 3 - 1 micro-dollars."""
    periods = {"account_period_id": WHOLE, "key_period_id": OF_KEY, "model_period_id": OF_MODEL}
    usual = {"key_id": KEY_ID, "started_at": AN_HOUR_AGO, "ended_at": AN_HOUR_AGO, **periods}
    nothing = dict.fromkeys(DAILY_SUMS, 0)
    late = nothing | {"completion_tokens": -2, "cost_microusd": -1}
    told = b'{"prompt_tokens": 7, "completion_tokens": 3}'
    return [
        a_record(ALICE, attempt_id=SETTLED, **usual),
        a_record(ALICE, attempt_id=CRASHED, request_id="req_2", basis="crash", raw_usage=None, **usual),
        a_record(ALICE, attempt_id=CRASHED, request_id="req_2", kind="adjustment", raw_usage=told, **usual | late),
    ]


def a_reservation(attempt_id: str, state: str, **different: Any) -> dict[str, Any]:
    """One of 20 tokens and 9 micro-dollars, but for what is `different`."""
    usual = {
        "attempt_id": attempt_id,
        "account_id": ALICE,
        "key_id": KEY_ID,
        "state": state,
        "owner": "process",
        "lease_until": NOW + timedelta(days=1),
        "created_at": AN_HOUR_AGO - timedelta(minutes=1),
        "account_period_id": WHOLE,
        "key_period_id": OF_KEY,
        "model_period_id": OF_MODEL,
        "reserved_tokens": 20,
        "reserved_microusd": 9,
        "observed_prompt_tokens": 7,
        "observed_completion_tokens": 1,
        "details": b"{}",
    }
    return usual | different


async def keep(session: AsyncSession, made: Iterable[UsageRecord]) -> None:
    """Write records as the ledger does: with the sums of their periods and days."""
    for record in made:
        await usage.add(session, record)
        for period_id in (record.account_period_id, record.key_period_id, record.model_period_id):
            of_it = update(budget_period).where(budget_period.c.id == period_id)
            await session.execute(
                of_it.values(
                    used_tokens=budget_period.c.used_tokens + record.total_tokens,
                    used_microusd=budget_period.c.used_microusd + record.cost_microusd,
                )
            )
        await add_to_day(session, record)


async def add_to_day(session: AsyncSession, record: UsageRecord) -> None:
    """Write the sums of the record's day, or add to them."""
    added = {"requests": int(record.kind == "charge")} | {name: getattr(record, name) for name in DAILY_SUMS}
    key = {
        "account_id": record.account_id,
        "day": record.ended_at.astimezone(UTC).date(),
        "key_id": record.key_id or "",
        "model": record.model,
        "end_user": record.end_user or "",
    }
    there = update(usage_day).where(*(usage_day.c[name] == value for name, value in key.items()))
    more = there.values({name: usage_day.c[name] + value for name, value in added.items()})
    if (await session.execute(more.returning(usage_day.c.day))).first() is None:
        await session.execute(insert(usage_day).values(key | added))


async def keep_days(database: Database, *days: dict[str, Any]) -> None:
    """Sums of days: of one request each of 7 + 5 tokens and 3 micro-dollars, but for what is said."""
    usual = dict.fromkeys(DAILY_SUMS, 0) | {"prompt_tokens": 7, "completion_tokens": 5, "cost_microusd": 3}
    whose = {"account_id": ALICE, "day": date(2026, 3, 1), "key_id": "", "model": "echo", "end_user": "", "requests": 1}
    async with database.begin() as session:
        for day in days:
            await session.execute(insert(usage_day).values(whose | usual | day))


async def _accounts(session: AsyncSession) -> None:
    for name in ("alice", "bob"):
        await session.execute(insert(account).values(name=name, created_at=AN_HOUR_AGO))
    key = {"name": "", "last4": "0000", "digest": b"", "pepper_version": 1, "scopes": [], "created_at": AN_HOUR_AGO}
    await session.execute(insert(api_key).values(public_id=KEY_ID, account_id=ALICE, **key))


async def _budgets(session: AsyncSession) -> None:
    subjects = ((ALICE, ""), (ALICE, f"key:{KEY_ID}"), (ALICE, "model:echo"), (BOB, ""))
    for number, (account_id, subject) in enumerate(subjects, start=1):
        limits = {"token_limit": 100, "microusd_limit": 50}
        made = {"account_id": account_id, "subject": subject, "created_at": AN_HOUR_AGO, **limits}
        await session.execute(insert(budget).values(**made))
        held = {"reserved_tokens": 20, "reserved_microusd": 9} if account_id == ALICE else {}
        starts_at = datetime(1970, 1, 1, tzinfo=UTC)
        period = {"budget_id": number, "account_id": account_id, "starts_at": starts_at, **limits, **held}
        await session.execute(insert(budget_period).values(**period))


async def _chat(session: AsyncSession) -> None:
    chat = {"public_id": "chat_1", "account_id": ALICE, "kind": "chat", "settings": b"{}", "next_sequence": 2}
    await session.execute(insert(conversation).values(created_at=AN_HOUR_AGO, **chat))
    for sequence, role in enumerate(("user", "assistant")):
        kept = {"conversation_id": 1, "account_id": ALICE, "kind": "message", "role": role, "status": "completed"}
        where = {"public_id": f"msg_{sequence}", "sequence": sequence, "attempt_id": SETTLED}
        await session.execute(insert(item).values(content=b'"Hi"', created_at=AN_HOUR_AGO, **kept, **where))
    answer = {"public_id": "resp_1", "account_id": ALICE, "kind": "response", "is_stored": True, "status": "completed"}
    where = {"conversation_id": 1, "first_sequence": 0, "output_sequence": 1, "end_sequence": 2}
    told = {"model": "echo", "body": b"{}", "metadata": {}, "created_at": AN_HOUR_AGO, "ended_at": AN_HOUR_AGO}
    await session.execute(insert(response).values(**answer, **where, **told))
    promise = {"holder": f"account:{ALICE}", "key_hash": b"1", "fingerprint": b"1", "request_id": "req_1"}
    ended = {"state": "done", "owner": "process", "lease_until": NOW, "created_at": NOW, "expires_at": NOW}
    await session.execute(insert(idempotency_key).values(**promise, **ended))
