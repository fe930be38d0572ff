"""Rows in bulk, made by the database itself: what it holds after years of use, within seconds."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from sqlalchemy import BigInteger, ColumnElement, Table, Text, case, cast, func, insert, literal, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from llm_backend.storage.database import Database
from llm_backend.storage.days import utc_day
from llm_backend.storage.ledger_tables import DAILY_SUMS
from llm_backend.storage.reservations import KEPT
from llm_backend.storage.tables import (
    account,
    api_key,
    audit_record,
    budget,
    budget_period,
    conversation,
    idempotency_key,
    item,
    reservation,
    upstream_object,
    usage_day,
    usage_record,
)

DAYS = 30
"""Over which usage is spread; of the last of them reservations are kept."""
MODELS = 10
BORN = datetime(1970, 1, 1, tzinfo=UTC)
WORDS = "Of a chat of ten thousand messages a model reads the last ones only, as many as it has room for. " * 2
"""What each message of a chat says."""

Value = Any
"""Of a column: a constant, or an expression of the row's number."""


@dataclass(frozen=True, slots=True)
class Amounts:
    """How many rows there are to be; a tenth of what accounts have is `owner`'s."""

    records: int
    """Of usage."""
    keys: int
    messages: int
    """In the one chat."""
    others: int
    """Other accounts."""


async def fill(database: Database, owner: int, chat: int, amounts: Amounts) -> None:
    """Add the rows, the books kept: of the account `owner` and its chat, and of accounts that are made for it."""
    async with database.begin() as session:
        others = await _accounts(session, amounts.others)
        own = await _whole_period(session, owner)
        for whose, part in ((_Whose(owner, own), 0.1), (others, 0.9)):
            await _keys(session, whose, int(amounts.keys * part))
            await _usage(session, whose, int(amounts.records * part))
            await _belongings(session, whose, int(amounts.records * part) // 10)
        await _sums(session)
        await _messages(session, owner, chat, amounts.messages)


@dataclass(frozen=True, slots=True)
class _Whose:
    """To which accounts rows belong in turn, and to the periods of which budgets."""

    account_id: int
    period_id: int
    accounts: int = 1
    """With this number and those that follow it."""

    def of(self, number: ColumnElement[int]) -> dict[str, ColumnElement[int]]:
        turn = number % self.accounts
        return {"account_id": self.account_id + turn, "account_period_id": self.period_id + turn}


async def _put(session: AsyncSession, table: Table, count: int, values: Mapping[str, Value]) -> None:
    """So many rows; where a value is a function, of the number of its row, which begins at 0."""
    first = select(literal(0, BigInteger).label("number")).cte("numbers", recursive=True)
    numbers = first.union_all(select(first.c.number + 1).where(first.c.number < count - 1))
    made = {
        name: value(numbers.c.number) if callable(value) else literal(value, table.c[name].type)
        for name, value in values.items()
    }
    await session.execute(insert(table).from_select(list(made), select(*made.values()).where(literal(count) > 0)))


def _named(prefix: str) -> Any:
    """A text of the row's number, of one length for all rows."""
    return lambda number: literal(prefix).concat(cast(literal(10**11, BigInteger) + number, Text))


async def _accounts(session: AsyncSession, count: int) -> _Whose:
    await _put(session, account, count, {"name": _named("filled "), "created_at": BORN})
    first = (await session.execute(select(func.max(account.c.id)))).scalar_one() - count + 1
    limits = {"token_limit": 10**15}
    of = {"account_id": lambda number: first + number}
    await _put(session, budget, count, of | limits | {"created_at": BORN})
    budgets = (await session.execute(select(func.max(budget.c.id)))).scalar_one() - count + 1
    period = of | limits | {"budget_id": lambda number: budgets + number, "starts_at": BORN}
    await _put(session, budget_period, count, period)
    return _Whose(first, (await session.execute(select(func.max(budget_period.c.id)))).scalar_one() - count + 1, count)


async def _whole_period(session: AsyncSession, owner: int) -> int:
    """The one period of the account's budget, which does not renew; it has one since its first request."""
    whole = select(func.min(budget_period.c.id)).where(budget_period.c.account_id == owner)
    return int((await session.execute(whole)).scalar_one())


async def _keys(session: AsyncSession, whose: _Whose, count: int) -> None:
    told = {"name": "", "last4": "0000", "digest": b"", "pepper_version": 1, "scopes": [], "created_at": BORN}
    of = {
        "public_id": _named(f"k{whose.account_id}x"),
        "account_id": _whose_column(whose, "account_id"),
    }
    await _put(session, api_key, count, told | of)


async def _usage(session: AsyncSession, whose: _Whose, count: int) -> None:
    now = datetime.now(UTC)
    for day in range(DAYS):
        ended_at = now - timedelta(days=DAYS - day, seconds=whose.account_id)
        moment = f"{int(ended_at.timestamp() * 1000):012x}"
        attempts = _named(f"{moment[:8]}-{moment[8:]}-7000-8000-")
        counts = dict.fromkeys(DAILY_SUMS, 0) | {"prompt_tokens": 20, "completion_tokens": 10, "cost_microusd": 3}
        texts = {"operation": "createChatCompletion", "upstream": "upstream", "upstream_model": "model"}
        flags = dict.fromkeys(("stream", "usage_missing", "usage_implausible", "overrun"), False)
        ended = {"kind": "charge", "status": "completed", "basis": "reported", "raw_usage": b"{}"}
        of = {
            "attempt_id": attempts,
            "request_id": attempts,
            "model": lambda number: literal("model ").concat(cast(number % MODELS, Text)),
            **{name: _whose_column(whose, name) for name in ("account_id", "account_period_id")},
        }
        moments = {"started_at": ended_at, "ended_at": ended_at}
        await _put(session, usage_record, count // DAYS, counts | texts | flags | ended | of | moments)
        if now - ended_at < KEPT:
            await _reservations(session, whose, ended_at)


def _whose_column(whose: _Whose, name: str) -> Any:
    return lambda number: whose.of(number)[name]


async def _reservations(session: AsyncSession, whose: _Whose, ended_at: datetime) -> None:
    """Of the records of that moment, as they are kept for a while after they were settled."""
    of = usage_record.c
    values: dict[str, Any] = {
        "attempt_id": of.attempt_id,
        "account_id": of.account_id,
        "account_period_id": of.account_period_id,
        "state": literal("settled"),
        "owner": literal("a process that ended"),
        "lease_until": of.ended_at,
        "created_at": of.started_at,
        **dict.fromkeys(("reserved_tokens", "reserved_microusd"), literal(100)),
        **dict.fromkeys(("observed_prompt_tokens", "observed_completion_tokens"), literal(0)),
        "details": literal(orjson.dumps({"model": "model", "padding": "x" * 300}), reservation.c.details.type),
    }
    last = whose.account_id + whose.accounts - 1
    found = select(*values.values()).where(of.ended_at == ended_at, of.account_id.between(whose.account_id, last))
    await session.execute(insert(reservation).from_select(list(values), found))


async def _belongings(session: AsyncSession, whose: _Whose, count: int) -> None:
    """What else there is of accounts: results that are kept for a day, objects at upstreams, what was audited."""
    now = datetime.now(UTC)
    own = {"account_id": _whose_column(whose, "account_id")}
    held = {"fingerprint": b"", "request_id": "", "state": "done", "owner": "", "lease_until": now}
    until = {"created_at": now, "expires_at": now + timedelta(days=1)}
    key = {"key_hash": lambda number: cast(_named("")(number), idempotency_key.c.key_hash.type)}
    await _put(session, idempotency_key, count, held | until | key | {"holder": f"account:{whose.account_id}"})
    kept = {"upstream": "upstream", "kind": "files", "created_at": now}
    await _put(session, upstream_object, count, kept | own | {"object_id": _named(f"file-{whose.account_id}-")})
    noted = {"at": now, "actor": "admin", "operation": "update", "target_kind": "key", "fields": []}
    await _put(session, audit_record, count, noted | {"target_id": _named(f"k{whose.account_id}x")})


async def _sums(session: AsyncSession) -> None:
    """Those of days and periods, of the records that are there."""
    key = [usage_record.c.account_id, utc_day(usage_record.c.ended_at), usage_record.c.model]
    sums = [func.sum(usage_record.c[name]) for name in DAILY_SUMS]
    filled = select(*key, literal(""), literal(""), func.count(), *sums).where(usage_record.c.upstream == "upstream")
    names = ["account_id", "day", "model", "key_id", "end_user", "requests", *DAILY_SUMS]
    await session.execute(insert(usage_day).from_select(names, filled.group_by(*key)))
    counted = [usage_record.c.prompt_tokens + usage_record.c.completion_tokens, usage_record.c.cost_microusd]
    totals = (
        select(func.coalesce(func.sum(each), 0))
        .where(
            usage_record.c.account_period_id == budget_period.c.id,
            usage_record.c.account_id == budget_period.c.account_id,
        )
        .scalar_subquery()
        for each in counted
    )
    used = dict(zip(("used_tokens", "used_microusd"), totals, strict=True))
    whole = budget_period.c.id.in_(select(usage_record.c.account_period_id))
    await session.execute(update(budget_period).where(whole).values(used))


async def _messages(session: AsyncSession, owner: int, chat: int, count: int) -> None:
    """Questions and answers in turn, behind what was said."""
    following = select(conversation.c.next_sequence).where(conversation.c.id == chat)
    first = int((await session.execute(following)).scalar_one())
    said = {
        "public_id": _named(f"msg_{chat}_"),
        "conversation_id": chat,
        "account_id": owner,
        "kind": "message",
        "status": "completed",
        "content": orjson.dumps(WORDS),
        "role": lambda number: case((number % 2 == 0, "user"), else_="assistant"),
        "sequence": lambda number: first + number,
        "created_at": BORN,
    }
    await _put(session, item, count, said)
    await session.execute(update(conversation).where(conversation.c.id == chat).values(next_sequence=first + count))
