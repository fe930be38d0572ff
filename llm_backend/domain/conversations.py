"""Conversations: items in one sequence, kept for an account. Its chats are found here too, by their public ids."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import orjson
from sqlalchemy.ext.asyncio import AsyncSession

from llm_backend.domain import items as shapes
from llm_backend.domain.additions import added
from llm_backend.domain.clock import Clock
from llm_backend.domain.identity import Caller
from llm_backend.domain.pages import USUAL_LIMIT, Page, Stretch
from llm_backend.domain.public_ids import public_id
from llm_backend.errors import InvalidRequest, Json, NotFound
from llm_backend.storage import conversations, items
from llm_backend.storage.conversations import CHAT, CONVERSATION, Conversation
from llm_backend.storage.database import Database
from llm_backend.storage.items import Item, Span

CHAT_LOSES_NONE = "What was said in a chat stays as long as the chat does: delete the conversation to delete its items."


class Added(NamedTuple):
    """Items that a conversation has more."""

    conversation: Conversation
    items: list[Item]


class Conversations:
    """The conversations of one database. One of another account is as none."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def create(self, caller: Caller, given: Sequence[Json], metadata: Json) -> Conversation:
        """A new one, of these items. Raises NotFound for an item that they refer to; InvalidRequest as `add`."""
        caller.check_stores("items" if given else None)
        return await self._database.detached(self._create(caller.account_id, given, metadata))

    async def find(self, account_id: int, conversation_id: str) -> Conversation:
        """One by its public id. Raises NotFound."""
        return await self._database.detached(self._find(account_id, conversation_id))

    async def update(self, caller: Caller, conversation_id: str, metadata: Json) -> Conversation:
        """It, with this metadata in place of what it had. Raises NotFound; InvalidRequest where nothing is stored."""
        caller.check_stores("metadata")
        return await self._database.detached(self._update(caller.account_id, conversation_id, metadata))

    async def delete(self, account_id: int, conversation_id: str) -> None:
        """Delete it, its items, and what was answered in it. Raises NotFound."""
        await self._database.detached(self._delete(account_id, conversation_id))

    async def add(self, caller: Caller, conversation_id: str, given: Sequence[Json]) -> Added:
        """Items behind its last one. Raises NotFound; InvalidRequest for what it, or its account, cannot take."""
        caller.check_stores("items")
        return await self._database.detached(self._add(caller.account_id, conversation_id, given))

    async def page(
        self, account_id: int, conversation_id: str, *, newest_first: bool, after: str | None, limit: int | None
    ) -> Page[Item]:
        """Some of its items, behind the item `after`. Raises NotFound."""
        span = Span(limit or USUAL_LIMIT, newest_first=newest_first)
        return await self._database.detached(self._page(account_id, conversation_id, span, after))

    async def item(self, account_id: int, conversation_id: str, item_id: str) -> Item:
        """One of its items. Raises NotFound."""
        return await self._database.detached(self._item(account_id, conversation_id, item_id))

    async def remove(self, account_id: int, conversation_id: str, item_id: str) -> Conversation:
        """The conversation without one of its items. Raises NotFound; InvalidRequest of a chat."""
        return await self._database.detached(self._remove(account_id, conversation_id, item_id))

    async def _create(self, account_id: int, given: Sequence[Json], metadata: Json) -> Conversation:
        values = {
            "public_id": public_id("conv"),
            "settings": orjson.dumps({"metadata": metadata}),
            "created_at": self._clock.now(),
        }
        async with self._database.begin() as session:
            made = await conversations.add(session, account_id, CONVERSATION, values)
            await self._write(session, made, given)
        return made

    async def _find(self, account_id: int, conversation_id: str) -> Conversation:
        async with self._database.reading() as session:
            return await _own(session, account_id, conversation_id)

    async def _update(self, account_id: int, conversation_id: str, metadata: Json) -> Conversation:
        async with self._database.begin() as session:
            found = await _own(session, account_id, conversation_id, locks=True)
            settings = orjson.dumps({**orjson.loads(found.settings), "metadata": metadata})
            changes = {"settings": settings, "updated_at": self._clock.now()}
            return await conversations.change(session, account_id, found.id, changes)

    async def _delete(self, account_id: int, conversation_id: str) -> None:
        async with self._database.begin() as session:
            # Locked first: whoever writes items waits for it, and then finds it gone.
            found = await _own(session, account_id, conversation_id, locks=True)
            await conversations.remove(session, account_id, found.id)

    async def _add(self, account_id: int, conversation_id: str, given: Sequence[Json]) -> Added:
        async with self._database.begin() as session:
            # Of two that write at once the second waits here.
            found = await _own(session, account_id, conversation_id, locks=True)
            return Added(found, await self._write(session, found, given))

    async def _write(self, session: AsyncSession, found: Conversation, given: Sequence[Json]) -> list[Item]:
        if not given:
            return []
        new = await added(session, found, given)
        first = await conversations.advance(session, found.account_id, found.id, len(new))
        if first is None:
            raise AssertionError("Who writes to a conversation has it locked.")
        place = found.account_id, found.id, first
        await items.add(session, shapes.rows(new, place, self._clock.now()))
        return await items.between(session, found.account_id, found.id, first, first + len(new))

    async def _page(self, account_id: int, conversation_id: str, span: Span, after: str | None) -> Page[Item]:
        async with self._database.reading() as session:
            found = await _own(session, account_id, conversation_id)
            return await Stretch(account_id, found.id).page(session, span, after)

    async def _item(self, account_id: int, conversation_id: str, item_id: str) -> Item:
        async with self._database.reading() as session:
            found = await _own(session, account_id, conversation_id)
            first = next(iter(await _known(session, found, item_id)))
            some = await items.numbered(session, account_id, [first])
        if not some:
            raise NotFound.of("item_id")
        return some[0]

    async def _remove(self, account_id: int, conversation_id: str, item_id: str) -> Conversation:
        async with self._database.begin() as session:
            found = await _own(session, account_id, conversation_id, locks=True)
            if found.kind == CHAT:
                raise InvalidRequest(CHAT_LOSES_NONE, param="item_id")
            gone = await _known(session, found, item_id)
            for sequence in gone.values():
                await conversations.untell(session, found, sequence)
            await items.remove(session, account_id, gone)
        return found


async def _own(session: AsyncSession, account_id: int, conversation_id: str, *, locks: bool = False) -> Conversation:
    found = await conversations.find_public(session, account_id, conversation_id, locks=locks)
    if found is None:
        raise NotFound.of("conversation_id")
    return found


async def _known(session: AsyncSession, within: Conversation, item_id: str) -> Mapping[int, int]:
    """The numbers of the items of that id with their sequences, in turn; raises NotFound where there is none."""
    found = await Stretch(within.account_id, within.id).places(session, item_id)
    if not found:
        raise NotFound.of("item_id")
    return found
