"""Statements on conversations: every one asks for the account too, so that a foreign one is as none."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, delete, exists, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from llm_backend.storage import idempotency
from llm_backend.storage.state_tables import response, response_event
from llm_backend.storage.tables import conversation, item

CHAT = "chat"
"""The kind of those below `/api/chats`."""

CONVERSATION = "conversation"
"""The kind of those that are made below `/v1/conversations`."""

THREAD = "response"
"""The kind of what responses that go on from one another have said."""

COMPLETION = "completion"
"""The kind of what a stored chat completion was asked and answered."""

PUBLIC = (CHAT, CONVERSATION)
"""The kinds that are found below `/v1/conversations`."""

EVERY = (*PUBLIC, THREAD, COMPLETION)

NUMBER = re.compile(r"[0-9]{1,18}")
"""By which its client knows a chat."""

EXPIRED = "expired"
"""The kind of those of any kind that are kept no longer: what they hold is taken away, some at a time."""


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
    parent_id: str | None
    """The public id of the conversation that it goes on from."""
    parent_sequence: int | None
    """In front of which of that one's items it does."""
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


async def find_public(
    session: AsyncSession, account_id: int, public_id: str, kinds: Collection[str] = PUBLIC, *, locks: bool = False
) -> Conversation | None:
    """The account's conversation of that public id, where it is of one of the kinds; a chat by its number, too.

    `locks`: whether nobody else may change it until the transaction ends.
    """
    known: tuple[ColumnElement[bool], ...] = (conversation.c.public_id == public_id, conversation.c.kind.in_(kinds))
    if NUMBER.fullmatch(public_id):
        known = (conversation.c.id == int(public_id), conversation.c.kind == CHAT)
    one = select(*conversation.c).where(conversation.c.account_id == account_id, *known)
    row = (await session.execute(one.with_for_update() if locks else one)).mappings().first()
    return Conversation(**row) if row else None


async def change(session: AsyncSession, account_id: int, number: int, values: dict[str, Any]) -> Conversation:
    """The account's conversation of that number, which there has to be, with other values of some columns."""
    changed = update(conversation).where(*_own(account_id, number)).values(values).returning(*conversation.c)
    return Conversation(**(await session.execute(changed)).mappings().one())


async def remove(session: AsyncSession, account_id: int, number: int) -> None:
    """Delete the account's conversation of that number, with its items and with what was answered in it.

    What is told again of that goes too.
    """
    it = select(conversation.c.id).where(*_own(account_id, number)).scalar_subquery()
    answers = select(response.c.id).where(response.c.conversation_id == it)
    await session.execute(answers.order_by(response.c.id).with_for_update())
    await idempotency.forget(session, select(conversation.c.public_id).where(*_own(account_id, number)))
    await idempotency.forget(session, select(response.c.public_id).where(response.c.conversation_id == it))
    await session.execute(delete(response_event).where(response_event.c.response_id.in_(answers)))
    for table in (response, item):
        await session.execute(delete(table).where(table.c.conversation_id == it))
    await session.execute(delete(conversation).where(*_own(account_id, number)))


async def remove_thread(session: AsyncSession, account_id: int, number: int) -> bool:
    """Delete a thread, which is locked, where nothing stands in it and nothing goes on from it; whether that was so."""
    child = conversation.alias("child")
    holds = (
        exists().where(item.c.conversation_id == conversation.c.id),
        exists().where(response.c.conversation_id == conversation.c.id),
        exists().where(child.c.parent_id == conversation.c.public_id),
    )
    gone = delete(conversation).where(*_own(account_id, number), conversation.c.kind == THREAD, ~or_(*holds))
    return (await session.execute(gone.returning(conversation.c.id))).scalar_one_or_none() is not None


async def untell(session: AsyncSession, found: Conversation, sequence: int) -> None:
    """Have nothing told again that says what the item there says, which is deleted: what wrote it cannot be told apart.

    In the transaction that deletes it and has the conversation locked.
    """
    at = response.c.first_sequence <= sequence, response.c.end_sequence > sequence
    wrote = select(response.c.public_id).where(response.c.conversation_id == found.id, *at)
    await idempotency.forget(session, wrote)
    await idempotency.forget(session, [found.public_id])


async def advance(
    session: AsyncSession, account_id: int, number: int, items: int, *, only_from: int | None = None
) -> int | None:
    """The sequence of the first of so many new items; None where the conversation is gone.

    In the transaction that writes them: of two that write at once the second waits here, and none leaves a gap.
    `only_from`: None too where the first would have another sequence than this.
    """
    moved = update(conversation).where(*_own(account_id, number), conversation.c.kind != EXPIRED)
    if only_from is not None:
        moved = moved.where(conversation.c.next_sequence == only_from)
    moved = moved.values(next_sequence=conversation.c.next_sequence + items)
    after = (await session.execute(moved.returning(conversation.c.next_sequence))).scalar_one_or_none()
    return None if after is None else int(after) - items


async def numbered(session: AsyncSession, account_id: int, number: int, *, locks: bool = False) -> Conversation | None:
    """The account's conversation of that number, of whatever kind; None of one that is kept no longer.

    `locks`: whether nobody else may change it until the transaction ends.
    """
    one = select(*conversation.c).where(*_own(account_id, number), conversation.c.kind != EXPIRED)
    row = (await session.execute(one.with_for_update() if locks else one)).mappings().first()
    return Conversation(**row) if row else None


def _own(account_id: int, number: int) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return conversation.c.account_id == account_id, conversation.c.id == number
