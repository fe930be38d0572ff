"""Statements that tell how the budgets of an account stand; they wait for nobody."""

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from llm_backend.storage import budgets
from llm_backend.storage.budgets import Budget, Period
from llm_backend.storage.moments import db_now
from llm_backend.storage.tables import budget_period


async def of_account(session: AsyncSession, account_id: int) -> list[tuple[Budget, Period | None]]:
    """Its budgets, that of all of it first, each with the period that is now by the database's clock."""
    now = db_now()
    going_on = or_(budget_period.c.ends_at.is_(None), budget_period.c.ends_at > now)
    current = select(*budget_period.c).where(
        budget_period.c.account_id == account_id, budget_period.c.starts_at <= now, going_on
    )
    periods = {row["budget_id"]: Period(**row) for row in (await session.execute(current)).mappings()}
    return [(budget, periods.get(budget.id)) for budget in await budgets.of_account(session, account_id)]
