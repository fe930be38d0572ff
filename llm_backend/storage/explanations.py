"""Statements on what a budget's sums are made of."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, and_, cast, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from llm_backend.storage.budgets import Period
from llm_backend.storage.ledger_tables import IS_OPEN
from llm_backend.storage.tables import reservation, usage_record

LATENESS = timedelta(days=1)
"""How much earlier than its period began a record of it may have ended: two clocks differ by less."""


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
    images: int
    seconds: int
    characters: int
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


async def charged(session: AsyncSession, subject: str, period: Period) -> Sum:
    """The sum of a period's records."""
    tokens = usage_record.c.prompt_tokens + usage_record.c.completion_tokens
    return await _sum(session, tokens, usage_record.c.cost_microusd, _settled_in(subject, period))


async def held(session: AsyncSession, subject: str, period: Period) -> Sum:
    """The sum of a period's open reservations."""
    amounts = reservation.c.reserved_tokens, reservation.c.reserved_microusd
    return await _sum(session, *amounts, and_(IS_OPEN, _in(reservation, subject, period)))


async def newest_entries(session: AsyncSession, subject: str, period: Period, limit: int) -> Sequence[Entry]:
    """The last of a period's records, in the order in which they were settled."""
    columns = [usage_record.c[name] for name in Entry.__dataclass_fields__]
    latest = usage_record.c.ended_at.desc(), usage_record.c.attempt_id.desc(), usage_record.c.kind
    own = select(*columns).where(_settled_in(subject, period)).order_by(*latest).limit(limit)
    return [Entry(**row) for row in (await session.execute(own)).mappings()][::-1]


async def newest_running(session: AsyncSession, subject: str, period: Period, limit: int) -> Sequence[Running]:
    """The last of a period's open reservations, oldest first."""
    columns = [reservation.c[name] for name in Running.__dataclass_fields__]
    own = select(*columns).where(IS_OPEN, _in(reservation, subject, period))
    latest = own.order_by(reservation.c.created_at.desc(), reservation.c.attempt_id.desc()).limit(limit)
    return [Running(**row) for row in (await session.execute(latest)).mappings()][::-1]


def _settled_in(subject: str, period: Period) -> ColumnElement[bool]:
    """Whether a record is of the period: none of an earlier one is looked at."""
    return and_(_in(usage_record, subject, period), usage_record.c.ended_at >= period.starts_at - LATENESS)


def _in(table: Any, subject: str, period: Period) -> ColumnElement[bool]:
    """Whether a row is of the period, which is one of a budget of `subject`."""
    kind = subject.partition(":")[0] or "account"
    # The account's index leads there.
    return and_(table.c.account_id == period.account_id, table.c[f"{kind}_period_id"] == period.id)


async def _sum(
    session: AsyncSession, tokens: ColumnElement[int], microusd: ColumnElement[int], where: ColumnElement[bool]
) -> Sum:
    sums = [cast(func.coalesce(func.sum(each), 0), BigInteger) for each in (tokens, microusd)]
    row = (await session.execute(select(func.count(), *sums).where(where))).one()
    return Sum(*tuple(row))
