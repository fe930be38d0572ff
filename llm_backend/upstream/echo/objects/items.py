"""Items of conversations and responses: as they are given, and as chat messages."""

from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping, Sequence

import orjson

from llm_backend.errors import Json
from llm_backend.upstream.echo.objects.store import Store
from llm_backend.upstream.echo.script import Refusal

_PREFIXES: Mapping[str, str] = {
    "message": "msg_",
    "function_call": "fc_",
    "function_call_output": "fco_",
    "custom_tool_call": "ctc_",
    "custom_tool_call_output": "ctco_",
    "reasoning": "rs_",
    "compaction": "cmp_",
}


def items_of(value: Json, store: Store, param: str) -> list[dict[str, Json]]:
    """The items in `value`, each with an id; a text is a user's message. Raises Refusal where one is broken."""
    if isinstance(value, str):
        return [_message({"role": "user", "content": value}, store)]
    if not isinstance(value, list):
        raise Refusal(f"'{param}' is a text or a list of items.", param=param, code="invalid_type")
    return [_item(item, store, f"{param}[{index}]") for index, item in enumerate(value)]


def _item(item: Json, store: Store, param: str) -> dict[str, Json]:
    kind = str(item.get("type") or "message") if isinstance(item, dict) else ""
    if kind == "message" and isinstance(item.get("role"), str):
        return _message(item, store)
    if kind not in _PREFIXES or kind == "message":
        raise Refusal("An item is a message with its role, a call, its output, or reasoning.", param=param)
    return {"status": "completed", **item, "id": _id(item, store, _PREFIXES[kind])}


def _message(item: Mapping[str, Json], store: Store) -> dict[str, Json]:
    """With its content in parts."""
    content = item.get("content")
    if isinstance(content, str):
        is_spoken = item["role"] == "assistant"
        part: dict[str, Json] = {"type": "output_text" if is_spoken else "input_text", "text": content}
        content = [part | {"annotations": []} if is_spoken else part]
    message = {"status": "completed", **item, "id": _id(item, store, "msg_"), "type": "message"}
    return message | {"content": content if isinstance(content, list) else []}


def _id(item: Mapping[str, Json], store: Store, prefix: str) -> str:
    """Its own, where it has one."""
    given = item.get("id")
    return given if isinstance(given, str) and given else store.new_id(prefix)


def messages_of(items: Sequence[Mapping[str, Json]]) -> Iterator[Json]:
    """What a chat has instead of `items`."""
    for item in items:
        kind = item["type"]
        if kind == "message":
            yield {"role": item["role"], "content": item.get("content")}
        elif kind in ("function_call", "custom_tool_call"):
            # A chat has no words in it either, and counts none.
            yield {"role": "assistant", "content": None}
        elif kind in ("function_call_output", "custom_tool_call_output"):
            yield {"role": "tool", "content": item.get("output")}
        elif kind == "compaction":
            yield from messages_of(_unpacked(str(item.get("encrypted_content"))))


def packed(items: Sequence[Json]) -> str:
    """The items as one text, which means nothing to anyone else."""
    return b64encode(orjson.dumps(items)).decode()


def _unpacked(text: str) -> Sequence[Mapping[str, Json]]:
    """Raises Refusal where it was not packed here."""
    try:
        items = orjson.loads(b64decode(text, validate=True))
    except ValueError:
        raise Refusal("The compaction is not one of this model's.", param="input", code="invalid_value") from None
    # Each within another makes it a third longer, so that none is nested deeply.
    return [item for item in items if _is_item(item)] if isinstance(items, list) else []


def _is_item(item: Json) -> bool:
    if not isinstance(item, dict) or item.get("type") not in _PREFIXES:
        return False
    return item["type"] != "message" or isinstance(item.get("role"), str)
