"""What a chat message and an item call the same: parts of contents, and calls of tools."""

from collections.abc import Mapping

from llm_backend.domain.items import CALLS
from llm_backend.errors import Json

REFUSAL = "refusal"

TEXTS = frozenset({"input_text", "output_text"})
"""What a chat calls `text`."""

NESTED: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "input_image": ("image_url", {"image_url": "url", "detail": "detail"}),
    "input_file": ("file", {name: name for name in ("file_data", "file_id", "filename")}),
}
"""What a chat has in an object: by the type of an item's part its name there, and what its members are called there."""

MARK = "prompt_cache_breakpoint"
"""A member that any part may have, of both."""

_ITEMS: Mapping[str, str] = {kind: item for item, (kind, _) in CALLS.items()}


def content_of_item(content: Json, role: str) -> Json:
    """A message's content as an item has it; what an item has no word for is left out."""
    if isinstance(content, str):
        return content
    parts = [_part_of_item(part, role) for part in content or ()] if isinstance(content, list) else []
    return [part for part in parts if part is not None]


def content_of_message(content: Json) -> Json:
    """An item's content as a chat has it."""
    return content if isinstance(content, str) else [part_of_message(part) for part in content]


def call_of_item(call: Json) -> dict[str, Json] | None:
    """A call of a tool as an item, without its id; None where it is none."""
    kind = call.get("type") or "function" if isinstance(call, dict) else None
    item = _ITEMS.get(kind) if isinstance(kind, str) else None
    inner = call.get(kind) if item is not None else None
    if item is None or not isinstance(inner, dict) or not isinstance(call.get("id"), str):
        return None
    text = CALLS[item][1]
    if not isinstance(inner.get("name"), str) or not isinstance(inner.get(text), str):
        return None
    return {"type": item, "call_id": call["id"], "name": inner["name"], text: inner[text], "status": "completed"}


def call_of_message(item: Mapping[str, Json]) -> dict[str, Json]:
    """An item that is a call, as a message has it."""
    kind, text = CALLS[item["type"]]
    return {"id": item["call_id"], "type": kind, kind: {"name": item["name"], text: item[text]}}


def output_of_item(content: Json) -> Json:
    """What a tool gave back, as an item has it: a text, or parts."""
    return content if isinstance(content, str) else content_of_item(content, "tool")


def refusal_alone(content: Json) -> str | None:
    """What a message refuses with, where it says nothing else."""
    if isinstance(content, list) and len(content) == 1 and isinstance(content[0], dict):
        refusal = content[0].get(REFUSAL)
        return refusal if isinstance(refusal, str) else None
    return None


def part_of_message(part: Mapping[str, Json]) -> dict[str, Json]:
    """A part of an item's content as a chat has it. How a picture is looked at if nobody says is not said."""
    kind = part["type"]
    if kind in TEXTS:
        told = {"type": "text", "text": part["text"]}
    elif kind in NESTED:
        name, members = NESTED[kind]
        given = {there: part[here] for here, there in members.items() if part.get(here) is not None}
        if given.get("detail") == "auto":
            del given["detail"]
        told = {"type": name, name: given}
    else:
        told = {"type": kind, kind: part[kind]}
    return told if part.get(MARK) is None else {**told, MARK: part[MARK]}


def _part_of_item(part: Json, role: str) -> dict[str, Json] | None:
    item: dict[str, Json] | None = None
    match part:
        case {"type": "text", "text": str(text)} if role == "assistant":
            item = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
        case {"type": "text", "text": str(text)}:
            item = {"type": "input_text", "text": text}
        case {"type": "refusal", "refusal": str(text)}:
            item = {"type": "refusal", "refusal": text}
        case {"type": "input_audio", "input_audio": dict(sound)}:
            item = {"type": "input_audio", "input_audio": sound}
        case {"type": "image_url", "image_url": {"url": str(), **rest} as image}:
            item = {**_unnested("input_image", image), "detail": rest.get("detail") or "auto"}
        case {"type": "file", "file": dict(file)}:
            item = _unnested("input_file", file)
    return item if item is None or part.get(MARK) is None else {**item, MARK: part[MARK]}


def _unnested(kind: str, given: Mapping[str, Json]) -> dict[str, Json]:
    members = NESTED[kind][1]
    return {"type": kind} | {here: given[there] for here, there in members.items() if given.get(there) is not None}
