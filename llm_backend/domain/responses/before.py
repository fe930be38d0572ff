"""What was said before a response: read from its end backwards, and no further than a model reads it."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace

from sqlalchemy.ext.asyncio import AsyncSession

from llm_backend.domain import items as forms
from llm_backend.domain.pages import fitting
from llm_backend.domain.prompts import text_bytes
from llm_backend.domain.work import LARGE_BYTES
from llm_backend.errors import InvalidRequest, Json, NotFound
from llm_backend.storage import conversations, items, responses
from llm_backend.storage.conversations import Conversation
from llm_backend.storage.items import Item, Key, Span

FIRST_ITEMS, MOST_ITEMS = 16, 2048
"""Read at once; each further page is twice as long as the one before, up to so many: meanwhile others wait."""

CONTEXT_EXCEEDED = "context_length_exceeded"


@dataclass(frozen=True, slots=True)
class Before:
    """What a response goes on from."""

    items: Sequence[dict[str, Json]] = ()
    """As a model is asked with them, the oldest first."""
    bytes: int = 0
    """Of what was read for them."""
    conversation: Conversation | None = None
    """Where they stand, and what is said now is written as well."""
    end: int = 0
    """The sequence behind the last of them."""
    is_public: bool = False
    """Whether the conversation is one that the client named."""


@dataclass(frozen=True, slots=True)
class Room:
    """How much of it is read."""

    bytes: int
    """Of the items' texts, at most: how long a picture is says nothing of its tokens."""
    is_cut: bool
    """Whether the oldest are left out where there are more; else that is refused."""


async def read(session: AsyncSession, account_id: int, request: Json, room: Room) -> Before:
    """What `request` goes on from: a response, a conversation, or nothing.

    Raises NotFound for what is not the account's own, and InvalidRequest where it cannot be gone on from.
    """
    found = await place(session, account_id, request)
    if found.conversation is None:
        return found
    said, bytes_read = await _items(session, found.conversation, found.end, room)
    return replace(found, items=said, bytes=bytes_read)


async def place(session: AsyncSession, account_id: int, request: Json) -> Before:
    """The same, without what was said there. Raises as `read`."""
    previous, named = request.get("previous_response_id"), request.get("conversation")
    if previous is not None and named is not None:
        message = "'previous_response_id' and 'conversation' exclude each other."
        raise InvalidRequest(message, param="previous_response_id", code="mutually_exclusive_parameters")
    if previous is not None:
        where, end = await _of_response(session, account_id, previous)
    elif named is not None:
        where = await _named(session, account_id, named if isinstance(named, str) else named.get("id"))
        end = where.next_sequence
    else:
        return Before()
    return Before(conversation=where, end=end, is_public=named is not None)


async def _named(session: AsyncSession, account_id: int, public_id: Json) -> Conversation:
    # What can be no id need be no text that a database takes.
    is_possible = forms.OWN_ID.fullmatch(str(public_id))
    found = await conversations.find_public(session, account_id, str(public_id)) if is_possible else None
    if found is None:
        raise NotFound.of("conversation")
    return found


async def _of_response(session: AsyncSession, account_id: int, public_id: str) -> tuple[Conversation | None, int]:
    """Where it stands, and the sequence behind it."""
    param = "previous_response_id"
    previous = await responses.find(session, account_id, public_id)
    if previous is None or not previous.is_stored:
        raise NotFound("There is no previous response with that id.", param=param, code="previous_response_not_found")
    if previous.ended_at is None:
        raise InvalidRequest("The previous response is still being made.", param=param, code="response_in_progress")
    if previous.conversation_id is None:
        message = "The previous response failed, and what it was given is not kept: go on from the one before it."
        raise InvalidRequest(message, param=param, code="previous_response_failed")
    where = await conversations.numbered(session, account_id, previous.conversation_id)
    return where, previous.end_sequence or 0


async def _items(session: AsyncSession, where: Conversation, end: int, room: Room) -> tuple[list[dict[str, Json]], int]:
    """What was said, the oldest first, and how many bytes were read for it."""
    kept: list[dict[str, Json]] = []
    left, bytes_left = room.bytes, forms.MOST_BYTES
    async for place, keys in _backwards(session, where, end):
        fit = keys[: fitting(keys, bytes_left)]
        bytes_left -= sum(key.bytes for key in fit)
        asked, left = await _asked(session, place, fit, left)
        kept += asked
        if left >= 0 and len(fit) == len(keys):
            continue
        if room.is_cut:
            return _from_a_turn(kept[::-1]), forms.MOST_BYTES - bytes_left
        message = "What was said before is longer than this model can read: ask with the truncation 'auto'."
        raise InvalidRequest(message, param="truncation", code=CONTEXT_EXCEEDED)
    return kept[::-1], forms.MOST_BYTES - bytes_left


async def _asked(
    session: AsyncSession, place: Conversation, keys: Sequence[Key], left: int
) -> tuple[list[dict[str, Json]], int]:
    """The items there, the newest first, as far as their texts take no more than is left; and what then is left."""
    if not keys:
        return [], left
    found = await items.between(session, place.account_id, place.id, keys[-1].sequence, keys[0].sequence + 1)
    if sum(key.bytes for key in keys) > LARGE_BYTES:
        return await asyncio.to_thread(_fitting, found, left)
    return _fitting(found, left)


def _fitting(found: Sequence[Item], left: int) -> tuple[list[dict[str, Json]], int]:
    kept = []
    for item in reversed(found):
        asked = forms.asked(forms.shown(item))
        left -= text_bytes({"input": asked})
        if left < 0:
            break
        kept.append(asked)
    return kept, left


async def _backwards(
    session: AsyncSession, where: Conversation, end: int
) -> AsyncIterator[tuple[Conversation, list[Key]]]:
    """Where the items in front of `end` stand, the newest first, and then those of what it goes on from."""
    place: Conversation | None = where
    while place is not None:
        span = Span(FIRST_ITEMS, end, newest_first=True)
        while found := await items.keys(session, place.account_id, place.id, span):
            yield place, found
            if len(found) < span.limit:
                break
            span = Span(min(span.limit * 2, MOST_ITEMS), found[-1].sequence, newest_first=True)
        end = place.parent_sequence or 0
        place = await _parent(session, place)


async def _parent(session: AsyncSession, place: Conversation) -> Conversation | None:
    if place.parent_id is None:
        return None
    return await conversations.find_public(session, place.account_id, place.parent_id, conversations.EVERY)


def _from_a_turn(kept: list[dict[str, Json]]) -> list[dict[str, Json]]:
    """What is left begins with what someone said: an answer without its call, or a thought alone, is refused."""
    roles = {"user", "system", "developer"}
    first = next((at for at, item in enumerate(kept) if item.get("role") in roles), len(kept))
    return kept[first:]
