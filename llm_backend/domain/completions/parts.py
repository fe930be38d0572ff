"""What a chat message and an item call the same: parts of contents, and calls of tools."""

from collections.abc import Mapping

from llm_backend.errors import Json

REFUSAL = "refusal"


def content_of_item(content: Json, role: str) -> Json:
    """A message's content as an item has it; what an item has no word for is left out."""
    if isinstance(content, str):
        return content
    parts = [_part_of_item(part, role) for part in content or ()] if isinstance(content, list) else []
    return [part for part in parts if part is not None]


def content_of_message(content: Json) -> Json:
    """An item's content as a chat has it."""
    return content if isinstance(content, str) else [_part_of_message(part) for part in content]


def call_of_item(call: Json) -> dict[str, Json] | None:
    """A call of a tool as an item, without its id; None where it is none."""
    kind = call.get("type") or "function" if isinstance(call, dict) else None
    inner = call.get(kind) if kind in ("function", "custom") else None
    if not isinstance(inner, dict) or not isinstance(call.get("id"), str):
        return None
    text = "arguments" if kind == "function" else "input"
    if not isinstance(inner.get("name"), str) or not isinstance(inner.get(text), str):
        return None
    item = "function_call" if kind == "function" else "custom_tool_call"
    return {"type": item, "call_id": call["id"], "name": inner["name"], text: inner[text], "status": "completed"}


def call_of_message(item: Mapping[str, Json]) -> dict[str, Json]:
    """An item that is a call, as a message has it."""
    kind, text = ("function", "arguments") if item["type"] == "function_call" else ("custom", "input")
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


def _part_of_item(part: Json, role: str) -> dict[str, Json] | None:
    item: dict[str, Json] | None = None
    match part:
        case {"type": "text", "text": str(text)} if role == "assistant":
            item = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
        case {"type": "text", "text": str(text)}:
            item = {"type": "input_text", "text": text}
        case {"type": "refusal", "refusal": str(text)}:
            item = {"type": "refusal", "refusal": text}
        case {"type": "image_url", "image_url": {"url": str(url), **rest}}:
            item = {"type": "input_image", "image_url": url, "detail": rest.get("detail") or "auto"}
        case {"type": "input_audio", "input_audio": dict(sound)}:
            item = {"type": "input_audio", "input_audio": sound}
        case {"type": "file", "file": dict(file)}:
            item = {**file, "type": "input_file"}
    return item


def _part_of_message(part: Mapping[str, Json]) -> dict[str, Json]:
    kind = part["type"]
    if kind == "input_image":
        detail = {} if part["detail"] == "auto" else {"detail": part["detail"]}
        return {"type": "image_url", "image_url": {"url": part["image_url"], **detail}}
    if kind == "input_file":
        return {"type": "file", "file": {name: value for name, value in part.items() if name != "type"}}
    if kind in ("input_text", "output_text"):
        return {"type": "text", "text": part["text"]}
    return dict(part)
