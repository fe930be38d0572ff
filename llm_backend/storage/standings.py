"""Statements that tell how the budgets of an account stand; they wait for nobody."""

from collections.abc import Collection
from typing import TypedDict, Unpack

from sqlalchemy import ColumnElement, and_, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from llm_backend.storage.budgets import OF_END_USERS, SHARED, Budget, Period
from llm_backend.storage.moments import db_now
from llm_backend.storage.tables import budget, budget_period


class Which(TypedDict, total=False):
    """Which of an account's budgets are meant; where nothing is said, all but those of its end users."""

    subjects: Collection[str]
    after: str
    """Of its end users, those behind this subject."""
    limit: int


async def of_account(
    session: AsyncSession, account_id: int, **which: Unpack[Which]
) -> list[tuple[Budget, Period | None]]:
    """Its budgets, that of all of it first, each with the period that is now by the database's clock."""
    wanted = select(budget.c.id).where(budget.c.account_id == account_id, _is_meant(which))
    some = wanted.order_by(budget.c.subject, budget.c.id).limit(which.get("limit"))
    rows = await session.execute(select(*budget.c).where(budget.c.id.in_(some)).order_by(budget.c.subject, budget.c.id))
    found = [Budget(**row) for row in rows.mappings()]
    now = db_now()
    going_on = or_(budget_period.c.ends_at.is_(None), budget_period.c.ends_at > now)
    current = select(*budget_period.c).where(
        budget_period.c.budget_id.in_(some), budget_period.c.starts_at <= now, going_on
    )
    periods = {row["budget_id"]: Period(**row) for row in (await session.execute(current)).mappings()}
    return [(each, periods.get(each.id)) for each in found]


def _is_meant(which: Which) -> ColumnElement[bool]:
    if "subjects" in which:
        return budget.c.subject.in_(which["subjects"])
    return and_(OF_END_USERS, budget.c.subject > which["after"]) if "after" in which else SHARED
