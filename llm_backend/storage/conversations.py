"""Statements on conversations: every one asks for the account too, so that a foreign one is as none."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from llm_backend.storage.tables import conversation

CHAT = "chat"
"""The kind of those below `/api/chats`."""


@dataclass(frozen=True, slots=True)
class Conversation:
    """Items in one sequence."""

    id: int
    """An alias of the public id, for clients that know numbers."""
    public_id: str
    account_id: int
    kind: str
    name: str | None
    settings: bytes
    """What the kind keeps of its own, as a JSON object."""
    next_sequence: int
    created_at: datetime
    updated_at: datetime | None


async def add(session: AsyncSession, account_id: int, kind: str, values: dict[str, Any]) -> Conversation:
    """A new conversation without items; `values` are its public id, name, settings and time, by column."""
    made = insert(conversation).values(account_id=account_id, kind=kind, **values).returning(*conversation.c)
    return Conversation(**(await session.execute(made)).mappings().one())


async def of_account(session: AsyncSession, account_id: int, kind: str) -> list[Conversation]:
    """The account's conversations of that kind, by number."""
    own = select(*conversation.c).where(conversation.c.account_id == account_id, conversation.c.kind == kind)
    return [Conversation(**row) for row in (await session.execute(own.order_by(conversation.c.id))).mappings()]


async def find(session: AsyncSession, account_id: int, kind: str, number: int) -> Conversation | None:
    """The account's conversation of that number, where it is of that kind."""
    one = select(*conversation.c).where(*_own(account_id, number), conversation.c.kind == kind)
    row = (await session.execute(one)).mappings().first()
    return Conversation(**row) if row else None


async def advance(session: AsyncSession, account_id: int, number: int, items: int) -> int | None:
    """The sequence of the first of so many new items; None where the conversation is gone.

    In the transaction that writes them: of two that write at once the second waits here, and none leaves a gap.
    """
    moved = update(conversation).where(*_own(account_id, number))
    moved = moved.values(next_sequence=conversation.c.next_sequence + items)
    after = (await session.execute(moved.returning(conversation.c.next_sequence))).scalar_one_or_none()
    return None if after is None else int(after) - items


def _own(account_id: int, number: int) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return conversation.c.account_id == account_id, conversation.c.id == number
