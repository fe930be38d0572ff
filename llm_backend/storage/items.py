"""Statements on the items of conversations, each with what its attempt at an upstream was charged."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, Subquery, and_, delete, exists, func, insert, select, union_all
from sqlalchemy.ext.asyncio import AsyncSession

from llm_backend.storage.conversations import EXPIRED
from llm_backend.storage.ledger_tables import usage_record
from llm_backend.storage.state_tables import IS_NO_MESSAGE
from llm_backend.storage.tables import conversation, item

AT_ONCE = 500
"""Rows of one statement: a database takes so many values in one, and no more."""

IS_MESSAGE = item.c.kind == "message"

SIZE = func.length(item.c.content) + func.coalesce(func.length(item.c.details), 0)
"""Bytes of an item's JSON, which both databases know without reading it."""


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
    upstream_id: str | None
    """Under which an upstream knows it, and its client too, in place of the public id."""
    created_at: datetime
    updated_at: datetime | None
    prompt_tokens: int | None = None
    """What its attempt was charged; None where there was none."""
    completion_tokens: int | None = None


ROW = [item.c[name] for name in Item.__dataclass_fields__ if name in item.c]
"""The columns in the order of an item's fields: to read many by name takes twice as long."""


class Said(NamedTuple):
    """What a message says."""

    sequence: int
    role: str | None
    content: bytes
    """JSON."""


async def add(session: AsyncSession, rows: Sequence[dict[str, Any]]) -> None:
    """New items, by column; the unique indexes raise where a public id or a place in the sequence is taken."""
    for begin in range(0, len(rows), AT_ONCE):
        await session.execute(insert(item).values(list(rows[begin : begin + AT_ONCE])))


async def messages(
    session: AsyncSession, account_id: int, conversation_id: int, after: int | None = None, limit: int | None = None
) -> list[Item]:
    """The conversation's messages in their sequence: all, or the first `limit` of those behind the item `after`.

    None where the conversation is not the account's, or the item not the conversation's.
    """
    own = _read(account_id).where(item.c.conversation_id == conversation_id, IS_MESSAGE)
    if after is not None:
        marks = item.alias()
        mark = select(marks.c.sequence).where(marks.c.id == after, marks.c.conversation_id == conversation_id)
        own = own.where(item.c.sequence > mark.scalar_subquery())
    return [Item(**row) for row in (await session.execute(own.order_by(item.c.sequence).limit(limit))).mappings()]


async def others(session: AsyncSession, conversation_id: int) -> int:
    """How many of the conversation's items are no messages."""
    found = select(func.count()).select_from(item).where(item.c.conversation_id == conversation_id, IS_NO_MESSAGE)
    return int((await session.execute(found)).scalar_one())


async def said_before(
    session: AsyncSession, account_id: int, conversation_id: int, sequence: int, most: int | None
) -> list[Said]:
    """The last messages in front of that sequence, `most` of them or all, the newest first."""
    columns = [item.c[name] for name in Said._fields]
    own = item.c.conversation_id == conversation_id, item.c.account_id == account_id, IS_MESSAGE
    earlier = select(*columns).where(*own, item.c.sequence < sequence).order_by(item.c.sequence.desc())
    return [Said(*row) for row in await session.execute(earlier.limit(most))]


async def find(session: AsyncSession, account_id: int, public_id: str) -> Item | None:
    """The account's item of that public id."""
    row = (await session.execute(_read(account_id).where(item.c.public_id == public_id))).mappings().first()
    return Item(**row) if row else None


class Span(NamedTuple):
    """Which of a conversation's items are asked for."""

    limit: int
    after: int | None = None
    """Behind which sequence; None at the beginning."""
    newest_first: bool = False


class Key(NamedTuple):
    """Where an item stands, and how long it is."""

    id: int
    sequence: int
    bytes: int
    """Of its JSON."""


class Known(NamedTuple):
    """What is known of an item by its id alone."""

    known_as: str
    id: int
    conversation_id: int
    bytes: int
    """Of its JSON."""


async def keys(
    session: AsyncSession, account_id: int, conversation_id: int, span: Span, *, once_from: int | None = None
) -> list[Key]:
    """Of items of all kinds, in the order of their sequence or from its end: nothing of what they say is read.

    `once_from`: only the first from that sequence on of those that a client knows by the same id.
    """
    at = item.c.sequence
    some = select(item.c.id, at, SIZE).where(*_in(account_id, conversation_id))
    if once_from is not None:
        some = some.where(_is_first(account_id, conversation_id, once_from))
    if span.after is not None:
        some = some.where(at < span.after if span.newest_first else at > span.after)
    some = some.order_by(at.desc() if span.newest_first else at).limit(span.limit)
    return [Key(*row) for row in await session.execute(some)]


async def between(session: AsyncSession, account_id: int, conversation_id: int, first: int, end: int) -> list[Item]:
    """The conversation's items from the sequence `first` on, in front of `end`."""
    some = select(*ROW).where(*_in(account_id, conversation_id), *_from(first, end)).order_by(item.c.sequence)
    return [Item(*row) for row in await session.execute(some)]


async def numbered(session: AsyncSession, account_id: int, numbers: Collection[int]) -> list[Item]:
    """The account's items of these numbers, by number."""
    some = select(*ROW).where(item.c.id.in_(numbers), item.c.account_id == account_id).order_by(item.c.id)
    return [Item(*row) for row in await session.execute(some)]


async def known(session: AsyncSession, account_id: int, ids: Collection[str]) -> list[Known]:
    """The account's items that a client knows by these ids, by number; without those that are kept no longer.

    More than one of an id that a provider gave.
    """
    named = _named(account_id, ids)
    found = select(named.c.known_as, item.c.id, item.c.conversation_id, SIZE)
    found = found.join(item, item.c.id == named.c.id).join(conversation).where(conversation.c.kind != EXPIRED)
    return [Known(*row) for row in await session.execute(found.order_by(item.c.id))]


async def places(session: AsyncSession, account_id: int, conversation_id: int, known_as: str) -> dict[int, int]:
    """The sequence of each of the conversation's items that a client knows by this id, by number; in sequence."""
    named = _named(account_id, [known_as])
    # Whatever its conversation: asked for that too, SQLite would look through all that stands in it.
    found = select(item.c.id, item.c.conversation_id, item.c.sequence).join(named, item.c.id == named.c.id)
    own = [row for row in await session.execute(found) if row.conversation_id == conversation_id]
    return {row.id: row.sequence for row in sorted(own, key=lambda row: row.sequence)}


async def remove(session: AsyncSession, account_id: int, numbers: Collection[int]) -> None:
    """Delete the account's items of these numbers."""
    await session.execute(delete(item).where(item.c.id.in_(numbers), item.c.account_id == account_id))


async def remove_between(session: AsyncSession, account_id: int, conversation_id: int, first: int, end: int) -> None:
    """Delete the conversation's items from the sequence `first` on, in front of `end`."""
    await session.execute(delete(item).where(*_in(account_id, conversation_id), *_from(first, end)))


def _in(account_id: int, conversation_id: int) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return item.c.account_id == account_id, item.c.conversation_id == conversation_id


def _from(first: int, end: int) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return item.c.sequence >= first, item.c.sequence < end


def _is_first(account_id: int, conversation_id: int, begin: int) -> ColumnElement[bool]:
    same = item.alias("same")
    # Sums, for which no index is: it is looked for by its id, not in all that stands before it.
    stands_before = (same.c.sequence + 0).between(begin, item.c.sequence - 1)
    is_here = same.c.conversation_id + 0 == conversation_id
    is_same = and_(same.c.account_id == account_id, same.c.upstream_id == item.c.upstream_id)
    return ~exists().where(is_same, is_here, stands_before)


def _named(account_id: int, ids: Collection[str]) -> Subquery:
    """The numbers of the account's items that a client knows by these ids.

    By each index for itself: asked for either at once, SQLite would look through all that the account has.
    """
    own, theirs = item.c.public_id, item.c.upstream_id
    of_account = item.c.account_id == account_id
    by_own = select(item.c.id, own.label("known_as")).where(of_account, own.in_(ids), theirs.is_(None))
    return union_all(by_own, select(item.c.id, theirs).where(of_account, theirs.in_(ids))).subquery()


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
