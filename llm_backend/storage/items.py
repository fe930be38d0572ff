"""Statements on the items of conversations, each with what its attempt at an upstream was charged."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Select, and_, insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from llm_backend.storage.ledger_tables import usage_record
from llm_backend.storage.tables import item


@dataclass(frozen=True, slots=True)
class Item:
    """One item of a conversation."""

    id: int
    """An alias of the public id, for clients that know numbers."""
    public_id: str
    conversation_id: int
    account_id: int
    kind: str
    role: str | None
    status: str
    content: bytes
    """JSON."""
    details: bytes | None
    """What the kind keeps of its own, as a JSON object."""
    sequence: int
    attempt_id: str | None
    created_at: datetime
    updated_at: datetime | None
    prompt_tokens: int | None = None
    """What its attempt was charged; None where there was none."""
    completion_tokens: int | None = None


class Said(NamedTuple):
    """What an item says."""

    sequence: int
    role: str | None
    content: bytes
    """JSON."""


async def add(session: AsyncSession, rows: Sequence[dict[str, Any]]) -> None:
    """New items, by column; the unique indexes raise where a public id or a place in the sequence is taken."""
    await session.execute(insert(item).values(list(rows)))


async def of_conversation(
    session: AsyncSession, account_id: int, conversation_id: int, after: int | None = None, limit: int | None = None
) -> list[Item]:
    """The conversation's items in their sequence: all, or the first `limit` of those behind the item `after`.

    None where the conversation is not the account's, or the item not the conversation's.
    """
    own = _read(account_id).where(item.c.conversation_id == conversation_id)
    if after is not None:
        marks = item.alias()
        mark = select(marks.c.sequence).where(marks.c.id == after, marks.c.conversation_id == conversation_id)
        own = own.where(item.c.sequence > mark.scalar_subquery())
    return [Item(**row) for row in (await session.execute(own.order_by(item.c.sequence).limit(limit))).mappings()]


async def said_before(
    session: AsyncSession, account_id: int, conversation_id: int, sequence: int, most: int | None
) -> list[Said]:
    """The last items in front of that sequence, `most` of them or all, the newest first."""
    columns = [item.c[name] for name in Said._fields]
    own = item.c.conversation_id == conversation_id, item.c.account_id == account_id
    earlier = select(*columns).where(*own, item.c.sequence < sequence).order_by(item.c.sequence.desc())
    return [Said(*row) for row in await session.execute(earlier.limit(most))]


async def find(session: AsyncSession, account_id: int, public_id: str) -> Item | None:
    """The account's item of that public id."""
    row = (await session.execute(_read(account_id).where(item.c.public_id == public_id))).mappings().first()
    return Item(**row) if row else None


def _read(account_id: int) -> Select[Any]:
    charge = and_(
        usage_record.c.attempt_id == item.c.attempt_id,
        usage_record.c.kind == "charge",
        usage_record.c.account_id == item.c.account_id,
    )
    counts = usage_record.c.prompt_tokens, usage_record.c.completion_tokens
    return (
        select(*item.c, *counts)
        .select_from(item.outerjoin(usage_record, charge))
        .where(item.c.account_id == account_id)
    )
