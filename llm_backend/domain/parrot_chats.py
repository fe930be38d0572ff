"""Chats and messages of Parrot, as they are kept here."""

from datetime import datetime

import orjson

from llm_backend.domain.public_ids import public_id
from llm_backend.errors import Json
from llm_backend.storage.dumps import Row

SETTINGS = ("model_type", "instruction_prefix", "user_prefix", "assistant_prefix")


def conversation(row: Row, account_id: int, now: datetime) -> Row:
    """A chat, of the account `account_id`."""
    return {
        "id": row["id"],
        "public_id": public_id("conv"),
        "account_id": account_id,
        "kind": "chat",
        "name": row["name"],
        "settings": orjson.dumps({name: row[name] or "" for name in SETTINGS}),
        "created_at": row["created_at"] or now,
        "updated_at": row["updated_at"],
    }


def message(row: Row, chat: tuple[int, int], sequence: int, now: datetime) -> Row:
    """A message of `chat`, which is told by its number and its account's."""
    return {
        "id": row["id"],
        "public_id": public_id("msg"),
        "conversation_id": chat[0],
        "account_id": chat[1],
        "kind": "message",
        "role": row["role"].lower(),
        "status": "completed",
        "content": orjson.dumps(row["content"]),
        "details": _details(row),
        "sequence": sequence,
        "created_at": row["created_at"] or now,
        "updated_at": row["updated_at"],
    }


def _details(row: Row) -> bytes | None:
    """Of an answer, what it was asked with and what it used: no attempt is there to tell that."""
    told: Json = {name: row[name] for name in ("model_args", "usage") if row[name]}
    return orjson.dumps(told) if told else None
