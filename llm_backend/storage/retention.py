"""Statements that take away what is kept no longer: some rows at a time, each found by an index."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, exists, false, func, select, update
from sqlalchemy.engine import CursorResult
from sqlalchemy.ext.asyncio import AsyncSession

from llm_backend.storage import idempotency, moments
from llm_backend.storage.conversations import EXPIRED
from llm_backend.storage.responses import IS_LET_GO
from llm_backend.storage.tables import account, conversation, item, response, response_event

RESPONSES_AT_ONCE = 100
"""With the events of each."""

CONVERSATIONS_AT_ONCE = 500

ITEMS_AT_ONCE = 1000

GOING_ON = conversation.alias("child")
"""What goes on from a conversation."""


async def days(session: AsyncSession) -> list[tuple[int, int]]:
    """For how many days things are kept, by the numbers of the accounts that have said so."""
    said = select(account.c.id, account.c.retention_days).where(account.c.retention_days >= 0)
    return [(row.id, row.retention_days) for row in await session.execute(said)]


async def forget_events(session: AsyncSession) -> int:
    """Delete the events of some responses that are told no longer; how many responses had such.

    Those that are not stored go with them: for their account they were there no more than their events.
    """
    is_over = response.c.events_until <= await moments.now(session)
    some = select(response.c.id).where(is_over, IS_LET_GO).order_by(response.c.events_until).limit(RESPONSES_AT_ONCE)
    found = await _held(session, some)
    if not found:
        return 0
    of_these = response.c.id.in_(found)
    await session.execute(delete(response_event).where(response_event.c.response_id.in_(found)))
    await session.execute(delete(response).where(of_these, response.c.is_stored == false()))
    await session.execute(update(response).where(of_these).values(events_until=None))
    return len(found)


async def forget_responses(session: AsyncSession, account_id: int, before: datetime) -> int:
    """Delete some of an account's responses that were begun before that, with their events; how many."""
    old = select(response.c.id).where(response.c.account_id == account_id, response.c.created_at < before, IS_LET_GO)
    return await _delete_responses(session, old.order_by(response.c.created_at).limit(RESPONSES_AT_ONCE))


async def expire(session: AsyncSession, account_id: int, before: datetime) -> int:
    """Let nobody find or change some of an account's conversations in which nothing happened since; how many.

    One that another goes on from stays as long as that one does.
    """
    is_over = _is_over(account_id, before)
    some = select(conversation.c.id).where(is_over).order_by(conversation.c.created_at).limit(CONVERSATIONS_AT_ONCE)
    found = await _held(session, some)
    if not found:
        return 0
    # Asked again of what nobody else can change now: somebody may just have written to it.
    still = update(conversation).where(conversation.c.id.in_(found), is_over)
    expired = await session.execute(still.values(kind=EXPIRED).returning(conversation.c.public_id))
    gone = expired.scalars().all()
    await idempotency.forget(session, gone)
    return len(gone)


async def clear_responses(session: AsyncSession, account_id: int) -> int:
    """Delete some responses of an account's expired conversations, with their events; how many."""
    some = select(response.c.id).join(conversation).where(*_are_expired(account_id), IS_LET_GO)
    return await _delete_responses(session, some.limit(RESPONSES_AT_ONCE))


async def clear_items(session: AsyncSession, account_id: int) -> int:
    """Delete some items of an account's expired conversations; how many."""
    some = select(item.c.id).join(conversation).where(*_are_expired(account_id)).limit(ITEMS_AT_ONCE)
    return await _count(session, delete(item).where(item.c.id.in_(some)))


async def clear_conversations(session: AsyncSession, account_id: int) -> int:
    """Delete some of an account's expired conversations that hold nothing any more; how many."""
    holds_items = exists().where(item.c.conversation_id == conversation.c.id)
    holds_responses = exists().where(response.c.conversation_id == conversation.c.id)
    empty = select(conversation.c.id).where(*_are_expired(account_id), ~holds_items, ~holds_responses)
    gone = delete(conversation).where(conversation.c.id.in_(empty.limit(CONVERSATIONS_AT_ONCE)))
    return await _count(session, gone)


def _is_over(account_id: int, before: datetime) -> ColumnElement[bool]:
    """Whether nothing happened in an account's conversation since, and nothing does now."""
    own, child = conversation.c, GOING_ON.c
    last = select(item.c.created_at).where(item.c.conversation_id == own.id).order_by(item.c.sequence.desc()).limit(1)
    return and_(
        own.account_id == account_id,
        own.created_at < before,
        func.coalesce(own.updated_at, own.created_at) < before,
        func.coalesce(last.scalar_subquery(), own.created_at) < before,
        own.kind != EXPIRED,
        ~exists().where(child.parent_id == own.public_id),
        ~exists().where(response.c.conversation_id == own.id, ~IS_LET_GO),
    )


def _are_expired(account_id: int) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return conversation.c.account_id == account_id, conversation.c.kind == EXPIRED


async def _held(session: AsyncSession, some: Any) -> Sequence[int]:
    """The ids of `some`, which nobody else changes until the transaction ends; without those that somebody changes."""
    held: Sequence[int] = (await session.execute(some.with_for_update(skip_locked=True))).scalars().all()
    return held


async def _delete_responses(session: AsyncSession, some: Any) -> int:
    found = await _held(session, some)
    if not found:
        return 0
    await idempotency.forget(session, select(response.c.public_id).where(response.c.id.in_(found)))
    await session.execute(delete(response_event).where(response_event.c.response_id.in_(found)))
    return await _count(session, delete(response).where(response.c.id.in_(found)))


async def _count(session: AsyncSession, statement: Any) -> int:
    done: CursorResult[Any] = await session.execute(statement)  # type: ignore[assignment]
    return done.rowcount
