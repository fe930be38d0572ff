"""I8: what is kept of chats, and where the answers that are kept stand; I3 of those that are being made."""

from typing import Any

from sqlalchemy import ColumnElement, Select, and_, false, func, literal, not_, or_, select

from llm_backend.storage.checking.attempts import LATE_SECONDS
from llm_backend.storage.checking.check import Check
from llm_backend.storage.moments import db_now
from llm_backend.storage.tables import conversation, item, response

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
        *_of_responses(),
    ]


def _of_responses() -> list[Check]:
    kept = response.c
    which = select(kept.id.label("response_id"), kept.account_id)
    standing = which.add_columns(kept.conversation_id).join_from(response, conversation)
    return [
        Check(
            "I3",
            "response {response_id} of account {account_id} is still {status}, long after its lease",
            which.add_columns(kept.status).where(kept.lease_until < db_now(literal(-LATE_SECONDS))),
        ),
        Check(
            "I8",
            "response {response_id} of account {account_id} has input from {first} and output from {output} to {end}, "
            "of {next} in conversation {conversation_id}",
            standing.add_columns(
                kept.first_sequence.label("first"),
                kept.output_sequence.label("output"),
                kept.end_sequence.label("end"),
                conversation.c.next_sequence.label("next"),
            ).where(kept.status == "completed", kept.is_stored, not_(func.coalesce(_in_its_place(), false()))),
        ),
        Check(
            "I8",
            "response {response_id} of account {account_id} is in conversation {conversation_id} of another account",
            standing.where(kept.account_id != conversation.c.account_id),
        ),
    ]


def _in_its_place() -> ColumnElement[bool]:
    """Null where one of its places is missing."""
    kept = response.c
    return and_(
        kept.first_sequence >= 0,
        kept.output_sequence >= kept.first_sequence,
        kept.end_sequence >= kept.output_sequence,
        kept.end_sequence <= conversation.c.next_sequence,
    )


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
    # A response may have said more than one thing, but nothing twice.
    said = item.c.kind, item.c.content
    return found.where(CHAT, item.c.attempt_id.is_not(None)).group_by(*keys, *said).having(items > 1)


def _foreign() -> Select[Any]:
    columns = item.c.id.label("item_id"), item.c.account_id, item.c.conversation_id
    found = select(*columns).join_from(item, conversation)
    return found.where(item.c.account_id != conversation.c.account_id).order_by(item.c.id)
