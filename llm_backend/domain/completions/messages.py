"""The messages of a chat as items, and back: what other APIs go on from is kept in one form.

A message that does not come back from its items as it was given is kept as it was, too.
"""

from collections.abc import Sequence
from typing import NamedTuple

import orjson

from llm_backend.domain.completions.parts import (
    call_of_item,
    call_of_message,
    content_of_item,
    content_of_message,
    output_of_item,
    refusal_alone,
)
from llm_backend.domain.items import CALLS, OUTPUTS, new_id
from llm_backend.errors import Json


class Given(NamedTuple):
    """An item of a message, and the message where it is the first and the items do not say all of it."""

    item: dict[str, Json]
    as_given: Json = None

    @property
    def details(self) -> bytes | None:
        """What the item's row keeps of its own."""
        return None if self.as_given is None else orjson.dumps({"as_given": self.as_given})


class _Reading:
    """Messages on their way to items, one after the other."""

    def __init__(self) -> None:
        self._custom: set[str] = set()
        """The calls so far of tools that take a text."""
        self._is_open = False
        """Whether a call that came next would be taken for the last message's."""

    def items(self, message: dict[str, Json]) -> list[Given]:
        """The items of the next message, one at least."""
        first, *others = found = self._of_output(message) if _is_output(message) else self._of_saying(message)
        is_exact = message_of(found) == message and not (self._is_open and first["type"] in CALLS)
        self._is_open = message.get("role") == "assistant"
        return [Given(first, None if is_exact else message), *map(Given, others)]

    def _of_output(self, message: dict[str, Json]) -> list[dict[str, Json]]:
        # The older way of calls has no ids: the function's name stands for one.
        call_id = message.get("tool_call_id") or message["name"]
        kind = "custom_tool_call_output" if call_id in self._custom else "function_call_output"
        output = output_of_item(message.get("content") or "")
        return [{"id": new_id(kind), "type": kind, "call_id": call_id, "output": output, "status": "completed"}]

    def _of_saying(self, message: dict[str, Json]) -> list[dict[str, Json]]:
        items = items_said(message)
        self._custom |= {item["call_id"] for item in items if item["type"] == "custom_tool_call"}
        return items


def items_of(messages: Sequence[dict[str, Json]]) -> list[Given]:
    """The items of messages as a request gives them."""
    reading = _Reading()
    return [given for message in messages for given in reading.items(message)]


def items_said(message: dict[str, Json], status: str = "completed") -> list[dict[str, Json]]:
    """The items of a message that somebody said, one at least, with what they call; never fails, whatever it holds."""
    role = message.get("role") or "assistant"
    content = content_of_item(message.get("content"), role)
    if isinstance(refusal := message.get("refusal"), str):
        said = content_of_item([{"type": "text", "text": content}], role) if isinstance(content, str) else content
        content = [*said, {"type": "refusal", "refusal": refusal}]
    calls = [*_listed(message.get("tool_calls")), *_older(message.get("function_call"))]
    called = [item for item in map(call_of_item, calls) if item is not None]
    items = [{"id": new_id(item["type"]), **item} for item in called]
    # A message without a word stands where it would be none otherwise.
    if items and message.get("content") is None and not content:
        return items
    return [{"id": new_id("message"), "type": "message", "status": status, "role": role, "content": content}, *items]


def messages_of(items: Sequence[Given]) -> list[Json]:
    """The messages that these are the items of."""
    groups: list[list[Given]] = []
    for given in items:
        goes_on = given.item["type"] in CALLS and given.as_given is None and groups and _may_call(groups[-1])
        if goes_on:
            groups[-1].append(given)
        else:
            groups.append([given])
    return [message_of([each.item for each in group]) if _is_told(group) else group[0].as_given for group in groups]


def message_of(items: Sequence[dict[str, Json]]) -> dict[str, Json]:
    """The one message that these are the items of."""
    first = items[0]
    if first["type"] in OUTPUTS:
        return {"role": "tool", "tool_call_id": first["call_id"], "content": content_of_message(first["output"])}
    calls = [call_of_message(item) for item in items if item["type"] in CALLS]
    called: dict[str, Json] = {"tool_calls": calls} if calls else {}
    if first["type"] in CALLS:
        return {"role": "assistant", "content": None, **called}
    refusal = refusal_alone(first["content"])
    if refusal is not None:
        return {"role": first["role"], "content": None, "refusal": refusal, **called}
    return {"role": first["role"], "content": content_of_message(first["content"]), **called}


def _is_told(group: Sequence[Given]) -> bool:
    return group[0].as_given is None


def _may_call(group: Sequence[Given]) -> bool:
    first = group[0].item
    return first["type"] in CALLS or first.get("role") == "assistant"


def _is_output(message: dict[str, Json]) -> bool:
    return message.get("role") in ("tool", "function")


def _listed(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []


def _older(call: Json) -> list[Json]:
    """A call of the older kind, of which there is one at most, as one of today."""
    return (
        [{"id": call["name"], "function": call}] if isinstance(call, dict) and isinstance(call.get("name"), str) else []
    )
