"""Chats and their messages as JSON, in the shapes that clients of `/api` know."""

import orjson

from llm_backend.domain.asking import Ask, Told
from llm_backend.domain.items import text
from llm_backend.domain.parrot_chats import SETTINGS
from llm_backend.domain.recall import SPOKEN_AS
from llm_backend.edge.accounts import MOMENT
from llm_backend.edge.call import Call
from llm_backend.errors import Json
from llm_backend.storage.conversations import Conversation
from llm_backend.storage.items import Item


def chat(found: Conversation) -> Json:
    """A chat without its messages."""
    settings = orjson.loads(found.settings)
    own = {name: settings[name] for name in SETTINGS}
    return _head(found) | {"name": found.name, "account_id": found.account_id, **own}


def message(found: Item) -> Json:
    """A message; what it cost and how it was asked for stand with an answer only."""
    details = orjson.loads(found.details) if found.details else {}
    return _head(found) | {
        "content": text(orjson.loads(found.content)),
        "role": SPOKEN_AS.get(found.role or "", found.role),
        "chat_id": found.conversation_id,
        "model_args": details.get("model_args", {}),
        # Of a chat that was taken over from elsewhere the ledger knows nothing.
        "usage": details.get("usage") or (_usage(found) if found.role == "assistant" else {}),
    }


def answer(told: Told) -> Json:
    """An answer, with the warning."""
    return message(told.message) | {"over_soft_limit": told.is_over_soft_limit}


async def answered(call: Call, ask: Ask) -> Json:
    """What the model says, for as long as the client waits for it."""
    call.departure.expect(ask.abandon)
    try:
        return answer(await ask.answer())
    finally:
        call.departure.forget()
        call.log.update(ask.summary)


def _head(found: Conversation | Item) -> dict[str, Json]:
    return {
        "id": found.id,
        "created_at": found.created_at.strftime(MOMENT),
        "updated_at": found.updated_at.strftime(MOMENT) if found.updated_at else None,
    }


def _usage(found: Item) -> Json:
    if found.prompt_tokens is None or found.completion_tokens is None:
        return {}
    return {
        "prompt_tokens": found.prompt_tokens,
        "completion_tokens": found.completion_tokens,
        "total_tokens": found.prompt_tokens + found.completion_tokens,
    }
