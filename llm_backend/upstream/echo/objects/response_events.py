"""A response as OpenAI's typed events, in order and numbered."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from llm_backend.errors import Json
from llm_backend.upstream.echo.chat import Speech
from llm_backend.upstream.echo.events import Event

_PARTS: Final[Mapping[str, tuple[str, str]]] = {
    "output_text": ("response.output_text", "text"),
    "refusal": ("response.refusal", "refusal"),
}
"""Kinds of a message's content: how their events' names begin, and the member that says it."""
_CALLS: Final[Mapping[str, tuple[str, str]]] = {
    "function_call": ("response.function_call_arguments", "arguments"),
    "custom_tool_call": ("response.custom_tool_call_input", "input"),
}
"""The same of calls."""

Told = tuple[str, dict[str, Json], int]
"""The name of an event, what it says, and the tokens that it carries."""


def told(begun: Json, ended: Json, speech: Speech) -> Iterator[Event]:
    """From `response.created` to `response.completed`, or `response.incomplete`, which carries the usage."""
    for number, (name, payload, tokens) in enumerate(_all(begun, ended, speech)):
        yield Event({"type": name, "sequence_number": number} | payload, tokens, name)


def _all(begun: Json, ended: Json, speech: Speech) -> Iterator[Told]:
    yield "response.created", {"response": begun}, 0
    yield "response.in_progress", {"response": begun}, 0
    calls = iter(speech.calls)
    for index, item in enumerate(ended["output"]):
        place = {"item_id": item["id"], "output_index": index}
        yield "response.output_item.added", {"output_index": index, "item": _emptied(item)}, 0
        if item["type"] == "reasoning":
            yield from _reasoning(item, place, speech.reasoning)
        elif item["type"] in _CALLS:
            yield from _call(item, place, next(calls).input)
        else:
            yield from _message(item, place, speech.content or speech.refusal or ())
        yield "response.output_item.done", {"output_index": index, "item": item}, 0
    yield f"response.{ended['status']}", {"response": ended}, 0


def _emptied(item: Mapping[str, Json]) -> Json:
    if item["type"] == "reasoning":
        return {**item, "summary": []}
    if item["type"] in _CALLS:
        field = _CALLS[item["type"]][1]
        return {**item, field: ""} | ({"status": "in_progress"} if "status" in item else {})
    return {**item, "content": [], "status": "in_progress"}


def _reasoning(item: Mapping[str, Json], place: Mapping[str, Json], pieces: Sequence[str]) -> Iterator[Told]:
    (part,) = item["summary"]
    place = {**place, "summary_index": 0}
    yield "response.reasoning_summary_part.added", {**place, "part": part | {"text": ""}}, 0
    for piece in pieces:
        yield "response.reasoning_summary_text.delta", {**place, "delta": piece}, 1
    yield "response.reasoning_summary_text.done", {**place, "text": part["text"]}, 0
    yield "response.reasoning_summary_part.done", {**place, "part": part}, 0


def _call(item: Mapping[str, Json], place: Mapping[str, Json], pieces: Sequence[str]) -> Iterator[Told]:
    """The call's name is a token too, which its first piece carries."""
    name, field = _CALLS[item["type"]]
    for index, piece in enumerate(pieces):
        yield f"{name}.delta", {**place, "delta": piece}, 1 if index else 2
    named = {"name": item["name"]} if item["type"] == "function_call" else {}
    yield f"{name}.done", {**place, **named, field: item[field]}, 0


def _message(item: Mapping[str, Json], place: Mapping[str, Json], pieces: Sequence[str]) -> Iterator[Told]:
    (part,) = item["content"]
    name, field = _PARTS[part["type"]]
    logprobs: dict[str, Json] = {"logprobs": []} if field == "text" else {}
    place = {**place, "content_index": 0}
    yield "response.content_part.added", {**place, "part": part | {field: ""}}, 0
    for piece in pieces:
        yield f"{name}.delta", {**place, "delta": piece} | logprobs, 1
    yield f"{name}.done", {**place, field: part[field]} | logprobs, 0
    yield "response.content_part.done", {**place, "part": part}, 0
