"""Conversations and their items as JSON, in OpenAI's shapes."""

from collections.abc import Collection

import orjson

from llm_backend.domain.inclusion import shown
from llm_backend.domain.pages import Page, listed
from llm_backend.errors import Json
from llm_backend.storage.conversations import Conversation
from llm_backend.storage.items import Item


def conversation(found: Conversation) -> Json:
    """A conversation without its items."""
    return {
        "id": found.public_id,
        "object": "conversation",
        "created_at": int(found.created_at.timestamp()),
        # A chat has none until somebody gives it some.
        "metadata": orjson.loads(found.settings).get("metadata", {}),
    }


def deleted(conversation_id: str) -> Json:
    """What is left of one."""
    return {"id": conversation_id, "object": "conversation.deleted", "deleted": True}


def page_of_items(page: Page[Item], include: Collection[str]) -> Json:
    """Some items, with what of them is asked for."""
    return listed(Page([shown(each, include) for each in page.data], page.has_more))
