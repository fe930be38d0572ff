"""`/v1/conversations`."""

from collections.abc import Collection

from starlette.responses import Response

from llm_backend.domain.inclusion import shown
from llm_backend.domain.pages import Page
from llm_backend.edge.call import Call
from llm_backend.edge.conversations import conversation, deleted, page_of_items
from llm_backend.edge.replies import json_reply
from llm_backend.errors import Json


async def create_conversation(call: Call, body: Json) -> Response:
    """A new one, with the items that the request gives. Raises NotFound for an item that these refer to."""
    given = body or {}
    items, metadata = given.get("items") or (), given.get("metadata") or {}
    made = await call.services.conversations.create(call.owner, items, metadata)
    call.makes(made.public_id)
    return json_reply(conversation(made))


async def get_conversation(call: Call, conversation_id: str) -> Response:
    """One, without its items. Raises NotFound."""
    return json_reply(conversation(await call.services.conversations.find(call.owner.account_id, conversation_id)))


async def update_conversation(call: Call, conversation_id: str, body: Json) -> Response:
    """It, with other metadata. Raises NotFound."""
    metadata = body["metadata"] or {}
    call.makes(conversation_id)
    changed = await call.services.conversations.update(call.owner, conversation_id, metadata)
    return json_reply(conversation(changed))


async def delete_conversation(call: Call, conversation_id: str) -> Response:
    """Delete it with its items. Raises NotFound."""
    await call.services.conversations.delete(call.owner.account_id, conversation_id)
    return json_reply(deleted(conversation_id))


async def create_conversation_items(
    call: Call, conversation_id: str, body: Json, include: Collection[str] = ()
) -> Response:
    """The items that it has more now. Raises NotFound; InvalidRequest for what it cannot take."""
    added = await call.services.conversations.add(call.owner, conversation_id, body["items"])
    call.makes(added.conversation.public_id)
    return json_reply(page_of_items(Page(added.items), include))


async def list_conversation_items(  # noqa: PLR0913, PLR0917 (each is a parameter of the query)
    call: Call,
    conversation_id: str,
    after: str | None = None,
    include: Collection[str] = (),
    limit: int | None = None,
    order: str = "desc",
) -> Response:
    """Some of its items, behind the item `after`. Raises NotFound."""
    found = await call.services.conversations.page(
        call.owner.account_id, conversation_id, newest_first=order == "desc", after=after, limit=limit
    )
    return json_reply(page_of_items(found, include))


async def get_conversation_item(
    call: Call, conversation_id: str, item_id: str, include: Collection[str] = ()
) -> Response:
    """One of its items. Raises NotFound."""
    return json_reply(
        shown(await call.services.conversations.item(call.owner.account_id, conversation_id, item_id), include)
    )


async def delete_conversation_item(call: Call, conversation_id: str, item_id: str) -> Response:
    """The conversation, without the item. Raises NotFound; InvalidRequest of a chat, which loses none."""
    left = await call.services.conversations.remove(call.owner.account_id, conversation_id, item_id)
    return json_reply(conversation(left))
