"""Statements on chat completions that are kept, and on the items of each: those of one account only."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, delete, exists, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from llm_backend.storage import idempotency
from llm_backend.storage.items import Item
from llm_backend.storage.responses import COMPLETION
from llm_backend.storage.tables import conversation, item, response, response_event


@dataclass(frozen=True, slots=True)
class Completion:
    """One that is kept."""

    id: int
    public_id: str
    conversation_id: int
    output_sequence: int
    """Where in its conversation the answer begins: in front of it is what was asked."""
    body: bytes
    """All of it but its items, as JSON."""
    metadata: dict[str, str]
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Sought:
    """Which are listed."""

    model: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    """What they have to bear, all of it."""
    after: int | None = None
    """The number of the one behind which the list begins."""
    newest_first: bool = False


COLUMNS = [response.c[name] for name in Completion.__dataclass_fields__]


async def add(session: AsyncSession, values: dict[str, Any]) -> None:
    """A new one, by column; the unique index raises where its public id is taken."""
    await session.execute(insert(response).values(**values))


async def find(session: AsyncSession, account_id: int, public_id: str) -> Completion | None:
    """The account's of that public id."""
    row = (await session.execute(_read(account_id).where(response.c.public_id == public_id))).mappings().first()
    return Completion(**row) if row else None


async def page(session: AsyncSession, account_id: int, sought: Sought, limit: int) -> list[Completion]:
    """The first `limit` of those sought, in the order in which they were made or the other way round."""
    listed = _read(account_id)
    if sought.model is not None:
        listed = listed.where(response.c.model == sought.model)
    for name, value in sought.metadata.items():
        listed = listed.where(_bears(session, name, value))
    number = response.c.id
    if sought.after is not None:
        listed = listed.where(number < sought.after if sought.newest_first else number > sought.after)
    ordered = listed.order_by(number.desc() if sought.newest_first else number).limit(limit)
    return [Completion(**row) for row in (await session.execute(ordered)).mappings()]


async def change(session: AsyncSession, account_id: int, public_id: str, metadata: Mapping[str, str]) -> None:
    """Put this metadata in the place of what there was, where there is such a completion."""
    changed = update(response).where(*_own(account_id), response.c.public_id == public_id)
    await session.execute(changed.values(metadata=dict(metadata)))


async def remove(session: AsyncSession, account_id: int, public_id: str) -> bool:
    """Delete it with its items, and what is told of it again; whether it was there."""
    found = await find(session, account_id, public_id)
    if found is None:
        return False
    await session.execute(select(response.c.id).where(response.c.id == found.id).with_for_update())
    await idempotency.forget(session, [public_id])
    await session.execute(delete(response_event).where(response_event.c.response_id == found.id))
    await session.execute(delete(response).where(response.c.id == found.id))
    await session.execute(delete(item).where(item.c.conversation_id == found.conversation_id))
    await session.execute(delete(conversation).where(conversation.c.id == found.conversation_id))
    return True


async def asked(session: AsyncSession, completion: Completion) -> list[Item]:
    """The items that it answers, in their sequence."""
    own = item.c.conversation_id == completion.conversation_id
    return await _items(session, own, item.c.sequence < completion.output_sequence)


async def answered(session: AsyncSession, completions: Collection[Completion]) -> dict[int, list[Item]]:
    """The items of the answers of `completions`, by the number of the conversation, in their sequence."""
    found: dict[int, list[Item]] = {each.conversation_id: [] for each in completions}
    outputs = exists().where(
        response.c.conversation_id == item.c.conversation_id,
        item.c.sequence >= response.c.output_sequence,
        item.c.sequence < response.c.end_sequence,
    )
    for each in await _items(session, item.c.conversation_id.in_(found), outputs):
        found[each.conversation_id].append(each)
    return found


def _own(account_id: int) -> Sequence[ColumnElement[bool]]:
    return response.c.account_id == account_id, response.c.kind == COMPLETION, response.c.is_stored


def _read(account_id: int) -> Select[Any]:
    return select(*COLUMNS).where(*_own(account_id))


async def _items(session: AsyncSession, *which: ColumnElement[bool]) -> list[Item]:
    ordered = select(*item.c).where(*which).order_by(item.c.conversation_id, item.c.sequence)
    return [Item(**row) for row in (await session.execute(ordered)).mappings()]


def _bears(session: AsyncSession, name: str, value: str) -> ColumnElement[bool]:
    """Whether a completion's metadata has that entry: read row by row, for a path in JSON holds no quote on SQLite."""
    each = func.json_each if session.get_bind().dialect.name == "sqlite" else func.json_each_text
    entries = each(response.c.metadata).table_valued("key", "value")
    return exists(select(1).select_from(entries).where(entries.c.key == name, entries.c.value == value))
