"""Judges events of responses: by the schemas of the document, by the SDK's types, and by the order of a stream."""

from collections.abc import Mapping, Sequence
from functools import cache
from types import UnionType
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

import orjson
from openai.types.responses import ResponseStreamEvent
from pydantic import BaseModel

from llm_backend.contract.schemas import Schemas, below
from llm_backend.errors import Json
from llm_backend.resources import resource

_REQUEST: Final = "request.createResponse"
FINALS: Final = frozenset(f"response.{status}" for status in ("completed", "incomplete", "failed"))

_FIELDS: Final[Mapping[str, str]] = {
    "response.output_text": "text",
    "response.refusal": "refusal",
    "response.reasoning_text": "text",
    "response.reasoning_summary_text": "text",
    "response.function_call_arguments": "arguments",
    "response.custom_tool_call_input": "input",
    "response.mcp_call_arguments": "arguments",
    "response.code_interpreter_call_code": "code",
}
"""The names of what is said in pieces, and of the member that holds it in the end."""
_PARTS: Final[Mapping[str, tuple[str, str]]] = {
    "response.content_part": ("content", "content_index"),
    "response.reasoning_summary_part": ("summary", "summary_index"),
}

_SAID: Final[Mapping[str, tuple[str, ...]]] = {
    "message": ("content",),
    "reasoning": ("summary", "content"),
    "function_call": ("arguments",),
    "custom_tool_call": ("input",),
    "mcp_call": ("arguments",),
    "code_interpreter_call": ("code",),
}
"""What of an item comes in pieces, by its type."""


def check_events(events: Sequence[Json], *, is_whole: bool = True) -> None:
    """Fails where any of `events`, which have no numbers, is not as it has to be.

    `is_whole`: whether everything that was begun has to have ended.
    """
    for number, event in enumerate(events):
        assert next(iter(event)) == "type", f"{event} does not begin with its type"
        assert "sequence_number" not in event
        check_shape({**event, "sequence_number": number})
    told = Order()
    for event in events:
        told.take(event)
    if is_whole:
        told.end()


def check_one_by_one(events: Sequence[Json]) -> None:
    """Fails where an item begins before the one in front of it is done, or anything is told of another."""
    at, is_open = -1, False
    for event in events:
        kind = event["type"]
        if kind == "response.output_item.added":
            assert not is_open, "an item begins while another goes on"
            at, is_open = at + 1, True
        assert (is_open, event["output_index"]) == (True, at), f"{kind} tells of an item whose turn it is not"
        is_open = kind != "response.output_item.done"


def check_stream(events: Sequence[Json]) -> None:
    """Fails where `events` are not one whole stream: numbered from 0 without a gap, created first, a final one last."""
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert events[0]["type"] == "response.created"
    assert [event["type"] for event in events if event["type"] in FINALS] == [events[-1]["type"]]
    order = Order()
    for event in events:
        check_shape(event)
        if "response" not in event:
            order.take(event)
        else:
            assert event["response"]["id"] == events[0]["response"]["id"]
    order.end()
    assert events[-1]["response"]["output"] == order.items


def check_shape(event: Json) -> None:
    """Fails where a numbered event is not one of the schema's and of the SDK's."""
    model = _models().get(event["type"])
    assert model is not None, f"{event['type']} is unknown to the SDK"
    model.model_validate(event, strict=True)
    assert _schemas().is_valid(_pointer(model), event), f"{event} is not a {model.__name__}"


def check_items(items: Sequence[Json]) -> None:
    """Fails where an item is none that an answer may hold."""
    for index, item in enumerate(items):
        check_shape({"type": "response.output_item.done", "output_index": index, "item": item, "sequence_number": 0})


def check_input(items: Sequence[Json]) -> None:
    """Fails where a client could not send these items back as what was said before."""
    assert _schemas().is_valid(below("/named", _REQUEST), {"model": "any", "input": items})


class Order:
    """What a stream has told so far: everything is added before it is said, and said before it is done."""

    def __init__(self) -> None:
        self.items: list[Json] = []
        """Each as it was told last."""
        self._open: dict[str, _Telling] = {}
        self._ids: list[str] = []

    def take(self, event: Json) -> None:
        kind = event["type"]
        if kind == "response.output_item.added":
            self._add(event)
        elif kind == "response.output_item.done":
            item = event["item"]
            assert self._ids[event["output_index"]] == item["id"]
            self._open.pop(item["id"]).end(item)
            self.items[event["output_index"]] = item
        elif "item_id" in event:
            assert self._ids[event["output_index"]] == event["item_id"]
            assert event["item_id"] in self._open, f"{kind} tells of an item that is done"
            self._check_name(event)
            self._open[event["item_id"]].take(event)

    def end(self) -> None:
        """Fails where an item was not done."""
        assert self._open == {}, f"{list(self._open)} were not done"

    def _check_name(self, event: Json) -> None:
        """The 2.x SDK requires the name of a function with its arguments, which the types here do not know."""
        if event["type"] == "response.function_call_arguments.done":
            assert event["name"].startswith(self.items[event["output_index"]]["name"])

    def _add(self, event: Json) -> None:
        item = event["item"]
        assert event["output_index"] == len(self._ids), "items are counted as they come"
        assert item["id"] not in self._ids
        assert item.get("status") not in {"completed", "incomplete"}
        assert not any(item.get(name) for name in _SAID.get(item["type"], ())), "an item begins without its texts"
        self._ids.append(item["id"])
        self._open[item["id"]] = _Telling()
        self.items.append(item)


class _Telling:
    """What was told of one item."""

    def __init__(self) -> None:
        self._said: dict[tuple[str, Json], list[str]] = {}
        self._done: dict[tuple[str, Json], str] = {}
        self._parts: dict[str, list[Json]] = {"content": [], "summary": []}

    def take(self, event: Json) -> None:
        name, _, what = event["type"].rpartition(".")
        place = (name, event.get(_PARTS[_list_of(name)][1]))
        if name in _PARTS:
            self._part(name, what, event)
        elif name in _FIELDS and what == "delta":
            assert place not in self._done
            self._check_part(event)
            self._said.setdefault(place, []).append(event["delta"])
        elif name in _FIELDS:
            assert place not in self._done
            self._check_part(event)
            self._done[place] = event[_FIELDS[name]]
            assert self._done[place] == "".join(self._said.pop(place, [])), "what was said is not what came to be"

    def end(self, item: Json) -> None:
        """Fails where the item, which is done, is not what was said."""
        assert self._said == {}, "something said was not done"
        for name, parts in self._parts.items():
            assert None not in parts, "a part was not done"
            if item["type"] in {"message", "reasoning"}:
                assert (item.get(name) or []) == parts
        for (name, index), text in self._done.items():
            if index is None:
                assert item[_FIELDS[name]] == text

    def _part(self, name: str, what: str, event: Json) -> None:
        list_name, index_name = _PARTS[name]
        parts = self._parts[list_name]
        if what == "added":
            assert event[index_name] == len(parts), "parts are counted as they come"
            assert not event["part"].get("text") and not event["part"].get("refusal")  # noqa: PT018 (one claim)
            parts.append(None)
            return
        assert parts[event[index_name]] is None
        parts[event[index_name]] = event["part"]
        known = [(saying, index) for saying, index in self._done if _list_of(saying) == name]
        saying = [self._done[place] for place in known if place[1] == event[index_name]]
        assert (event["part"].get("text") or event["part"].get("refusal") or "") in saying

    def _check_part(self, event: Json) -> None:
        list_name, index_name = _PARTS[_list_of(event["type"])]
        if index_name in event:
            assert self._parts[list_name][event[index_name]] is None, "a text is said in a part that goes on"


def _list_of(name: str) -> str:
    """How the events of the parts are called in which something is said, by the name of its events."""
    is_summary = name.startswith("response.reasoning_summary")
    return "response.reasoning_summary_part" if is_summary else "response.content_part"


@cache
def _schemas() -> Schemas:
    document = orjson.loads((resource("spec") / "openai.json").read_bytes())
    components = document["components"]["schemas"]
    return Schemas({name: {"$ref": f"#/components/schemas/{name}"} for name in _names()}, components)


def _names() -> list[str]:
    return [_REQUEST, *(f"answer.responses.{model.__name__}" for model in _models().values())]


def _pointer(model: type[BaseModel]) -> str:
    return below("/named", f"answer.responses.{model.__name__}")


@cache
def _models() -> Mapping[str, type[BaseModel]]:
    """The SDK's types by the `type` of their events."""
    return {_literal(model): model for model in _members(ResponseStreamEvent)}


def _members(union: Any) -> list[type[BaseModel]]:
    if get_origin(union) is Annotated:
        return _members(get_args(union)[0])
    assert get_origin(union) in {Union, UnionType}
    return list(get_args(union))


def _literal(model: type[BaseModel]) -> str:
    annotation = model.model_fields["type"].annotation
    assert get_origin(annotation) is Literal
    return str(get_args(annotation)[0])
