"""Statements on accounts."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from llm_backend.storage.tables import account


@dataclass(frozen=True, slots=True)
class Account:
    """Who pays, and whose things are kept apart from everyone else's."""

    id: int
    name: str
    active: bool
    created_at: datetime
    updated_at: datetime | None
    course: str | None = None
    token_limit: int | None = None
    """In tokens; None for no limit."""
    used_tokens: int = 0
    """The sum of its usage records."""


async def add(
    session: AsyncSession, name: str, now: datetime, *, course: str | None = None, token_limit: int | None = None
) -> Account:
    """A new account. The name has to be free: see `find_active`; the unique index raises where two race."""
    values = {"name": name, "active": True, "created_at": now, "course": course, "token_limit": token_limit}
    number = (await session.execute(insert(account).values(values).returning(account.c.id))).scalar_one()
    return Account(number, name, active=True, created_at=now, updated_at=None, course=course, token_limit=token_limit)


async def find(session: AsyncSession, account_id: int) -> Account | None:
    """The account, active or not."""
    return await _one(session, select(account).where(account.c.id == account_id))


async def lock(session: AsyncSession, account_id: int) -> Account | None:
    """The account, active or not, changed by nobody else until the transaction ends."""
    # Its id stays: rows that refer to it may be added meanwhile.
    return await _one(session, select(account).where(account.c.id == account_id).with_for_update(key_share=True))


async def find_active(session: AsyncSession, name: str) -> Account | None:
    """The one active account of that name."""
    return await _one(session, select(account).where(account.c.name == name, account.c.active))


async def every(session: AsyncSession) -> list[Account]:
    """All accounts, active or not, by name."""
    rows = await session.execute(select(account).order_by(account.c.name, account.c.id))
    return [Account(**row) for row in rows.mappings()]


async def change(session: AsyncSession, account_id: int, values: dict[str, Any], now: datetime) -> None:
    """Put `values` in the place of what the account had; the unique index raises where its name is taken."""
    await session.execute(update(account).where(account.c.id == account_id).values(**values, updated_at=now))


async def charge(session: AsyncSession, account_id: int, tokens: int) -> None:
    """Add to what the account has used: in one statement, so that no other charge is lost."""
    added = update(account).where(account.c.id == account_id)
    await session.execute(added.values(used_tokens=account.c.used_tokens + tokens))


async def close(session: AsyncSession, account_id: int, now: datetime) -> bool:
    """Whether this closed it: from here on its keys are refused and its name is free. Twice changes nothing."""
    open_one = account.c.id == account_id, account.c.active
    closed = update(account).where(*open_one).values(active=False, updated_at=now).returning(account.c.id)
    return (await session.execute(closed)).first() is not None


async def _one(session: AsyncSession, query: Select[Any]) -> Account | None:
    row = (await session.execute(query)).mappings().first()
    return Account(**row) if row else None
