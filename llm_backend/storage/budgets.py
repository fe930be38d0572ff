"""Statements on budgets: their rules, and one row of sums for each of their periods."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from llm_backend.storage.accounts import WHOLE
from llm_backend.storage.tables import budget, budget_period

Renewal = Literal["never", "day", "week", "month", "term"]

END_USER = "user:"
"""How the subject of an end user's budget begins: behind those of all others, by which the index finds these apart."""

OF_END_USERS = budget.c.subject >= END_USER
SHARED = budget.c.subject < END_USER


@dataclass(frozen=True, slots=True)
class Budget:
    """What of an account is bounded, and how. A limit is None where there is none."""

    id: int
    account_id: int
    subject: str
    """All of the account ('') or 'key:<public id>', 'model:<id>' or 'user:<id>'."""
    token_limit: int | None
    microusd_limit: int | None
    renewal: Renewal
    carries_over: bool
    """Whether what is left of a period is added to the next."""
    terms: list[str] | None
    """The first days of terms, and the day after the last, as ISO dates; for the renewal `term`."""
    created_at: datetime
    updated_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Period:
    """One stretch of a budget, with its sums."""

    id: int
    budget_id: int
    account_id: int
    of_end_user: bool
    starts_at: datetime
    ends_at: datetime | None
    token_limit: int | None
    microusd_limit: int | None
    used_tokens: int
    reserved_tokens: int
    used_microusd: int
    reserved_microusd: int
    warned_tokens: bool
    warned_microusd: bool


async def add(session: AsyncSession, account_id: int, subject: str, values: dict[str, Any], now: datetime) -> Budget:
    """A new budget; `values` are its limits and renewal, by column. The unique index raises where it has one."""
    made = insert(budget).values(account_id=account_id, subject=subject, created_at=now, **values).returning(*budget.c)
    return Budget(**(await session.execute(made)).mappings().one())


async def of_account(session: AsyncSession, account_id: int) -> list[Budget]:
    """The account's budgets but those of its end users, that of all of it first."""
    shared = select(*budget.c).where(budget.c.account_id == account_id, SHARED)
    rows = await session.execute(shared.order_by(budget.c.subject, budget.c.id))
    return [Budget(**row) for row in rows.mappings()]


async def count_end_users(session: AsyncSession, account_id: int) -> int:
    """How many end users of the account have a budget."""
    counted = select(func.count()).select_from(budget).where(budget.c.account_id == account_id, OF_END_USERS)
    return int((await session.execute(counted)).scalar_one())


async def find(session: AsyncSession, account_id: int, subject: str = WHOLE) -> Budget | None:
    rows = await session.execute(
        select(*budget.c).where(budget.c.account_id == account_id, budget.c.subject == subject)
    )
    row = rows.mappings().first()
    return Budget(**row) if row else None


async def change(session: AsyncSession, budget_id: int, values: dict[str, Any], now: datetime) -> None:
    """Put `values` in the place of what the budget had; its periods are the caller's to change."""
    await session.execute(update(budget).where(budget.c.id == budget_id).values(**values, updated_at=now))


async def open_period(session: AsyncSession, of: Budget, values: dict[str, Any]) -> int:
    """A new period's number; `values` are its bounds and limits. The unique index raises where it is open already."""
    owner = {"budget_id": of.id, "account_id": of.account_id, "of_end_user": of.subject.startswith(END_USER)}
    made = insert(budget_period).values(**owner, **values)
    return int((await session.execute(made.returning(budget_period.c.id))).scalar_one())


async def change_period(session: AsyncSession, period_id: int, values: dict[str, Any]) -> None:
    await session.execute(update(budget_period).where(budget_period.c.id == period_id).values(**values))


async def periods(session: AsyncSession, budget_id: int) -> list[Period]:
    """All periods of a budget, the newest first."""
    own = select(*budget_period.c).where(budget_period.c.budget_id == budget_id)
    rows = await session.execute(own.order_by(budget_period.c.starts_at.desc()))
    return [Period(**row) for row in rows.mappings()]


async def period_at(session: AsyncSession, budget_id: int, moment: datetime) -> Period | None:
    """The period of a budget that `moment` falls into, changed by nobody else until the transaction ends."""
    query = select(*budget_period.c).where(
        budget_period.c.budget_id == budget_id,
        budget_period.c.starts_at <= moment,
        or_(budget_period.c.ends_at.is_(None), budget_period.c.ends_at > moment),
    )
    row = (await session.execute(query.with_for_update(key_share=True))).mappings().first()
    return Period(**row) if row else None


async def charge(session: AsyncSession, period_id: int, tokens: int, microusd: int) -> None:
    """Add to what was used in the period: in one statement, so that no other charge is lost."""
    added = {
        "used_tokens": budget_period.c.used_tokens + tokens,
        "used_microusd": budget_period.c.used_microusd + microusd,
    }
    await change_period(session, period_id, added)
