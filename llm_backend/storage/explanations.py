"""Statements on what a budget's sums are made of."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, and_, cast, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from llm_backend.storage.budgets import Budget, Period
from llm_backend.storage.moments import db_now
from llm_backend.storage.tables import budget, budget_period, reservation, usage_record

OPEN = reservation.c.state.in_(("held", "dispatched"))


@dataclass(frozen=True, slots=True)
class Entry:
    """A charge or an adjustment."""

    attempt_id: str
    kind: str
    request_id: str
    key_id: str | None
    model: str
    basis: str
    overrun: bool
    prompt_tokens: int
    completion_tokens: int
    cost_microusd: int
    ended_at: datetime

    @property
    def total_tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens


@dataclass(frozen=True, slots=True)
class Running:
    """A reservation that is open."""

    attempt_id: str
    key_id: str | None
    state: str
    reserved_tokens: int
    reserved_microusd: int
    created_at: datetime
    lease_until: datetime


@dataclass(frozen=True, slots=True)
class Sum:
    """Of how many rows, in both currencies."""

    rows: int
    tokens: int
    microusd: int


async def current(session: AsyncSession, account_id: int) -> list[tuple[Budget, Period | None]]:
    """The account's budgets with the periods that they are in, by the database's clock; that of all of it first."""
    now = db_now()
    is_current = and_(
        budget_period.c.budget_id == budget.c.id,
        budget_period.c.starts_at <= now,
        or_(budget_period.c.ends_at.is_(None), budget_period.c.ends_at > now),
    )
    joined = select(budget, budget_period.c.id).outerjoin_from(budget, budget_period, is_current)
    rows = (await session.execute(joined.where(budget.c.account_id == account_id).order_by(budget.c.id))).all()
    numbers = [row[-1] for row in rows if row[-1] is not None]
    found = await session.execute(select(*budget_period.c).where(budget_period.c.id.in_(numbers)))
    periods = {row["id"]: Period(**row) for row in found.mappings()}
    every = [(Budget(*row[:-1]), periods.get(row[-1])) for row in rows]
    return sorted(every, key=lambda each: each[0].subject)


async def charged(session: AsyncSession, subject: str, period_id: int) -> Sum:
    """The sum of a period's records."""
    column = _column(usage_record, subject)
    tokens = usage_record.c.prompt_tokens + usage_record.c.completion_tokens
    return await _sum(session, tokens, usage_record.c.cost_microusd, column == period_id)


async def held(session: AsyncSession, subject: str, period_id: int) -> Sum:
    """The sum of a period's open reservations."""
    amounts = reservation.c.reserved_tokens, reservation.c.reserved_microusd
    return await _sum(session, *amounts, and_(OPEN, _column(reservation, subject) == period_id))


async def newest_entries(session: AsyncSession, subject: str, period_id: int, limit: int) -> Sequence[Entry]:
    """The last of a period's records, in the order in which they were settled."""
    columns = [usage_record.c[name] for name in Entry.__dataclass_fields__]
    latest = usage_record.c.ended_at.desc(), usage_record.c.attempt_id.desc(), usage_record.c.kind
    own = select(*columns).where(_column(usage_record, subject) == period_id).order_by(*latest).limit(limit)
    return [Entry(**row) for row in (await session.execute(own)).mappings()][::-1]


async def newest_running(session: AsyncSession, subject: str, period_id: int, limit: int) -> Sequence[Running]:
    """The last of a period's open reservations, oldest first."""
    columns = [reservation.c[name] for name in Running.__dataclass_fields__]
    own = select(*columns).where(OPEN, _column(reservation, subject) == period_id)
    latest = own.order_by(reservation.c.created_at.desc(), reservation.c.attempt_id.desc()).limit(limit)
    return [Running(**row) for row in (await session.execute(latest)).mappings()][::-1]


def _column(table: Any, subject: str) -> ColumnElement[Any]:
    """Where a row names the period of a budget of `subject`."""
    kind = subject.partition(":")[0] or "account"
    column: ColumnElement[Any] = table.c[f"{kind}_period_id"]
    return column


async def _sum(
    session: AsyncSession, tokens: ColumnElement[int], microusd: ColumnElement[int], where: ColumnElement[bool]
) -> Sum:
    sums = [cast(func.coalesce(func.sum(each), 0), BigInteger) for each in (tokens, microusd)]
    row = (await session.execute(select(func.count(), *sums).where(where))).one()
    return Sum(*row)
