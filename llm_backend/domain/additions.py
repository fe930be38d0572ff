"""What a request adds to a conversation: items, and items that it refers to, which are copied."""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from llm_backend.domain import items as shapes
from llm_backend.errors import InvalidRequest, Json, NotFound
from llm_backend.storage import items
from llm_backend.storage.conversations import CHAT, Conversation

REFERENCE = "item_reference"


async def added(session: AsyncSession, to: Conversation, given: Sequence[Json]) -> list[dict[str, Json]]:
    """The items as they are kept, each with its id.

    Raises NotFound for a reference to what the account does not have, InvalidRequest for what `to` cannot take.
    """
    refuse_incomplete(given, "items")
    new = shapes.given(await resolved(session, to.account_id, given, "items"))
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


async def resolved(session: AsyncSession, account_id: int, given: Sequence[Json], field: str) -> list[Json]:
    """The items with what is meant in place of references. Raises NotFound for what the account does not have."""
    wanted = {each["id"] for each in given if is_reference(each)}
    if not wanted:
        return list(given)
    # What can be no id need be no text that a database takes.
    possible = [each for each in wanted if shapes.OWN_ID.fullmatch(each)]
    known = {each.upstream_id or each.public_id: each for each in await items.known(session, account_id, possible)}
    found = []
    for index, each in enumerate(given):
        if not is_reference(each):
            found.append(each)
        elif each["id"] in known:
            found.append(shapes.shown(known[each["id"]]))
        else:
            raise NotFound.of(f"{field}[{index}].id")
    return found


async def _refuse_bound_twice(session: AsyncSession, to: Conversation, new: Sequence[Json]) -> None:
    """Clients know by one id what a provider gave it: a second item of that id could not be told from the first."""
    bound = [each["id"] for each in new if each["type"] in shapes.SEALED]
    there = await items.known(session, to.account_id, bound) if bound else []
    taken = {each.upstream_id for each in there if each.conversation_id == to.id}
    for index, each in enumerate(new):
        if each["type"] in shapes.SEALED and each["id"] in taken:
            raise InvalidRequest("The conversation has an item of this id.", param=f"items[{index}].id")
        taken |= {each["id"]}
