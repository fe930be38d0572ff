"""What a request adds to a conversation: items, and items that it refers to, which are copied."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from sqlalchemy.ext.asyncio import AsyncSession

from llm_backend.domain import items as shapes
from llm_backend.domain.work import LARGE_BYTES
from llm_backend.errors import InvalidRequest, Json, NotFound
from llm_backend.storage import items
from llm_backend.storage.conversations import CHAT, Conversation
from llm_backend.storage.items import Item, Known

REFERENCE = "item_reference"


async def added(session: AsyncSession, to: Conversation, given: Sequence[Json]) -> list[dict[str, Json]]:
    """The items as they are kept, each with its id.

    Raises NotFound for a reference to what the account does not have, InvalidRequest for what `to` cannot take, and
    where references bring too much.
    """
    refuse_incomplete(given, "items")
    new = shapes.given((await resolved(session, to.account_id, given, "items")).items)
    for index, each in enumerate(new):
        if to.kind == CHAT and each["type"] != "message":
            raise InvalidRequest("A chat takes messages only.", param=f"items[{index}].type")
    await _refuse_bound_twice(session, to, new)
    return new


def refuse_incomplete(given: Sequence[Json], field: str) -> None:
    """Raises InvalidRequest for an item of which nobody knows what it is; they stand in that `field` of the request."""
    for index, item in enumerate(given):
        # Without a type, whatever has an id is taken for a reference: nobody has looked at its content.
        if item.get("type") is None and "id" in item and "content" in item:
            place = f"{field}[{index}].type"
            message = f"'{place}' is required of an item that has an 'id' and a 'content'."
            raise InvalidRequest(message, param=place, code="missing_required_parameter")


def is_reference(item: Json) -> bool:
    """Whether it stands for an item that is kept."""
    return item.get("type") == REFERENCE or (item.get("type") is None and "content" not in item)


class Resolved(NamedTuple):
    """What a request gives, with what it refers to."""

    items: list[Json]
    bytes: int = 0
    """Of what it refers to, each reference for itself."""


async def resolved(session: AsyncSession, account_id: int, given: Sequence[Json], field: str) -> Resolved:
    """The items with what is meant in place of references.

    Raises NotFound for what the account does not have, InvalidRequest where it is more than a request may bring.
    """
    names = {index: each["id"] for index, each in enumerate(given) if is_reference(each)}
    if not names:
        return Resolved([*given])
    # What can be no id need be no text that a database takes.
    possible = {name for name in names.values() if shapes.OWN_ID.fullmatch(name)}
    known = {each.known_as: each for each in await items.known(session, account_id, possible)}
    # Before anything is read: each reference is a copy, however often it names the same.
    brought = _bytes(names, known, field)
    copies = await items.numbered(session, account_id, {each.id for each in known.values()})
    shown = await asyncio.to_thread(_shown, copies) if brought > LARGE_BYTES else _shown(copies)
    found = [*given]
    for index, name in names.items():
        if name not in shown:
            raise NotFound.of(f"{field}[{index}].id")
        found[index] = shown[name]
    return Resolved(found, brought)


def _shown(copies: Sequence[Item]) -> dict[str, Json]:
    """By the id that a client knows; of those of the same id the newest."""
    return {each["id"]: each for each in map(shapes.shown, copies)}


def _bytes(names: Mapping[int, str], known: Mapping[str, Known], field: str) -> int:
    """How long all that is named is. Raises InvalidRequest where that is too much."""
    brought = 0
    for index, name in names.items():
        brought += known[name].bytes if name in known else 0
        if brought > shapes.MOST_BYTES:
            message = f"What is referred to has more than {shapes.MOST_BYTES} bytes together."
            raise InvalidRequest(message, param=f"{field}[{index}].id")
    return brought


async def _refuse_bound_twice(session: AsyncSession, to: Conversation, new: Sequence[Json]) -> None:
    """Clients know by one id what a provider gave it: a second item of that id could not be told from the first."""
    bound = [each["id"] for each in new if each["type"] in shapes.SEALED]
    there = await items.known(session, to.account_id, bound) if bound else []
    taken = {each.known_as for each in there if each.conversation_id == to.id}
    for index, each in enumerate(new):
        if each["type"] in shapes.SEALED and each["id"] in taken:
            raise InvalidRequest("The conversation has an item of this id.", param=f"items[{index}].id")
        taken |= {each["id"]}
