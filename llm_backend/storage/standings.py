"""Statements that tell how the budgets of an account stand; they wait for nobody."""

from collections.abc import Collection

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from llm_backend.storage.budgets import Budget, Period
from llm_backend.storage.moments import db_now
from llm_backend.storage.tables import budget, budget_period


async def of_account(
    session: AsyncSession, account_id: int, subjects: Collection[str] | None = None
) -> list[tuple[Budget, Period | None]]:
    """Its budgets, that of all of it first, each with the period that is now by the database's clock.

    `subjects`: those of them that are wanted; None for all.
    """
    wanted = [budget.c.account_id == account_id]
    if subjects is not None:
        wanted.append(budget.c.subject.in_(subjects))
    known = select(*budget.c).where(*wanted).order_by(budget.c.subject, budget.c.id)
    found = [Budget(**row) for row in (await session.execute(known)).mappings()]
    now = db_now()
    going_on = or_(budget_period.c.ends_at.is_(None), budget_period.c.ends_at > now)
    current = (
        select(*budget_period.c)
        .join_from(budget_period, budget)
        .where(*wanted, budget_period.c.starts_at <= now, going_on)
    )
    periods = {row["budget_id"]: Period(**row) for row in (await session.execute(current)).mappings()}
    return [(each, periods.get(each.id)) for each in found]
