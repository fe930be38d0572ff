"""Items of conversations: as clients give them, as they are shown, as a model is asked with them, and as rows."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import orjson

from llm_backend.domain.public_ids import is_made_here, public_id
from llm_backend.errors import Json
from llm_backend.storage.items import Item

PREFIXES: Mapping[str, str] = {
    "message": "msg",
    "function_call": "fc",
    "function_call_output": "fco",
    "custom_tool_call": "ctc",
    "custom_tool_call_output": "ctco",
    "reasoning": "rs",
    "compaction": "cmp",
    "web_search_call": "ws",
    "file_search_call": "fs",
    "code_interpreter_call": "ci",
    "image_generation_call": "ig",
    "computer_call": "cu",
    "computer_call_output": "cuo",
    "mcp_call": "mcp",
    "mcp_list_tools": "mcpl",
    "mcp_approval_request": "mcpr",
    "mcp_approval_response": "mcpa",
}
"""By the type of an item, what its id begins with; others are an `item`."""

CALLS: Mapping[str, tuple[str, str]] = {
    "function_call": ("function", "arguments"),
    "custom_tool_call": ("custom", "input"),
}
"""The calls that the client answers: what a chat calls each kind, and the field of what is given to the tool."""

OUTPUTS = frozenset({"function_call_output", "custom_tool_call_output"})
"""What it answers them with."""

SEALED = frozenset({"reasoning", "compaction"})
"""What bears an encrypted content, which providers bind to the id that they gave: it is told by that alone."""

OWN_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")

MOST_BYTES = 32 * 1024 * 1024
"""Of the JSON of kept items that one request brings, pictures and files included: as of one that reaches a model."""

USUAL: Mapping[str, Mapping[str, Json]] = {
    "computer_call_output": {"status": "completed"},
    "function_call": {"status": "completed"},
    "function_call_output": {"status": "completed"},
    "tool_search_call": {"status": "completed", "execution": "server"},
    "tool_search_output": {"status": "completed", "execution": "server"},
    "shell_call": {"status": "completed"},
    "shell_call_output": {"status": "completed"},
    "input_image": {"detail": "auto"},
    "output_text": {"annotations": []},
}
"""By the type of an item or part, what it is always shown with and a client need not say."""

SHOWN_APART = frozenset({"id", "type", "role", "content", "status"})


def new_id(kind: str) -> str:
    """An id for an item of that type."""
    return public_id(prefix_of(kind))


def prefix_of(kind: str) -> str:
    """How the id of an item of that type begins, without its underscore."""
    return PREFIXES.get(kind, "item")


def given(value: Json) -> list[dict[str, Json]]:
    """What a request gives as `input` or `items`, as items with ids of their own; a text is a user's message."""
    if isinstance(value, str):
        return [_given({"role": "user", "content": value})]
    return [_given(each) for each in value or ()]


def _given(item: Json) -> dict[str, Json]:
    kind = item.get("type") or "message"
    if kind == "message":
        parts = content_parts(item.get("content"), item["role"])
        return {**item, "id": new_id(kind), "type": kind, "status": item.get("status") or "completed", "content": parts}
    own = item.get("id")
    is_bound = kind in SEALED and isinstance(own, str) and OWN_ID.fullmatch(own)
    return {**_complete(item), "id": own if is_bound else new_id(kind), "type": kind}


def _complete(value: Json) -> Json:
    """An item or part with whatever it is always shown with, and so the parts of what a tool gave."""
    usual = USUAL.get(value.get("type") or "", {})
    found = {**value, **{name: usual[name] for name in usual if value.get(name) is None}}
    if isinstance(found.get("output"), list):
        found["output"] = [_complete(part) for part in found["output"]]
    return found


def content_parts(content: Json, role: str) -> list[Json]:
    """A message's content as parts, where it may be a text."""
    if not isinstance(content, str):
        return [_complete(part) for part in content or ()]
    if role == "assistant":
        return [{"type": "output_text", "text": content, "annotations": [], "logprobs": []}]
    return [{"type": "input_text", "text": content}]


def text(content: Json) -> str:
    """All that a message's content says, whether it is a text or has parts."""
    if isinstance(content, str):
        return content
    return "".join(part.get("text") or part.get("refusal") or "" for part in content)


def row(
    item: Mapping[str, Json], place: tuple[int, int, int], now: datetime, attempt_id: str | None = None
) -> dict[str, Any]:
    """The columns of an item at a `place`: its account, its conversation, and its sequence there.

    One that is told by the id of its provider may be given more than once: each row has an id of its own.
    """
    account_id, conversation_id, sequence = place
    is_message, is_bound = item["type"] == "message", item["type"] in SEALED
    kept = item["content"] if is_message else {name: value for name, value in item.items() if name != "id"}
    further = {name: item[name] for name in item if name not in SHOWN_APART} if is_message else {}
    return {
        "public_id": new_id(item["type"]) if is_bound else item["id"],
        "upstream_id": item["id"] if is_bound else None,
        "conversation_id": conversation_id,
        "account_id": account_id,
        "kind": item["type"],
        "role": item.get("role") if is_message else None,
        "status": "incomplete" if item.get("status") == "incomplete" else "completed",
        "content": orjson.dumps(kept),
        "details": orjson.dumps({"further": further}) if further else None,
        "sequence": sequence,
        "attempt_id": attempt_id,
        "created_at": now,
    }


def rows(
    items: Sequence[Mapping[str, Json]], place: tuple[int, int, int], now: datetime, attempt_id: str | None = None
) -> list[dict[str, Any]]:
    """As `row`, of items that follow each other from `place` on."""
    account_id, conversation_id, first = place
    return [row(item, (account_id, conversation_id, at), now, attempt_id) for at, item in enumerate(items, first)]


def shown(kept: Item) -> dict[str, Json]:
    """A row as the API shows it; a message of a chat, which is a text, in parts."""
    content = orjson.loads(kept.content)
    beside = orjson.loads(kept.details) if kept.details else {}
    own_id = kept.upstream_id or kept.public_id
    if kept.kind != "message":
        return {"id": own_id, **content}
    return {
        "id": own_id,
        "type": "message",
        "status": kept.status,
        "role": kept.role,
        "content": content_parts(content, kept.role or ""),
        **beside.get("further", {}),
    }


WITHOUT_ID = OUTPUTS | CALLS.keys()
"""Items that a model is asked with without their ids, which are ours and say nothing to it."""


def asked(item: Mapping[str, Json]) -> dict[str, Json]:
    """An item as a model is asked with it."""
    return {name: value for name, value in item.items() if name != "id" or not _is_named_here(item)}


def _is_named_here(item: Mapping[str, Json]) -> bool:
    """Whether its id is ours and says nothing to a model; what is sealed is never bound to such a one."""
    kind = item["type"]
    if item.get("encrypted_content"):
        return is_made_here(item["id"])
    return kind in WITHOUT_ID or (kind == "message" and item["role"] != "assistant")
