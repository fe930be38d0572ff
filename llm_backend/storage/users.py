"""Statements on users: the people whom an account is for."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from llm_backend.storage.tables import account_user


@dataclass(frozen=True, slots=True)
class User:
    """Someone of an account, known by a code."""

    id: int
    code: str
    name: str | None
    account_id: int | None
    created_at: datetime
    updated_at: datetime | None


async def add(session: AsyncSession, code: str, name: str | None, account_id: int | None, now: datetime) -> User:
    """A new user; the unique index raises where the code is taken."""
    values = {"code": code, "name": name, "account_id": account_id, "created_at": now}
    new = insert(account_user).values(values).returning(account_user.c.id)
    number = (await session.execute(new)).scalar_one()
    return User(number, code, name, account_id, now, None)


async def every(session: AsyncSession) -> list[User]:
    """All users, by number."""
    rows = await session.execute(select(account_user).order_by(account_user.c.id))
    return [User(**row) for row in rows.mappings()]


async def of_account(session: AsyncSession, account_id: int) -> list[User]:
    """The account's users, by number."""
    own = select(account_user).where(account_user.c.account_id == account_id).order_by(account_user.c.id)
    return [User(**row) for row in (await session.execute(own)).mappings()]


async def by_code(session: AsyncSession, codes: Collection[str]) -> dict[str, int]:
    """The numbers of those users that exist, by their codes."""
    known = select(account_user.c.code, account_user.c.id).where(account_user.c.code.in_(codes))
    return {row.code: row.id for row in await session.execute(known)}


async def lock(session: AsyncSession, account_id: int, wanted: Collection[int]) -> list[User]:
    """The account's users and those that are wanted for it, held until the transaction ends."""
    concerned = or_(account_user.c.account_id == account_id, account_user.c.id.in_(wanted))
    # By number, so that two that move the same users wait for one another and never crosswise.
    query = select(account_user).where(concerned).order_by(account_user.c.id).with_for_update(key_share=True)
    return [User(**row) for row in (await session.execute(query)).mappings()]


async def move(session: AsyncSession, user_ids: Collection[int], account_id: int | None, now: datetime) -> None:
    """From here on the users are of that account, of none where it is None."""
    moved = update(account_user).where(account_user.c.id.in_(user_ids))
    await session.execute(moved.values(account_id=account_id, updated_at=now))
