"""I8: what is kept of chats."""

from typing import Any

from sqlalchemy import Select, and_, func, or_, select

from llm_backend.storage.checking.check import Check
from llm_backend.storage.tables import conversation, item

CHAT = conversation.c.kind == "chat"
"""Conversations of other kinds may lose items."""


def checks() -> list[Check]:
    """Those of this module."""
    return [
        Check(
            "I8",
            "chat {conversation_id} of account {account_id} has {items} items, and numbers {first} to {last} of {next}",
            _gaps(),
        ),
        Check(
            "I8",
            "chat {conversation_id} of account {account_id} keeps {items} items of {role} from attempt {attempt_id}",
            _twice(),
        ),
        Check(
            "I8",
            "item {item_id} of account {account_id} stands in conversation {conversation_id} of another account",
            _foreign(),
        ),
    ]


def _gaps() -> Select[Any]:
    count, first, last = func.count(item.c.id), func.min(item.c.sequence), func.max(item.c.sequence)
    own = conversation.c
    gapless = and_(first == 0, last == own.next_sequence - 1, count == own.next_sequence)
    empty = and_(count == 0, own.next_sequence == 0)
    return (
        select(
            own.id.label("conversation_id"),
            own.account_id,
            count.label("items"),
            first.label("first"),
            last.label("last"),
            own.next_sequence.label("next"),
        )
        .outerjoin_from(conversation, item, item.c.conversation_id == own.id)
        .where(CHAT)
        .group_by(own.id, own.account_id, own.next_sequence)
        .having(~or_(gapless, empty))
        .order_by(own.id)
    )


def _twice() -> Select[Any]:
    keys = item.c.conversation_id, item.c.account_id, item.c.attempt_id, item.c.role
    items = func.count(item.c.id)
    found = select(*keys, items.label("items")).join_from(item, conversation)
    return found.where(CHAT, item.c.attempt_id.is_not(None)).group_by(*keys).having(items > 1)


def _foreign() -> Select[Any]:
    columns = item.c.id.label("item_id"), item.c.account_id, item.c.conversation_id
    found = select(*columns).join_from(item, conversation)
    return found.where(item.c.account_id != conversation.c.account_id).order_by(item.c.id)
